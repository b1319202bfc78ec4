"""Export and import with the installed command: files, pipes, and imports that are killed."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import Command

pytestmark = pytest.mark.postgres

ROWS, BATCH = 2_000, 512
MOMENT = "2026-01-02T03:04:05+00:00"
COUNT = "SELECT count(*) FROM memories"


def made_export() -> list[bytes]:
    """Return an export of chains of two versions each, line by line."""
    rows = [
        {"kind": "memory", "id": f"01a20b4a-0000-7000-8000-{n:012}", "project": "p", "visibility": "private",
         "content": f"Version {n} says so.", "collection": "note", "source_key": "", "context": "",
         "source_system": "tests", "metadata": {}, "agent_id": None, "workflow_id": None, "repo_id": None,
         "session_id": None, "path": None, "commit_id": None, "occurred_at": MOMENT, "expires_at": None,
         "stored_at": MOMENT, "superseded_by": None if n % 2 else f"01a20b4a-0000-7000-8000-{n + 1:012}"}
        for n in range(ROWS)
    ]  # fmt: skip
    project = {"kind": "project", "id": "01a20b4a-0000-7000-8000-000000000000", "name": "p",
               "visibility": "private", "created_at": MOMENT, "aliases": []}  # fmt: skip
    end = {"kind": "end", "projects": 1, "memories": ROWS, "turns": 0, "executions": 0}
    lines = [{"mahavishnu_export": 1}, project, *rows, end]
    return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]


# Takes 10 s: three processes are killed, each after the batches that it had by then were stored.
def test_an_import_that_is_killed_goes_on(settled: Command, tmp_path: Path) -> None:
    lines = made_export()
    for given in sorted(random.Random(21).sample(range(BATCH + 4, ROWS), 3)):
        importing = settled.start("memory", "import", "jsonl", "-", stdin=subprocess.PIPE)
        assert importing.stdin is not None
        importing.stdin.write(b"".join(lines[:given]))
        importing.stdin.flush()
        stored = (given - 3) // BATCH * BATCH  # but header and project, when another line had come
        until = time.monotonic() + 60
        while (between := int(settled.sql(COUNT))) < stored and importing.poll() is None:
            assert time.monotonic() < until
        importing.send_signal(signal.SIGKILL)
        importing.communicate()
        assert between == stored
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(lines))
    counts = settled("memory", "import", "jsonl", file, "--json").json["counts"]["memories"]
    assert counts == {"known": stored, "stored": ROWS - stored}
    assert settled("memory", "export", "-").out.encode() == b"".join(lines)


def test_an_export_is_a_file_for_its_owner_alone(mahavishnu: Command, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text("Notes of mine.")
    assert mahavishnu("memory", "export", file, "--json").error["code"] == "transfer.other_file"
    assert file.read_text() == "Notes of mine."
    file.write_bytes(made_export()[0])
    done = mahavishnu("memory", "export", file, "--json").json
    assert sorted(done) == ["executions", "memories", "projects", "turns"]
    assert file.stat().st_mode & 0o777 == 0o600
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "pipe", tmp_path / "no" / "export.jsonl"):
        assert mahavishnu("memory", "export", target, "--json").error["code"] == "transfer.file"
    assert sorted(os.listdir(tmp_path)) == ["export.jsonl", "pipe"]


def test_refused_lines_are_shown_and_told_by_the_exit_code(
    mahavishnu: Command, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    lines = made_export()
    file.write_bytes(lines[0] + b"{torn\n" + lines[2])
    done = mahavishnu("memory", "import", "jsonl", file)
    assert done.status == 7
    assert (
        "line 2: It is not a JSON object" in done.out and "line 3: The export ends here" in done.out
    )
    assert mahavishnu("memory", "import", "jsonl", tmp_path / "no").status == 5
    assert mahavishnu("memory", "export", "-", "--json").error["code"] == "transfer.no_file"
