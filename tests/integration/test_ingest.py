"""Importing documents and histories: whole, again, changed, broken off."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.knowledge.identity import read_aliases
from mahavishnu.memory.models import MemoryFilter, NewMemory
from mahavishnu.memory.search import SearchRequest
from tests.conftest import World

pytestmark = pytest.mark.postgres


def git(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *arguments],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, name: str, message: str) -> str:
    path = folder / name
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "walrus"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, "a.py", "Add the keeper\n\nIt stops the server after its last user.")
    commit(folder, "b.py", "Cap the candidates of very common terms")
    return folder


async def live(world: World, source: str) -> dict[str, str]:
    found = await world.memories.list_memories(MemoryFilter(source_system=source), limit=100)
    return {memory.source_key: memory.content for memory in found}


async def test_a_history_is_imported_once_and_then_followed(world: World, repository: Path) -> None:
    first = await world.ingestion.import_history(repository)
    assert (first.seen, first.stored, first.project) == (2, 2, "walrus")
    again = await world.ingestion.import_history(repository)
    assert (again.seen, again.stored) == (0, 0)
    sha = commit(repository, "c.py", "Follow along")
    more = await world.ingestion.import_history(repository)
    assert (more.seen, more.stored) == (1, 1)
    assert sha in await live(world, "git")
    result = await world.retriever.search(
        SearchRequest(query="common terms", wanted=MemoryFilter(projects=("walrus",)))
    )
    best = result.hits[0].memory
    assert best.metadata["subject"] == "Cap the candidates of very common terms"
    assert best.commit_id == best.source_key and "Files: b.py" in best.content


async def test_a_rewritten_history_replaces_what_is_gone(world: World, repository: Path) -> None:
    (repository / ".git/long").write_text("A third\n\n" + "word " * 60_000)  # three memories
    git(repository, "commit", "-q", "--allow-empty", "-F", ".git/long")
    gone = git(repository, "rev-parse", "HEAD")
    await world.ingestion.import_history(repository)
    assert f"{gone}~2" in await live(world, "git")
    git(repository, "branch", "kept", "HEAD~1")
    git(repository, "reset", "-q", "--hard", "HEAD~2")
    new = commit(repository, "d.py", "Another second")
    outcome = await world.ingestion.import_history(repository)
    assert (outcome.seen, outcome.stored, outcome.unchanged, outcome.removed) == (2, 1, 1, 3)
    known = git(repository, "rev-list", "kept").split()
    assert (await live(world, "git")).keys() == {new, *known}, "what a branch has stays"


async def test_a_project_is_recognised_by_path_remote_and_worktree(
    world: World, repository: Path, tmp_path: Path
) -> None:
    git(repository, "remote", "add", "origin", "git@host.example:team/walrus.git")
    project = await world.projects.identify(repository)
    moved = repository.rename(tmp_path / "renamed")
    assert await world.projects.identify(moved) == project
    tree = tmp_path / "tree"
    git(moved, "worktree", "add", "-q", str(tree))
    assert await world.projects.identify(tree) == project
    assert (await read_aliases(tree)).path == (await read_aliases(moved)).path


async def test_a_fork_and_a_namesake_are_other_projects(
    world: World, repository: Path, tmp_path: Path
) -> None:
    git(repository, "remote", "add", "origin", "https://host.example/team/walrus")
    original = await world.projects.identify(repository)
    fork = tmp_path / "elsewhere" / "walrus"
    fork.parent.mkdir()
    git(tmp_path, "clone", "-q", str(repository), str(fork))
    git(fork, "remote", "set-url", "origin", "https://host.example/other/walrus")
    forked = await world.projects.identify(fork)
    assert forked.id != original.id and forked.name == "elsewhere/walrus"


async def test_an_empty_repository_and_a_plain_folder(world: World, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    outcome = await world.ingestion.import_history(tmp_path / "empty")
    assert outcome.seen == 0
    (tmp_path / "plain").mkdir()
    for missing in (tmp_path / "plain", tmp_path / "nowhere"):
        with pytest.raises(NotFound):
            await world.ingestion.import_history(missing)


async def test_hooks_and_programs_of_a_repository_do_not_run(
    world: World, repository: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "gpg.program"):
        git(repository, "config", key, str(script))
    git(repository, "config", "log.showSignature", "true")
    assert (await world.ingestion.import_history(repository)).stored == 2
    assert not trap.exists()


async def test_markdown_is_kept_in_line_with_its_files(world: World, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Keeper\n\nStops after 60 s.\n\n## Lease\n\nA shared lock.\n")
    (docs / "b.md").write_text("# Spool\n\nFsynced.\n")
    (docs / "bad.md").write_bytes(b"\xff\xfe broken")
    first = await world.ingestion.import_markdown(docs)
    assert (first.seen, first.stored, dict(first.skipped)) == (3, 3, {"not UTF-8": 1})
    again = await world.ingestion.import_markdown(docs)
    assert (again.stored, again.changed, again.unchanged) == (0, 0, 3)
    (docs / "a.md").write_text("# Keeper\n\nStops after 50 s.\n\n## Lease\n\nA shared lock.\n")
    (docs / "b.md").unlink()
    third = await world.ingestion.import_markdown(docs)
    assert (third.stored, third.changed, third.removed, third.unchanged) == (0, 1, 1, 1)
    kept = await live(world, "markdown")
    assert set(kept) == {f"{docs}/a.md#keeper", f"{docs}/a.md#lease"}
    assert "50 s" in kept[f"{docs}/a.md#keeper"]
    result = await world.retriever.search(SearchRequest(query="keeper lease"))
    assert result.hits[0].memory.path == "a.md"


async def test_each_run_tells_how_it_ended(world: World, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# One\n\nText.\n")
    await world.ingestion.import_markdown(docs)
    (docs / "a.md").write_text("# One\n\nOther text.\n")

    async def break_off(*_: object, **__: object) -> None:
        raise NotFound("gone", code="test.gone")

    world.memories.supersede = break_off  # type: ignore[method-assign,assignment]  # fault injection
    with pytest.raises(NotFound):
        await world.ingestion.import_markdown(docs)
    async with world.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT status, stored, error, finished_at FROM rag_ingestions ORDER BY started_at"
        )
    assert [row["status"] for row in rows] == ["completed", "failed"]
    assert rows[0]["stored"] == 1 and rows[1]["error"] == "test.gone: gone"
    assert all(row["finished_at"] for row in rows)


async def test_a_run_says_what_was_read_of_which_repository(world: World, tmp_path: Path) -> None:
    repository = tmp_path / "reef"
    repository.mkdir()
    git(repository, "init", "-q")
    (repository / "a.md").write_text("# One\n\nText.\n\n# Two\n\nText.\n")
    (repository / "b.md").write_text("# Three\n\nText.\n")
    head = commit(repository, "c.py", "Begin")
    await world.ingestion.import_markdown(repository)
    await world.ingestion.import_history(repository)
    async with world.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT repo_id, repo_path, commit_id, documents_count, chunks_count "
            "FROM rag_ingestions ORDER BY started_at"
        )
    where = (head, str(repository), head)  # without a remote it is the first commit
    assert [tuple(row) for row in rows] == [(*where, 2, 3), (*where, 1, 1)]


async def test_only_what_was_killed_of_the_same_source_is_marked(
    world: World, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        await world.ingestion.import_markdown(tmp_path / name, project="p")
    async with world.database.connection() as connection:
        await connection.execute("UPDATE rag_ingestions SET status = 'in_progress'")
        await world.ingestion.import_markdown(tmp_path / "one", project="p")
        rows = await connection.fetch(
            "SELECT right(source, 3) AS name, status FROM rag_ingestions ORDER BY started_at"
        )
    assert [tuple(row) for row in rows] == [
        ("one", "failed"), ("two", "in_progress"), ("one", "completed"),
    ]  # fmt: skip


async def test_links_do_not_lead_out_of_the_folder(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Secret\n\nKeep out.\n")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "link.md").symlink_to(tmp_path / "secret.md")
    outcome = await world.ingestion.import_markdown(docs)
    assert outcome.seen == 0 and dict(outcome.skipped) == {"leads out of the folder": 1}


async def test_two_folders_of_one_project_leave_each_other_alone(
    world: World, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text(f"# Title\n\nOf {name}.\n")
    for name in ("one", "two", "one"):
        await world.ingestion.import_markdown(tmp_path / name, project="both")
    assert sorted(await live(world, "markdown")) == sorted(
        f"{tmp_path / name}/a.md#title" for name in ("one", "two")
    )


async def test_folders_of_a_repository_share_their_paths(world: World, repository: Path) -> None:
    (repository / "docs").mkdir()
    (repository / "docs" / "a.md").write_text("# Title\n\nText.\n")
    (repository / "README.md").write_text("# Walrus\n\nText.\n")
    whole = await world.ingestion.import_markdown(repository)
    part = await world.ingestion.import_markdown(repository / "docs")
    assert (whole.stored, part.unchanged, part.removed, part.project) == (2, 1, 0, "walrus")
    root = git(repository, "rev-list", "--max-parents=0", "HEAD")
    keys = {f"{root}:README.md#walrus", f"{root}:docs/a.md#title"}
    assert set(await live(world, "markdown")) == keys


async def test_a_second_repository_of_a_project_removes_nothing_of_the_first(
    world: World, repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "seal"
    other.mkdir()
    git(other, "init", "-q")
    for folder in (repository, other):
        (folder / "LICENSE.md").write_text("# Licence\n\nThe same in both.\n")
        (folder / "README.md").write_text(f"# Title\n\nOf {folder.name}.\n")
        commit(folder, "c.py", f"Begin {folder.name}")
    for folder in (repository, other, repository):
        outcome = await world.ingestion.import_markdown(folder, project="ocean")
        assert (outcome.changed, outcome.removed) == (0, 0)
    assert len(await live(world, "markdown")) == 4
    # A remote that is added later makes it no other repository, nor does another folder.
    git(other, "remote", "add", "origin", "https://host.example/team/seal")
    again = await world.ingestion.import_markdown(other, project="ocean")
    moved = other.rename(tmp_path / "renamed")
    follows = await world.ingestion.import_markdown(moved, project="ocean")
    assert (again.unchanged, again.stored, follows.unchanged, follows.stored) == (2, 0, 2, 0)


async def as_former_release_left_it(world: World) -> None:
    """Take from memories and imports what releases before kept nothing of: the repository."""
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE memories SET source_key = split_part(source_key, ':', 2), repo_id = NULL"
        )
        await connection.execute("UPDATE rag_ingestions SET metadata = '{}', repo_id = NULL")


async def test_what_a_former_release_imported_is_neither_lost_nor_doubled(
    world: World, repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "seal"
    other.mkdir()
    git(other, "init", "-q")
    commit(other, "a.py", "Begin")
    for folder in (repository, other):
        (folder / "README.md").write_text(f"# Title\n\nOf {folder.name}.\n")
    (repository / "LICENSE.md").write_text("# Licence\n\nFree.\n")
    await world.ingestion.import_markdown(repository, project="ocean")
    await as_former_release_left_it(world)
    second = await world.ingestion.import_markdown(other, project="ocean")
    assert (second.stored, second.changed, second.removed) == (1, 0, 0)
    (repository / "README.md").write_text("# Title\n\nChanged.\n")
    first = await world.ingestion.import_markdown(repository, project="ocean")
    assert (first.stored, first.changed, first.unchanged, first.removed) == (0, 1, 1, 0)
    texts = sorted((await live(world, "markdown")).values())
    assert texts == ["# Licence\n\nFree.", "# Title\n\nChanged.", "# Title\n\nOf seal."]


async def test_a_run_of_a_former_release_that_failed_owns_nothing(
    world: World, repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "seal"
    other.mkdir()
    git(other, "init", "-q")
    for folder in (repository, other):
        (folder / "README.md").write_text(f"# Title\n\nOf {folder.name}.\n")
        commit(folder, "a.py", f"Begin {folder.name}")
    await world.ingestion.import_markdown(repository, project="ocean")
    await as_former_release_left_it(world)
    async with world.database.connection() as connection:
        await connection.execute(
            "INSERT INTO rag_ingestions (id, scope_no, source, kind, status) "
            "SELECT gen_random_uuid(), scope_no, $1, kind, 'failed' FROM rag_ingestions",
            str(other),
        )
    outcome = await world.ingestion.import_markdown(other, project="ocean")
    assert (outcome.stored, outcome.changed, outcome.removed) == (1, 0, 0)


async def test_copies_with_the_same_first_commit_are_two(
    world: World, repository: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    for folder in (repository, copy, repository):
        (folder / "README.md").write_text(f"# Title\n\nOf {folder.name}.\n")
        outcome = await world.ingestion.import_markdown(folder, project="ocean")
        assert (outcome.changed, outcome.removed) == (0, 0)
    assert len(await live(world, "markdown")) == 2


async def test_a_source_that_becomes_a_repository_or_begins_anew_stays_one(
    world: World, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# Title\n\nText.\n")
    await world.ingestion.import_markdown(docs, project="ocean")
    git(docs, "init", "-q")
    commit(docs, "a.py", "Begin")
    became = await world.ingestion.import_markdown(docs, project="ocean")
    git(docs, "commit", "-q", "--amend", "-m", "Begin otherwise")
    anew = await world.ingestion.import_markdown(docs, project="ocean")
    assert (became.stored, became.unchanged, anew.stored, anew.unchanged) == (0, 1, 0, 1)
    assert len(await live(world, "markdown")) == 1


async def test_what_a_folder_leaves_out_is_not_forgotten_by_its_import(
    world: World, repository: Path
) -> None:
    hidden = repository / ".agents"
    for folder in (repository, hidden):
        folder.mkdir(exist_ok=True)
        (folder / "a.md").write_text("# Title\n\nText.\n")
    for folder, stored in ((hidden, 1), (repository, 1), (hidden, 0), (repository, 0)):
        outcome = await world.ingestion.import_markdown(folder)
        assert (outcome.stored, outcome.removed) == (stored, 0)


async def test_another_repository_in_the_same_place_asks_before_it_takes_over(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "walrus"

    def begin(name: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "docs").mkdir(parents=True)
        git(folder, "init", "-q")
        for path in (folder / "README.md", folder / "docs" / "a.md"):
            path.write_text(f"# Deploy\n\nOf {name}.\n")
        commit(folder, "a.py", f"Begin {name}")

    begin("alpha")
    await world.ingestion.import_markdown(folder)
    begin("beta")
    for _ in range(2):  # a refused import settles nothing
        with pytest.raises(UsageError, match="2 of the 2") as refused:
            await world.ingestion.import_markdown(folder)
        assert refused.value.code == "import.forgets_most"
    assert set((await live(world, "markdown")).values()) == {"# Deploy\n\nOf alpha."}
    # An import of a part settles that part alone, and one of the whole all of it.
    done = []
    for part, name, agreed in (
        (folder / "docs", "beta", True), (folder / "docs", "beta 2", False),
        (folder, "beta 3", True), (folder, "beta 4", False),
    ):  # fmt: skip
        for path in (folder / "README.md", folder / "docs" / "a.md"):
            path.write_text(f"# Deploy\n\nOf {name}.\n")
        if agreed:
            with pytest.raises(UsageError, match="first commit"):
                await world.ingestion.import_markdown(part)
        outcome = await world.ingestion.import_markdown(part, forget_most=agreed)
        done.append((outcome.changed, outcome.removed))
    assert done == [(1, 0), (1, 0), (2, 0), (2, 0)]


async def test_a_repository_forgets_nothing_of_the_folder_around_it(
    world: World, repository: Path, tmp_path: Path
) -> None:
    (repository / "README.md").write_text("# Title\n\nOf walrus.\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# Note\n\nText.\n")
    outcomes = [
        await world.ingestion.import_markdown(folder, project="ocean")
        for folder in (tmp_path, repository) * 2
    ]
    done = [(each.stored, each.unchanged, each.removed) for each in outcomes]
    assert done == [(2, 0, 0), (1, 0, 0), (0, 2, 0), (0, 1, 0)]


async def test_more_than_half_is_forgotten_only_on_purpose(world: World, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(f"# {name}\n\nText.\n")
    await world.ingestion.import_markdown(docs)
    (docs / "a.md").unlink()
    (docs / "b.md").unlink()
    with pytest.raises(UsageError, match="2 of the 3") as refused:
        await world.ingestion.import_markdown(docs)
    assert refused.value.code == "import.forgets_most"
    assert len(await live(world, "markdown")) == 3
    assert (await world.ingestion.import_markdown(docs, forget_most=True)).removed == 2


async def test_a_named_project_is_tied_to_the_repository(world: World, repository: Path) -> None:
    outcome = await world.ingestion.import_history(repository, project="ocean")
    assert outcome.project == "ocean"
    assert (await world.projects.identify(repository)).name == "ocean"


async def test_a_project_made_by_hand_is_adopted_by_its_folder(
    world: World, repository: Path
) -> None:
    made = await world.scopes.own_project("walrus")
    assert (await world.projects.identify(repository)).id == made


def test_traps_spring_without_our_care(tmp_path: Path, repository: Path) -> None:
    """The repository of the next test is a trap: plain git falls into it."""
    trap = set_trap(repository, tmp_path)
    subprocess.run(["git", "log", "--name-only"], cwd=repository, capture_output=True, check=False)
    assert trap.exists()


async def test_a_repository_cannot_make_reading_it_run_a_program(
    world: World, repository: Path, tmp_path: Path
) -> None:
    trap = set_trap(repository, tmp_path)
    with pytest.raises((UsageError, NotFound)):
        await world.ingestion.import_history(repository)
    assert not trap.exists()


def set_trap(repository: Path, folder: Path) -> Path:
    """Make git fetch a missing object, by a program that the configuration names."""
    trap = folder / "sprung"
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for key, value in (
        ("core.repositoryFormatVersion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"), ("remote.origin.url", "ssh://x/x"),
        ("core.sshCommand", f"touch {trap}; false"),
    ):  # fmt: skip
        git(repository, "config", key, value)
    return trap


async def test_a_folder_that_poses_as_a_repository_is_not_one(world: World, tmp_path: Path) -> None:
    posing = tmp_path / "docs"
    git(tmp_path, "init", "-q", "--bare", str(posing))
    trap = tmp_path / "sprung"
    (posing / "config").write_text(
        f"[core]\nbare = false\nworktree = .\nfsmonitor = touch {trap}\nsshCommand = touch {trap}\n"
    )
    (posing / "guide.md").write_text("# Guide\n\nText.\n")
    outcome = await world.ingestion.import_markdown(posing)
    assert (outcome.stored, outcome.project) == (1, "docs")
    assert not trap.exists()


async def test_a_tracked_file_called_head_confuses_nobody(world: World, repository: Path) -> None:
    commit(repository, "HEAD", "Add a file called HEAD")
    assert (await world.ingestion.import_history(repository)).stored == 3


async def test_what_cannot_be_read_this_time_is_not_forgotten(world: World, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# One\n\nText.\n")
    await world.ingestion.import_markdown(docs)
    note = await world.memories.store(
        NewMemory(content="Mine.", collection="document", source_system="markdown", project="docs")
    )
    (docs / "a.md").write_bytes(b"# One\n\n\xff\n")
    outcome = await world.ingestion.import_markdown(docs)
    assert (outcome.removed, dict(outcome.skipped)) == (0, {"not UTF-8": 1})
    assert f"{docs}/a.md#one" in await live(world, "markdown")
    assert (await world.memories.get(note.id)).content == "Mine."


async def test_a_section_that_moved_knows_where_it_stands(world: World, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    head = "---\ntitle: Front\n---\n"
    (docs / "a.md").write_text(f"{head}# One\n\nText.\n")
    await world.ingestion.import_markdown(docs)
    (docs / "a.md").write_text(f"\ufeff{head}# Zero\n\nNew.\n\n# One\n\nText.\n")
    outcome = await world.ingestion.import_markdown(docs)
    assert (outcome.stored, outcome.unchanged) == (1, 1)
    found = await world.memories.list_memories(MemoryFilter(source_system="markdown"))
    lines = {m.metadata["heading"]: m.metadata["start_line"] for m in found}
    assert lines == {"Zero": 4, "One": 8}
