"""Memories go out as JSON lines and come in again: whole, once, and as they were."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.target import Target, target_of_dsn
from mahavishnu.memory import models
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import MemoryFilter, NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.transfer import importing
from mahavishnu.memory.transfer.importing import LineOutcome
from mahavishnu.memory.transfer.transfer import Transfer
from tests.conftest import Cluster, OpenWorld, World

pytestmark = pytest.mark.postgres
STARTED = datetime(2025, 5, 1, 9, 30, 0, 123456, tzinfo=UTC)
AWKWARD = 'Line\nbreak, "quotes", back\\slash \\u0000, tab\t, \x01\x02, é, 漢, \U0001f600, , { "kind": "end" }'


async def fill(world: World) -> None:
    """Store something of everything that an export has."""
    await world.memories.store_batch(
        [
            NewMemory(content=AWKWARD, project="shop", visibility="shared", source_system="tests", context="c",
                      metadata={"n": [1, 1.5, 1e300, -0.0, None, {"ü": "\\"}]}, agent_id="a", workflow_id="w",
                      repo_id="r", session_id="s", path="a/b.py", commit_id="c0ffee", occurred_at=STARTED,
                      expires_at=utc_now() + timedelta(days=9)),
            NewMemory(content="x" * 1_048_576, collection="document", source_key="key"),
            NewMemory(content="A kettle is red.", project="kitchen"),
        ]
    )  # fmt: skip
    first = await world.memories.store(NewMemory(content="Port 1 listens.", project="shop"))
    second = await world.memories.supersede(first.id, "Port 2 listens.")
    await world.memories.supersede(second.id, "Port 3 listens.")
    turn = NewTurn(session_id="s", position=1, role="assistant", content="It is", project="shop")
    await world.conversations.record(
        [turn, replace(turn, position=2, role="user", content="Is it?")]
    )
    await world.conversations.record([replace(turn, content="It is so.")])
    await world.records.record_execution(
        NewExecution(execution_id="run", workflow_id="nightly", adapter="prefect", status="failed", project="shop",
                     started_at=STARTED, finished_at=STARTED + timedelta(minutes=1), error="disk\nfull",
                     result={"n": 1}, repositories=("r", "q"))
    )  # fmt: skip


async def export(world: World, *words: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    transfer = Transfer(world.database, world.space, world.scopes)
    await transfer.export(stream.write, *words, **options)
    return stream.getvalue()


async def bring(world: World, lines: bytes) -> LineOutcome:
    async def report(_count: int) -> None:
        pass

    transfer = Transfer(world.database, world.space, world.scopes)
    return await transfer.import_lines(io.BytesIO(lines), report)


def rows(lines: bytes, kind: str = "memory") -> dict[str, dict[str, Any]]:
    """Return the rows of a kind by their ids."""
    found = [json.loads(line) for line in lines.splitlines()[1:]]
    return {row["id"]: row for row in found if row["kind"] == kind}


def changed(lines: bytes, number: int, **values: Any) -> bytes:
    """Return lines of which one has other values; from 0, as in a list."""
    split = lines.splitlines(keepends=True)
    split[number] = json.dumps(json.loads(split[number]) | values).encode() + b"\n"
    return b"".join(split)


@pytest.fixture
async def other(
    open_world: OpenWorld, admin: asyncpg.Connection, cluster: Cluster
) -> AsyncIterator[World]:
    """A second, empty database."""
    name = f"test_{new_id().hex}"
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {cluster.template} OWNER mahavishnu")
    async with open_world(at=target_of_dsn(cluster.dsn(name))) as opened:
        yield opened
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("vectors", [False, True])
async def test_a_round_trip_gives_the_same_bytes(world: World, other: World, vectors: bool) -> None:
    await fill(world)
    lines = await export(world, vectors=vectors)
    for expected in ("stored", "known"):
        outcome = await bring(other, lines)
        assert (outcome.refused, outcome.problems) == (0, [])
        counts = {kind: dict(each) for kind, each in outcome.counts.items()}
        assert counts == {"projects": {expected: 2}, "memories": {expected: 10}, "turns": {expected: 2},
                          "executions": {expected: 1}}  # fmt: skip
        assert await export(other, vectors=vectors) == lines
    assert await other.memories.count_waiting() == (0 if vectors else 7)
    found = await other.retriever.search(
        SearchRequest(query="port", mode="vector" if vectors else "text")
    )
    assert "Port 3 listens." in [hit.memory.content for hit in found.hits]
    assert [turn.content for turn in await other.conversations.read("s")] == ["It is so.", "Is it?"]


async def test_a_filter_leaves_what_belongs_to_its_memories(world: World) -> None:
    await fill(world)
    lines = await export(world, MemoryFilter(projects=("shop",), session_id="s"))
    assert {row["session_id"] for row in rows(lines).values()} == {"s"}
    assert [row["name"] for row in rows(lines, "project").values()] == ["shop"]
    assert len(rows(lines, "turn")) == 2 and rows(lines, "execution") == {}
    assert len(rows(await export(world, MemoryFilter(projects=("shop",))), "execution")) == 1
    with pytest.raises(NotFound):
        await export(world, MemoryFilter(projects=("no",)))


async def test_an_export_is_of_one_moment(world: World, target: Target) -> None:
    await fill(world)

    async def delete() -> None:
        connection = await asyncpg.connect(**target.direct)
        await connection.execute("DELETE FROM memories")
        await connection.close()

    written: list[bytes] = []

    def write(data: bytes) -> None:
        written.append(data)
        if len(written) == 2:  # behind the header
            other = threading.Thread(target=lambda: asyncio.run(delete()))
            other.start()
            other.join()

    counts = await Transfer(world.database, world.space, world.scopes).export(write)
    assert counts == {"projects": 2, "memories": 10, "turns": 2, "executions": 1}
    assert len(rows(b"".join(written))) == 10 and rows(await export(world)) == {}


async def test_rows_become_the_importers_own(
    world: World, other: World, open_world: OpenWorld, bob: Target
) -> None:
    await fill(world)
    lines = await export(world)
    async with open_world(at=bob) as bobs:
        assert rows(await export(bobs)) == {}  # what others share is theirs
        outcome = await bring(bobs, lines)  # into the same database, where the ids are taken
        assert outcome.refused == 15 and "belongs to something else" in outcome.problems[0][1]
        assert rows(await export(bobs)) == {}
    assert await export(world) == lines
    await bring(other, lines)
    [shared] = [row for row in rows(await export(other)).values() if row["visibility"] == "shared"]
    assert shared["content"] == AWKWARD


async def test_a_text_that_is_there_keeps_its_id_and_the_imported_one_leads_to_it(
    world: World, other: World
) -> None:
    await fill(world)
    lines = await export(world)
    [newest] = [each for each, row in rows(lines).items() if row["content"] == "Port 3 listens."]
    own = await other.memories.store(NewMemory(content="Port 3 listens.", project="shop"))
    for expected in ({"stored": 9, "same_text": 1}, {"known": 10}):
        assert (await bring(other, lines)).counts["memories"] == expected
    assert (await other.memories.get(UUID(newest))).superseded_by == own.id
    assert (await other.memories.get(own.id)).superseded_by is None


async def test_an_older_copy_learns_what_superseded_and_a_newer_one_stays(
    world: World, other: World
) -> None:
    first = await world.memories.store(NewMemory(content="Port 1 listens."))
    old = await export(world)
    await world.memories.supersede(first.id, "Port 2 listens.")
    new = await export(world)
    await bring(other, old)
    assert (await bring(other, new)).counts["memories"] == {"superseded": 1, "stored": 1}
    assert await export(other) == new
    assert (await bring(other, old)).counts["memories"] == {"known": 1}
    assert await export(other) == new
    found = await other.retriever.search(SearchRequest(query="port", mode="text"))
    assert [hit.memory.content for hit in found.hits] == ["Port 2 listens."]


async def test_an_execution_that_ran_ends_by_a_later_export(world: World, other: World) -> None:
    run = NewExecution(
        execution_id="e", workflow_id="w", adapter="a", status="running", started_at=STARTED
    )
    await world.records.record_execution(run)
    await bring(other, await export(world))
    done = replace(run, status="completed", finished_at=STARTED + timedelta(minutes=1))
    await world.records.record_execution(done)
    lines = await export(world)
    await bring(other, lines)
    assert rows(await export(other), "execution") == rows(lines, "execution")


async def test_a_memory_whose_time_is_over_does_not_come_back(world: World, other: World) -> None:
    await fill(world)
    [place] = [i for i, line in enumerate((await export(world)).splitlines()) if b"kettle" in line]
    lines = changed(await export(world), place, expires_at="2025-01-01T00:00:00Z")
    outcome = await bring(other, lines)
    assert outcome.counts["memories"] == {"stored": 9, "expired": 1} and outcome.refused == 0


async def test_a_clock_that_is_ahead_leaves_no_memory_out(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.memories.store(NewMemory(content="x", expires_at=utc_now() + timedelta(days=1)))
    lines = await export(world)
    for module in (models, importing):
        monkeypatch.setattr(module, "utc_now", lambda: datetime.now(UTC) + timedelta(days=2))
    assert (await bring(other, lines)).counts["memories"] == {"stored": 1}


async def test_what_an_expired_memory_says_can_come_in(world: World, other: World) -> None:
    stored = await world.memories.store(NewMemory(content="Port 1 listens."))
    there = await other.memories.store(NewMemory(content="Port 1 listens."))
    await other.expire([there])
    assert (await bring(other, await export(world))).counts["memories"] == {"stored": 1}
    assert (await other.memories.get(stored.id)).superseded_by is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "thing"}, "kind"),
        ({"extra": 1}, "extra"),
        ({"content": ""}, "text"),
        ({"content": "a\0b"}, "NUL"),
        ({"stored_at": "2025-01-01T00:00:00"}, "zone"),
        ({"visibility": "all"}, "visibility"),
        ({"metadata": []}, "metadata"),
        ({"vectors": [[0, 1, "AAAA"]]}, ""),
        ({"superseded_by": "{itself}"}, "successor"),
        ({"id": "{taken}"}, "belongs to something else"),
    ],
)
async def test_a_line_that_is_wrong_is_named_and_the_others_come_in(
    world: World, other: World, values: dict[str, Any], says: str
) -> None:
    await world.memories.store_batch([NewMemory(content=f"Port {n} listens.") for n in range(3)])
    taken = await other.memories.store(NewMemory(content="Something else."))
    lines = await export(world)
    own = {"{itself}": json.loads(lines.splitlines()[2])["id"], "{taken}": str(taken.id)}
    values = {name: own.get(str(value), value) for name, value in values.items()}
    outcome = await bring(other, changed(lines, 2, **values))
    assert outcome.problems[0][0] == 3 and says in outcome.problems[0][1], outcome
    assert outcome.counts["memories"] == {"stored": 2}
    assert (await other.memories.get(taken.id)).content == "Something else."


async def test_successors_that_lead_in_a_circle_are_refused(world: World, other: World) -> None:
    await world.memories.store_batch([NewMemory(content=f"Port {n} listens.") for n in range(3)])
    lines = await export(world)
    first, second, _ = rows(lines)
    circle = changed(changed(lines, 1, superseded_by=second), 2, superseded_by=first)
    outcome = await bring(other, circle)
    assert [number for number, _ in outcome.problems] == [2, 3]
    # Nor by an export that closes what is there to a circle.
    await bring(other, changed(lines, 1, superseded_by=second))
    outcome = await bring(other, changed(lines, 2, superseded_by=first))
    assert [number for number, _ in outcome.problems] == [3]


async def test_a_successor_that_is_missing_leaves_a_memory_superseded(
    world: World, other: World
) -> None:
    stored = await world.memories.store(NewMemory(content="Port 1 listens."))
    lines = changed(await export(world), 1, superseded_by=str(new_id()))
    assert (await bring(other, lines)).refused == 0
    assert await export(other) == lines.replace(b": ", b":").replace(b", ", b",")
    assert (await other.memories.get(stored.id)).content == "Port 1 listens."
    assert not (await other.retriever.search(SearchRequest(query="port", mode="text"))).hits


async def test_an_export_that_was_cut_says_so(world: World, other: World) -> None:
    await fill(world)
    lines = await export(world)
    whole = lines.splitlines(keepends=True)
    for cut, named in ((b"".join(whole[:-1]), len(whole) - 1), (lines[:-20], len(whole))):
        outcome = await bring(other, cut)
        assert outcome.problems[-1] == (named, "The export ends here, before its last line.")
    outcome = await bring(other, b"".join([*whole[:3], *whole[4:]]))
    assert outcome.problems[-1][1] == "The export had 10 memories; here are 9."


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"", "transfer.not_an_export"),
        (b"\xff\n", "transfer.not_an_export"),
        (b'{"content": "x"}\n', "transfer.not_an_export"),
        (b'{"mahavishnu_export": 2}\n', "transfer.other_version"),
    ],
)
async def test_what_is_no_export_of_this_format_is_refused(
    world: World, first: bytes, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await bring(world, first)
    assert caught.value.code == code


async def test_vectors_of_another_model_are_made_again(world: World, other: World) -> None:
    await world.memories.store(NewMemory(content="Port 1 listens."))
    await other.memories.store(NewMemory(content="Another."))
    lines = await export(world, vectors=True)
    header = json.loads(lines.splitlines()[0])
    outcome = await bring(other, changed(lines, 0, vectors_of=header["vectors_of"] | {"name": "m"}))
    assert outcome.vectors_left_out and outcome.refused == 0
    assert await other.memories.count_waiting() == 1
