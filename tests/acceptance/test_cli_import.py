"""Importing with the installed command: again and again, and after being killed in the middle."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.database.embedded.state import KeeperRecord, Layout
from tests.support.command import Command

pytestmark = pytest.mark.postgres

COUNTS = ("seen", "stored", "changed", "removed", "unchanged")
# The import does not come beyond the last file, and so does not end.
HOLD_UP = """
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.content LIKE '%word9x%' THEN PERFORM pg_sleep(600); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold_up BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION hold_up();
"""


def imported(command: Command, kind: str, source: Path, *words: str) -> tuple[int, ...]:
    body = command("memory", "import", kind, source, "--json", *words).json
    assert set(body) == {"source", "project", "waiting", "skipped", "skipped_files", *COUNTS}
    return tuple(body[name] for name in COUNTS)


def rows(command: Command, project: str) -> dict[str, Any]:
    """Return the live memories of a project: content by path and heading, or by commit."""
    found = command("memory", "list", "--project", project, "--limit", "1000", "--json").json
    return {
        item.get("commit") or f"{item['path']}#{item['metadata']['heading']}": item["content"]
        for item in found["memories"]
    }


def git(folder: Path, *words: str) -> None:
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@x", "GIT_COMMITTER_NAME": "A",
           "GIT_COMMITTER_EMAIL": "a@x", "GIT_CONFIG_GLOBAL": os.devnull}  # fmt: skip
    subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True
    )


def commit(folder: Path, name: str, *words: str) -> None:
    (folder / name).write_text(name)
    git(folder, "add", name)
    git(folder, "commit", "-m", f"Add {name}", *words)


def test_markdown_is_brought_in_line(mahavishnu: Command, project: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n\nFirst.\n\n## Two\n\nSecond.\n")
    (tmp_path / "b.md").write_text("# Three\n\nThird.\n")
    there = ("--project", project)
    assert imported(mahavishnu, "markdown", tmp_path, *there) == (3, 3, 0, 0, 0)
    assert imported(mahavishnu, "markdown", tmp_path, *there) == (3, 0, 0, 0, 3)
    (tmp_path / "a.md").write_text("# One\n\nFirst, but different.\n\n## New\n\nAdded.\n")
    (tmp_path / "b.md").unlink()
    refused = mahavishnu("memory", "import", "markdown", tmp_path, *there, "--json")
    assert refused.status == 2 and refused.error["code"] == "import.forgets_most"
    seen, stored, changed, _, unchanged = imported(
        mahavishnu, "markdown", tmp_path, *there, "--yes"
    )
    assert (seen, stored, changed, unchanged) == (2, 1, 1, 0)
    assert rows(mahavishnu, project) == {
        "a.md#One": "# One\n\nFirst, but different.",
        "a.md#New": "## New\n\nAdded.",
    }
    (tmp_path / "nul.md").write_text("# Nul\n\na\0b\n")
    told = mahavishnu("memory", "import", "markdown", tmp_path, *there).out
    assert told.splitlines()[:2] == [
        f"{project}: 0 new, 0 changed, 0 removed, 2 unchanged",
        "  skipped 1: holds a NUL byte (nul.md)",
    ]
    # A second folder in the same project leaves the first one's sections alone.
    second = tmp_path / "second"
    second.mkdir()
    (second / "c.md").write_text("# Four\n\nFourth.\n")
    assert imported(mahavishnu, "markdown", second, *there) == (1, 1, 0, 0, 0)
    assert len(rows(mahavishnu, project)) == 3


def test_history_is_followed_and_may_be_rewritten(mahavishnu: Command, tmp_path: Path) -> None:
    folder = tmp_path / f"repository-{os.getpid()}"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    assert imported(mahavishnu, "git", folder) == (0, 0, 0, 0, 0)
    commit(folder, "one")
    commit(folder, "two")
    assert imported(mahavishnu, "git", folder) == (2, 2, 0, 0, 0)
    assert imported(mahavishnu, "git", folder) == (0, 0, 0, 0, 0)
    commit(folder, "three")
    assert imported(mahavishnu, "git", folder / ".") == (1, 1, 0, 0, 0)
    git(folder, "commit", "--amend", "-m", "Say it better")
    seen, stored, _, _, unchanged = imported(mahavishnu, "git", folder)
    assert (seen, stored, unchanged) == (3, 1, 2)
    texts = list(rows(mahavishnu, folder.name).values())
    assert "Say it better\n\nFiles: three" in texts


def test_an_import_that_was_killed_is_taken_up_again(alone: Command) -> None:
    sections = 400
    folder = alone.home / "documents"
    folder.mkdir()
    for number in range(20):
        parts = (
            f"# Section {number}.{part}\n\n{' '.join(f'word{number}x{part}x{n}' for n in range(60))}"
            for part in range(sections // 20)
        )
        (folder / f"{number}.md").write_text("\n\n".join(parts))
    count = "SELECT count(*) FROM memories"
    alone("db", "init")
    alone.sql(HOLD_UP)
    killed = alone.start("memory", "import", "markdown", folder, "--project", "p")
    until = time.monotonic() + 60
    while not (between := int(alone.sql(count))) and killed.poll() is None:
        assert time.monotonic() < until
    assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 0 < between < sections
    lock = Layout(alone.root / "data/postgres").keeper_lock
    record = KeeperRecord.read(lock)
    assert record and record.postmaster
    until = time.monotonic() + 60  # the idle time of two seconds, a poll and a shutdown
    while record.keeper.alive or record.postmaster.alive:
        assert time.monotonic() < until
        time.sleep(0.05)

    alone.sql("DROP FUNCTION hold_up CASCADE")
    runs = "SELECT status, split_part(error, ':', 1) FROM rag_ingestions ORDER BY started_at"
    assert alone.sql(runs) == "in_progress|"
    assert imported(alone, "markdown", folder, "--project", "p")[0] == sections
    assert alone.sql(runs).splitlines() == ["failed|interrupted", "completed|"]
    assert imported(alone, "markdown", folder, "--project", "clean")[:2] == (sections, sections)
    assert rows(alone, "p") == rows(alone, "clean")
    assert len(rows(alone, "p")) == sections
    by_project = (
        "SELECT count(DISTINCT (n, term)) FROM (SELECT sum(p.frequency) OVER (PARTITION BY "
        "s.project_id) AS n, 1 AS term FROM postings p JOIN scopes s USING (scope_no)) t"
    )
    assert alone.sql(by_project) == "1"
