"""Repositories in the database: what is known of them, and how their chunks follow the files."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, NotFound, Unavailable, UsageError
from mahavishnu.embedding.port import Vector
from mahavishnu.factories import store_files_maker
from mahavishnu.knowledge.dependencies import draw_mermaid, find_cycle
from mahavishnu.knowledge.repos_file import read_repos_file
from mahavishnu.knowledge.repositories import Repository
from mahavishnu.knowledge.repository_ingestion import RepositoryIngestion, Splitting, StoreFiles
from mahavishnu.memory.models import MemoryFilter
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World
from tests.support.fakes import FakeEmbedder
from tests.support.ingesting import Ingesting, Killed, commit, git, write

pytestmark = pytest.mark.postgres


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    write(root, a_py="def a():\n    pass\n", sub__b_py="x = 1\ny = 2\nz = 3\n", c_py="c = 3\n")
    return root


async def test_only_what_changed_is_stored_and_what_is_gone_is_forgotten(
    world: World, tree: Path
) -> None:
    first = commit(tree)
    use = Ingesting(world)
    repository = await use.repositories.add(tree)
    done = await use.ingestion.ingest(repository)
    assert (done.documents, done.chunks, done.stored, done.commit) == (3, 6, 6, first)
    assert {row[3] for row in await use.rows()} == {first}
    use.stored.clear()
    again = await use.ingestion.ingest(repository)
    assert use.stored == [] and (again.unchanged, again.stored, again.chunks) == (3, 0, 6)

    write(tree, a_py="def a():\n    return 1\n")
    (tree / "c.py").rename(tree / "d.py")
    (tree / "sub/b.py").rename(tree / "mine.ini")
    write(tree, **{"mine.ini": "password=hunter2\n"})
    third = await use.ingestion.ingest(repository)
    assert sorted(use.stored) == ["a.py", "d.py"] and third.skipped == {"may hold secrets": 1}
    assert (third.changed, third.removed, third.chunks) == (1, 2, 3)
    assert {(path, text, sha) for _, path, text, sha, _ in await use.rows()} == {
        ("a.py", "def a():", None), ("a.py", "    return 1", None), ("d.py", "c = 3", None),
    }  # fmt: skip
    (tree / "mine.ini").unlink()
    second = commit(tree)
    use.stored.clear()
    await use.ingestion.ingest(repository)
    assert use.stored == [] and {row[3] for row in await use.rows()} == {second}


@pytest.mark.parametrize("die_after", [0, 1, 2])
async def test_after_a_kill_a_rerun_gives_the_rows_of_a_clean_run(
    open_world: OpenWorld, tree: Path, die_after: int
) -> None:
    async with open_world() as world:
        clean = Ingesting(world)
        repository = await clean.repositories.add(tree)
        await clean.ingestion.ingest(repository)
        before = await clean.rows()
        write(tree, a_py="a = 1\nb = 2\n", sub__b_py="n = 4\n", c_py="c = 9\nd = 9\n")
        with pytest.raises(Killed):
            await Ingesting(world, die_after=die_after).ingestion.ingest(repository)
        assert await clean.rows() != before
        await clean.ingestion.ingest(repository)
        mended = await clean.rows()
        assert await clean.ingestion.remove(repository) == len(mended)
        assert await clean.rows() == set()
        again = await clean.repositories.add(tree)
        await clean.ingestion.ingest(again)
        assert await clean.rows() == mended


async def test_the_row_of_a_run_tells_how_it_is(world: World, tree: Path) -> None:
    use = Ingesting(world)
    repository = await use.repositories.add(tree)
    [unread] = await use.repositories.look([repository])
    assert unread.last_run is None
    seen: list[tuple[str, int]] = []

    class Looking(Ingesting):
        async def _make(self, repository: Repository, splitting: Splitting) -> StoreFiles:
            [now] = await self.repositories.look([repository])
            assert now.last_run is not None
            seen.append((now.last_run.status, now.last_run.documents))
            return await super()._make(repository, splitting)

    await Looking(world).ingestion.ingest(repository, metadata={"why": "test"})
    assert seen == [("in_progress", 0)]
    [done] = await use.repositories.look([repository])
    assert done.last_run is not None and done.last_run.status == "completed"
    assert (done.files, done.chunks, done.last_run.documents, done.last_run.chunks) == (3, 6, 3, 6)

    write(tree, a_py="changed\n")
    with pytest.raises(Killed):
        await Ingesting(world, die_after=0).ingestion.ingest(repository)
    # As a kill leaves it: in progress, and nobody holds its lock.
    statement = """UPDATE rag_ingestions SET status = 'in_progress', finished_at = NULL, error = NULL
        WHERE started_at = (SELECT max(started_at) FROM rag_ingestions)"""
    await world.database.run(lambda c: c.execute(statement))
    [killed] = await use.repositories.look([repository])
    assert killed.last_run is not None and killed.last_run.status == "failed"
    assert killed.last_run.error == "interrupted: it did not end by itself"


async def test_a_second_run_is_refused_until_the_first_has_ended(
    world: World, open_world: OpenWorld, tree: Path
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Waiting(Ingesting):
        async def _make(self, repository: Repository, splitting: Splitting) -> StoreFiles:
            begun.set()
            await go_on.wait()
            return await super()._make(repository, splitting)

    use = Ingesting(world)
    repository = await use.repositories.add(tree)
    async with asyncio.TaskGroup() as group, open_world(at=world.database.target) as other:
        first = group.create_task(Waiting(world).ingestion.ingest(repository))
        await begun.wait()
        for each in (use, Ingesting(other)):  # in the same process, and as another has it
            with pytest.raises(Conflict, match="being ingested already"):
                await each.ingestion.ingest(repository)
            with pytest.raises(Conflict, match="being ingested already"):
                await each.ingestion.remove(repository)
            [status] = await each.repositories.look([repository])
            assert status.last_run is not None and status.last_run.status == "in_progress"
        go_on.set()
        assert (await first).stored == 6
        assert (await Ingesting(other).ingestion.ingest(repository)).unchanged == 3


async def test_a_model_that_is_lost_in_the_middle_leaves_chunks_that_wait(
    open_world: OpenWorld, tree: Path
) -> None:
    class Lost(FakeEmbedder):
        async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
            if any("x = 1" in text for text in texts):  # of sub/b.py, the last one
                raise Unavailable("The server does not answer.", code="embedding.unreachable")
            return await super().embed_documents(texts)

    async with open_world(Lost()) as world:
        use = Ingesting(world)
        done = await use.ingestion.ingest(await use.repositories.add(tree))
        assert (done.documents, done.stored, done.waiting) == (3, 6, 3)
        [status] = await use.repositories.look(await use.repositories.list_all())
        assert status.waiting == 3 and status.last_run is not None
        assert status.last_run.status == "completed"
        assert status.last_run.error == "waiting for their vectors: 3 chunks"


async def test_what_is_stored_stays_where_the_files_are_not_there(world: World, tree: Path) -> None:
    use = Ingesting(world)
    repository = await use.repositories.add(tree)
    await use.ingestion.ingest(repository)
    before = await use.rows()
    tree.rename(tree.with_name("away"))
    with pytest.raises(NotFound, match="not there"):
        await use.ingestion.ingest(repository)
    [status] = await use.repositories.look([repository])
    assert status.last_run is not None and status.last_run.status == "failed"
    assert status.last_run.error == f"repository.not_found: {tree} is not there."
    tree.mkdir()  # as where its disk is not mounted
    with pytest.raises(Conflict, match="no file any more"):
        await use.ingestion.ingest(repository)
    assert await use.rows() == before


async def test_groups_and_dependencies_are_those_of_the_file(world: World, tmp_path: Path) -> None:
    for name in ("api", "models", "web"):
        write(tmp_path / name, a_py=f"{name} = 1\n")
    file = tmp_path / "repos.yaml"
    file.write_text(
        "repositories:\n"
        "  - {path: api, groups: [back], depends_on: [models]}\n"
        "  - {path: models, groups: [back, core], depends_on: [api]}\n"
        "  - {path: web, depends_on: [api], exclude: [docs]}\n"
    )
    use = Ingesting(world)
    added = await use.repositories.add_entries(read_repos_file(file, home=tmp_path))
    assert [(each.name, each.groups, each.depends_on) for each in added] == [
        ("api", ("back",), ("models",)), ("models", ("back", "core"), ("api",)), ("web", (), ("api",)),
    ]  # fmt: skip
    assert [each.name for each in await use.repositories.select(group="core")] == ["models"]
    assert [each.name for each in await use.repositories.select(names=["web", str(tmp_path / "api")])] == [
        "web", "api",
    ]  # fmt: skip
    graph = {each.name: each.depends_on for each in added}
    cycle = find_cycle(graph)
    assert cycle in (["api", "models", "api"], ["models", "api", "models"])
    assert (await use.repositories.add(tmp_path / "web")).exclude == ("docs",)
    assert "r2 --> r0" in draw_mermaid(graph) and 'r2["web"]' in draw_mermaid(graph)
    file.write_text("repositories:\n  - {path: models}\n")
    known = [each.name for each in added]
    [models] = await use.repositories.add_entries(read_repos_file(file, home=tmp_path, known=known))
    assert (models.groups, models.depends_on) == ((), ())
    await use.repositories.remove(await use.repositories.find("api"))
    assert [(e.name, e.depends_on) for e in await use.repositories.list_all()] == [
        ("models", ()), ("web", ()),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="called wbe"):
        await use.repositories.find("wbe")


async def test_what_is_no_repository_of_its_own_is_refused(world: World, tree: Path) -> None:
    use = Ingesting(world)
    commit(tree)
    write(tree, ignored__lib_py="x = 1\n")
    (tree / ".gitignore").write_text("ignored\n")
    with pytest.raises(UsageError, match="inside the repository"):
        await use.repositories.add(tree / "sub")
    assert (await use.repositories.add(tree / "ignored")).name == "ignored"
    for place, error in (("a.py", NotFound), ("nowhere", NotFound), (".git", UsageError)):
        with pytest.raises(error):
            await use.repositories.add(tree / place)
    await use.repositories.add(tree)
    other = tree.with_name("other")
    other.mkdir()
    with pytest.raises(Conflict, match="shop is the name of"):
        await use.repositories.add(other, name="shop")
    assert (await use.repositories.add(other, name="fair")).path == other
    if os.getuid() != 0:
        other.chmod(0)
        with pytest.raises(Unavailable, match="cannot be read"):
            await use.repositories.add(other)
        other.chmod(0o700)


async def test_what_is_refused_leaves_nothing_behind(world: World, tree: Path) -> None:
    add, fork, file = world.repositories.add, tree.with_name("fork"), tree.with_name("repos.yaml")
    for root in (tree, fork):
        write(root, a_py=f"{root.name} = 1\n")
        commit(root)
    await add(tree)
    with pytest.raises(Conflict, match="shop is the name of"):
        await add(fork, name="shop")
    with pytest.raises(Conflict, match=r"is the repository shop already") as known:
        await add(tree, name="store")
    assert known.value.code == "repository.known" and (await add(tree)).name == "shop"
    tree.with_name("new").mkdir()
    file.write_text("repositories:\n  - path: new\n  - {path: fork, name: shop, groups: [g]}\n")
    with pytest.raises(Conflict, match=f"^{file}, line 3: shop is the name of") as refused:
        await world.repositories.add_entries(read_repos_file(file, home=tree))
    assert refused.value.code == "repository.name_taken"
    assert [each.path for each in await world.repositories.list_all()] == [tree]
    rows = await world.database.run(lambda c: c.fetch("SELECT name FROM projects"))
    assert [row["name"] for row in rows] == ["shop"]
    assert (await world.projects.identify(fork)).name == "fork"


async def test_two_checkouts_of_a_repository_are_told_apart(world: World, tree: Path) -> None:
    commit(tree)
    use, worktree = Ingesting(world), tree.with_name("worktree")
    git(tree, "worktree", "add", "-q", str(worktree))
    identify, add = world.projects.identify, use.repositories.add
    assert (await identify(tree)).name == "shop"
    store, other = await add(tree, name="store"), await add(worktree, name="other")
    assert store.repo_id == other.repo_id and await add(worktree) == other
    assert [(await identify(each)).name for each in (tree, worktree)] == ["store", "other"]
    await use.ingestion.ingest(store)
    read, unread = await use.repositories.look([store, other])
    assert (read.chunks, read.last_run is None) == (6, False)
    assert (unread.chunks, unread.last_run) == (0, None)
    with pytest.raises(Conflict, match="is checked out as other and store"):
        await use.repositories.find(store.repo_id)
    for each in (store, other):
        await use.repositories.remove(each)
    assert [(await identify(each)).name for each in (tree, worktree)] == ["store", "store"]


async def test_memories_of_a_repository_have_one_repo_id(world: World, tree: Path) -> None:
    write(tree, README_md="# Shop\nSells things.\n")
    (tree / "README_md").rename(tree / "README.md")
    commit(tree)
    use = Ingesting(world)
    repository = await use.repositories.add(tree)
    await use.ingestion.ingest(repository)
    imported = await world.ingestion.import_markdown(tree)
    history = await world.ingestion.import_history(tree)
    assert imported.repository == history.repository == repository.repo_id
    wanted = MemoryFilter(repo_id=repository.repo_id)
    found = await world.retriever.search(
        SearchRequest(query="change x = 1", wanted=wanted, limit=20)
    )
    assert {hit.memory.source_system for hit in found.hits} == {"repository", "markdown", "git"}


async def test_a_repository_that_moved_keeps_its_chunks(world: World, tree: Path) -> None:
    commit(tree)
    use = Ingesting(world)
    await use.ingestion.ingest(await use.repositories.add(tree))
    before = await use.rows()
    moved = tree.with_name("moved")
    tree.rename(moved)
    repository = await use.repositories.add(moved)
    assert (repository.name, repository.path) == ("shop", moved)
    use.stored.clear()
    await use.ingestion.ingest(repository)
    assert use.stored == [] and await use.rows() == before
    assert replace(repository, path=tree) in [
        replace(r, path=tree) for r in await use.repositories.list_all()
    ]


async def test_a_run_with_the_engine_turned_off_is_refused(world: World, tree: Path) -> None:
    repository = await world.repositories.add(tree)
    off = RepositoryIngestion(
        world.database, world.memories, world.repositories, world.space,
        store_files_maker(world.memories, world.retriever), Splitting(), enabled=False,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"adapters\.llamaindex is false"):
        await off.ingest(repository)
    assert Splitting().within(256) == Splitting(224, 20) and Splitting().within(0) == Splitting()
