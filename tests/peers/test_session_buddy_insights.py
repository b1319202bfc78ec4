"""Insights in the real Session-Buddy: each once, whatever is killed meanwhile; searched within the deadline."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.database.target import Target
from mahavishnu.memory.models import NewMemory, SearchResult
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.session_buddy import SessionBuddyTarget
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.tiers import development as tier
from mahavishnu.memory.tiers import open_tiers
from mahavishnu.services.session_buddy.client import SessionBuddy
from mahavishnu.services.session_buddy.unit import session_buddy_unit
from mahavishnu.services.units.unit import Unit
from tests.conftest import World
from tests.support.external import free_port
from tests.support.mirrored import catch_up
from tests.support.peers.session_buddy_peer import interpreter, start, until_healthy

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
TEXT = "A walrus sleeps in the water as well as on the ice."
OTHER = "A tern sleeps on the wing."
IN_USE = 75  # the launcher's exit code where another has the data open
HOLD = """
import fcntl, sys
database = open(sys.argv[1], "r+b")
fcntl.lockf(database, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
KILLED = "tests.support.session_buddy_killed"


@contextlib.asynccontextmanager
async def running(unit: Unit, log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    process = start(unit.command, log)
    try:
        assert unit.health and unit.health.http
        await until_healthy(process, unit.health.http, log)
        yield process
    finally:
        process.kill()
        process.wait(60)


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Let another process hold the lock that DuckDB takes on a file."""
    command = (sys.executable, "-c", HOLD, database)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        yield
        process.communicate()  # which lets it end


async def rows_of(buddy: SessionBuddy, words: str) -> list[str]:
    asked = {"query": words, "content_type": "reflection", "limit": 50}
    answer = await buddy.call("fingerprint_search", asked, timeout_s=60)
    return [row["content"] for row in answer.structured["results"]]


async def graph_of(buddy: SessionBuddy) -> tuple[int, ...]:
    """Return how many entities and relations there are."""
    told = (await buddy.call("get_knowledge_graph_stats", {})).text
    return tuple(
        int(found) for found in re.findall(r"Total (?:Entities|Relationships)\D*(\d+)", told)
    )


@pytest.mark.verifies("Session-Buddy, insights and the tier development")
async def test_insights_arrive_once_and_searches_keep_their_deadline(
    world: World, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Session-Buddy starts twice, which takes it 4 seconds each."""
    monkeypatch.setattr(tier, "REST_S", 0.0)
    port, log = free_port(), tmp_path / "log"
    unit = session_buddy_unit(str(interpreter()), home=tmp_path / "session-buddy", port=port)
    buddy = SessionBuddy(f"http://127.0.0.1:{port}")
    projects = {"reef": ["arctic", "coast"], "coast": ["arctic"]}

    async def read_projects() -> dict[str, list[str]]:
        return projects

    def opened_outbox() -> Outbox:
        return Outbox(world.database, world.memories, [SessionBuddyTarget(buddy, read_projects)])

    outbox = opened_outbox()
    development = tier.DevelopmentTier(buddy, world.database, world.scopes)
    opened = open_tiers(world.database, world.space, world.scopes, development=development)

    async def search(*tiers: str) -> SearchResult:
        request = SearchRequest(query="who sleeps", tiers=tiers)
        return await Retriever(opened).search(request)

    async def left_out() -> str:
        """Search everywhere, and return why Session-Buddy did not take part, though the others did."""
        result = await search("all")
        assert TEXT in {hit.memory.content for hit in result.hits}
        return {part.part: part.reason for part in result.degraded}["tier:development"]

    await world.memories.store(NewMemory(content="A raw note on who sleeps.", project="reef"))
    [stored] = await world.memories.store_batch(
        [NewMemory(content=TEXT, collection="insight", project="reef")]
    )
    async with running(unit, log) as process:
        command = (sys.executable, "-m", KILLED, target.url, buddy.address)
        worker = await asyncio.create_subprocess_exec(*command)
        assert await worker.wait() == -signal.SIGKILL  # between the delivery and its note
        row = f"[mv:{stored.id.hex}] [project:reef] {TEXT}"
        assert await rows_of(buddy, "sleeps") == [row]
        await catch_up(outbox)
        assert await graph_of(buddy) == (3, 3)
        assert await rows_of(buddy, "sleeps") == [row]
        found = await search("development")
        assert [hit.memory.id for hit in found.hits] == [stored.id] and not found.degraded
        process.send_signal(signal.SIGSTOP)
        assert "within 0.4 s" in await left_out()
        process.send_signal(signal.SIGCONT)
        [other] = await world.memories.store_batch([NewMemory(content=OTHER, collection="insight")])
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert "cannot be reached" in await left_out()
        [ran] = await outbox.run(force=True)
        assert (ran.ending, ran.error_code) == ("failed", "session_buddy.unreachable")
    with held(tmp_path / "session-buddy/data/reflection.duckdb"):
        refused = subprocess.run(unit.command, capture_output=True, text=True, check=False)
        assert refused.returncode == IN_USE, refused.stderr
    async with running(unit, log):
        projects["coast"] = ["arctic", "reef"]  # and one that goes the other way
        await catch_up(opened_outbox())
        assert await graph_of(buddy) == (3, 4)
        assert sorted(await rows_of(buddy, "sleeps")) == sorted(
            [row, f"[mv:{other.id.hex}] {OTHER}"]
        )
        found = await search("development")
        assert {hit.memory.id for hit in found.hits} == {stored.id, other.id}
    with pytest.raises(Unavailable):
        await search("development")
    await buddy.aclose()
