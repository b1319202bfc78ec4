"""Writers and drainers that are killed at seeded places: what was acknowledged is stored once, in order."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.memory.models import MemoryFilter, NewMemory
from mahavishnu.memory.spool.entries import read_back
from mahavishnu.memory.spool.file import SpoolFile
from tests.support.away import Link
from tests.support.away import link as link
from tests.support.spool_killed import KNOWN, some_writes

WRITER_SEEDS, DRAINER_SEEDS = range(6), range(8)


def start(what: str, home: Path, dsn: str, seeds: range) -> subprocess.Popen[bytes]:
    words = [
        sys.executable,
        "-m",
        "tests.support.spool_killed",
        what,
        str(home),
        dsn,
        *map(str, seeds),
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


def finish(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Return what the program said."""
    said, _ = process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def test_what_a_killed_writer_was_told_is_kept_is_there_once_and_in_order(tmp_path: Path) -> None:
    both = [
        start("write", tmp_path, "postgresql://x@127.0.0.1/x", seeds)
        for seeds in (WRITER_SEEDS[:3], WRITER_SEEDS[3:])
    ]
    said = [finish(each) for each in both]
    file = SpoolFile(tmp_path / "m" / "data")
    found = file.read("embedded", limit=10_000)
    places = {str(entry.id): place for place, entry in enumerate(found)}
    assert len(places) == len(found)
    acknowledged = 0
    for lines in said:
        assert all(line.get("killed", True) for line in lines)
        kept = [place for line in lines for place in (line.get("kept") or [])]
        assert [places[each] for each in kept] == sorted(places[each] for each in kept)
        acknowledged += len(kept)
    batches: dict[str, int] = {}
    for entry in found:
        seed, number, _ = read_back(entry).content.split(".")
        batches[f"{seed}.{number}"] = batches.get(f"{seed}.{number}", 0) + 1
    for name, count in batches.items():
        assert count == 1 + int(name.split(".")[1]) % 3, "no batch waits in part"
    assert acknowledged and len(found) - acknowledged <= 3 * len(WRITER_SEEDS)


@pytest.mark.postgres
async def test_what_killed_drainers_leave_is_stored_once_and_in_order(
    link: Link, tmp_path: Path
) -> None:
    async with link.open() as app:
        known = await app.writes.store(NewMemory(content=KNOWN))
        dsn = link.loaded.settings.postgresql.dsn
        assert dsn is not None
        said = finish(start("drain", tmp_path, dsn, DRAINER_SEEDS))
        outcomes = [line for line in said if "seed" in line]
        assert sum(line["killed"] for line in outcomes) > len(DRAINER_SEEDS) / 2
        assert len({line["left"] for line in outcomes}) > 1, "they got to different places"
        await app.writes.drain()
        assert link.spool.total() == 0
        ids = [identifier for line in said for identifier in line.get("kept", [])]
        writes = [write for seed in (-1, *DRAINER_SEEDS) for write in some_writes(seed)]
        listed = await app.memories.list_memories(MemoryFilter(), limit=1000)
        listed.sort(key=lambda each: each.memory_no)
        told = [each.content for each in listed]
        expected = [getattr(write, "content", None) for write in writes]
        for place, write in enumerate(writes):
            if getattr(write, "status", None) == "cancelled":
                expected[place] = f"Workflow {write.workflow_id} (a) was cancelled."  # type: ignore[union-attr]
        assert told == [KNOWN, *(text for text in expected if text not in (None, KNOWN))]
        for identifier, text in zip(ids, expected, strict=True):
            if text is None or text.startswith("Workflow"):
                continue
            found = await app.memories.resolve(identifier)
            assert (await app.memories.get(found)).content == text
            assert (found == known.id) == (text == KNOWN)
        assert len(await app.records.list_executions(limit=100)) == 1 + len(DRAINER_SEEDS)
        for seed in DRAINER_SEEDS:
            assert len(await app.conversations.read(f"s{seed}")) == 3
