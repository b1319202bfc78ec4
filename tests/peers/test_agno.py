"""Real agents of Agno on a loopback model: how their runs are recorded, what they remember and are told."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from mahavishnu.engines.agno import AgentMemory
from mahavishnu.memory.models import MemoryFilter, NewMemory
from tests.conftest import Cluster, World
from tests.docs.test_docs import DOCS, blocks
from tests.peers.conftest import require_peers
from tests.support.peers.provider_stub import PREFACE, ProviderStub, Use, provider_stub

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("agno", "openai")

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
SAYS = PREFACE + "nothing"
HALF = SAYS[: len(SAYS) // 2]


@pytest.fixture
def dsn(cluster: Cluster, database_name: str) -> str:
    return cluster.dsn(database_name)


@pytest.fixture
def memory(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentMemory]:
    monkeypatch.setenv("MAHAVISHNU_HOME", str(tmp_path))
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", dsn)
    monkeypatch.setenv("MAHAVISHNU_EMBEDDING_PROVIDER", "none")
    with AgentMemory(project="shop") as made:
        yield made


@dataclass
class Scouts:
    """Makes agents on a scripted model."""

    model: ProviderStub
    url: str
    made: list[Any] = field(default_factory=list)

    def __call__(self, **fields: Any) -> Any:
        from agno.agent import Agent
        from agno.models.openai.like import OpenAILike

        like = OpenAILike(id="fake-1", base_url=f"{self.url}/v1", api_key="sk-fake", max_retries=0)
        self.made.append(like)
        return Agent(id="scout", name="Scout", model=like, telemetry=False, **fields)


@pytest.fixture
async def scouts() -> AsyncIterator[Scouts]:
    with provider_stub() as (stub, url):
        yield (made := Scouts(stub, url))
        for each in made.made:  # Agno leaves its clients open
            if each.client is not None:
                each.client.close()
            if each.async_client is not None:
                await each.async_client.close()


def recorded(memory: AgentMemory) -> Any:
    """Return a database of Agno's that is there for one agent alone, recorded."""
    from agno.db.in_memory import InMemoryDb

    return memory.recorded(InMemoryDb())


def knowledge_of(base: Any) -> Any:
    from agno.knowledge.knowledge import Knowledge

    return Knowledge(vector_db=base, max_results=5)


async def read(memory: AgentMemory, world: World, session: str) -> list[tuple[str, str, str]]:
    """Return role, text and status of the turns, once the recorder is done."""
    assert await asyncio.to_thread(memory.flush, timeout_s=60)
    turns = await world.conversations.read(session, project="shop")
    assert [turn.position for turn in turns] == list(range(len(turns)))
    assert {turn.agent_id for turn in turns} <= {"scout"}
    return [(turn.role, turn.content, turn.metadata["status"]) for turn in turns]


@pytest.mark.verifies("Agno, recorder, tools and knowledge")
async def test_runs_are_recorded_as_what_they_were(
    memory: AgentMemory, scouts: Scouts, world: World
) -> None:
    scout = scouts(db=recorded(memory))
    await scout.arun("plain", session_id="s", user_id="ana")
    async for _ in scout.arun("streamed", stream=True, session_id="s"):
        pass
    await asyncio.to_thread(scout.run, "without a loop", session_id="s")
    scouts.model.watch = fail
    await scout.arun("failing", session_id="s")
    scouts.model.watch = lambda: None
    async with contextlib.aclosing(scout.arun("stopped", stream=True, session_id="s")) as events:
        async for event in events:
            assert event.content == HALF
            break
    asked, go_on = threading.Event(), threading.Event()
    scouts.model.watch = lambda: (asked.set(), go_on.wait(60))
    task = asyncio.create_task(scout.arun("cancelled", session_id="s"))
    await asyncio.to_thread(asked.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    async with asyncio.timeout(60):  # Agno stores a run that was cancelled in a task of its own
        while len(found := await read(memory, world, "s")) < 12:
            pass
    reason = "The run was cancelled: Operation cancelled by user"
    assert found == [
        ("user", "plain", "completed"), ("assistant", SAYS, "completed"),
        ("user", "streamed", "completed"), ("assistant", SAYS, "completed"),
        ("user", "without a loop", "completed"), ("assistant", SAYS, "completed"),
        ("user", "failing", "error"), ("system", "The run failed: out of order", "error"),
        ("user", "stopped", "cancelled"), ("assistant", HALF, "cancelled"),
        ("user", "cancelled", "cancelled"), ("system", reason, "cancelled"),
    ]  # fmt: skip
    first, second, *_ = await world.conversations.read("s", project="shop")
    assert (first.speaker, first.model) == ("ana", None)
    assert (second.speaker, second.model) == ("Scout", "fake-1")
    assert second.metadata["provider"] == "OpenAI"


def fail() -> None:
    raise HTTPException(400, "out of order")


async def test_an_agent_remembers_and_recalls_by_itself(
    memory: AgentMemory, scouts: Scouts, world: World
) -> None:
    scouts.model.script = [
        Use("remember", {"content": "Deploys run at nine"}),
        Use("recall", {"query": "deploys"}),
    ]
    scout = scouts(db=recorded(memory), tools=[memory.tools()])
    told = await scout.arun("when do we deploy?", session_id="s")
    [recalled] = json.loads(told.content.removeprefix(PREFACE))
    assert recalled["content"] == "Deploys run at nine"
    [note] = await world.memories.list_memories(MemoryFilter(collections=("note",)))
    assert (note.project, note.agent_id, note.session_id) == ("shop", "scout", "s")
    assert (await read(memory, world, "s"))[1][1] == told.content
    _, answered = await world.conversations.read("s")
    assert answered.metadata["tools"] == ["remember", "recall"]
    described = {
        each["function"]["name"]: each["function"] for each in scouts.model.turns[0].body["tools"]
    }
    assert set(described["remember"]["parameters"]["properties"]) == {"content"}
    again = await asyncio.to_thread(scout.run, "and again?", session_id="t")
    assert "Deploys run at nine" in again.content


async def test_the_agent_goes_on_while_the_memory_is_away(
    memory: AgentMemory,
    scouts: Scouts,
    world: World,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", NOWHERE)
    scouts.model.script = [Use("recall", {"query": "deploys"})]
    knowledge = knowledge_of(memory.knowledge())
    scout = scouts(db=recorded(memory), tools=[memory.tools()], knowledge=knowledge)
    told = await scout.arun("when do we deploy?", session_id="s")
    assert told.status == "COMPLETED" and "Go on without it." in told.content
    assert await knowledge.asearch("deploys") == []
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", dsn)
    assert (await read(memory, world, "s"))[1] == ("assistant", told.content, "completed")


async def test_a_session_goes_on_in_another_process(
    memory: AgentMemory, scouts: Scouts, world: World, dsn: str
) -> None:
    for text in ("first", "second"):  # each with a database of Agno's that knows of nothing before
        await scouts(db=recorded(memory)).arun(text, session_id="s")
    from agno.db.postgres import AsyncPostgresDb

    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    postgres = memory.recorded(AsyncPostgresDb(db_url=url, db_schema="agno"))
    done = await scouts(db=postgres).arun("third", session_id="s")
    stored = await postgres.get_run(done.run_id)
    await postgres.upsert_run(run=done, session_id="s")  # as when its state changes
    found = await read(memory, world, "s")
    assert [text for role, text, _ in found if role == "user"] == ["first", "second", "third"]
    assert stored.content == SAYS  # Agno's own database has it as well
    await postgres.close()


async def test_documents_are_found_by_their_owner_and_go_when_they_are_replaced(
    memory: AgentMemory, world: World
) -> None:
    await world.memories.store(NewMemory(content="sorts by another name", project="shop"))
    base = memory.knowledge("code")
    knowledge = knowledge_of(base)
    for text, user in (
        ("quicksort sorts a list", None),
        ("bubble sorts slowly", "ana"),
        ("heap sorts", "bob"),
    ):
        await knowledge.ainsert(
            name=text[:4], text_content=text, metadata={"lang": "py"}, user_id=user
        )
    await knowledge.ainsert(
        name="quic", text_content="quicksort sorts a list", metadata={"lang": "py"}
    )

    def found(user: str | None, **filters: object) -> set[str | None]:
        return {each.name for each in knowledge.search("sorts", filters=filters, user_id=user)}

    assert found(None) == {"quic", "bubb", "heap"}
    assert found("ana") == {"quic", "bubb"}
    assert found("ana", lang="go") == set()
    hashes = [(each.metadata["agno"]["content_hash"], each) for each in
              await world.memories.list_memories(MemoryFilter(collections=("document",)))]  # fmt: skip
    assert len(hashes) == 3
    await asyncio.to_thread(forget_as_agno_does, base)
    assert found(None) == set()
    with pytest.raises(ValueError, match="dict"):
        base.search("sorts", filters=["expression"])


async def test_the_documented_example_runs_to_its_end(
    memory: AgentMemory, scouts: Scouts, world: World, tmp_path: Path
) -> None:
    """In a process of its own, which writes what was recorded as it ends."""
    scouts.model.script = [Use("search_knowledge_base", {"query": "deploys"})]
    [example] = blocks(DOCS / "how-to" / "give-agno-agents-a-memory.md", "python")
    environ = {**os.environ, "OPENAI_BASE_URL": f"{scouts.url}/v1", "OPENAI_API_KEY": "sk-fake"}
    run = [sys.executable, "-c", example]
    done = await asyncio.to_thread(
        subprocess.run, run, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Deploys run at nine" in done.stdout
    turns = await world.conversations.read("chat-1", project="shop")
    assert [(turn.role, turn.speaker) for turn in turns] == [
        ("user", "ana"),
        ("assistant", "Scout"),
    ]


def forget_as_agno_does(base: Any) -> None:
    assert base.name_exists("quic") and not base.name_exists("none")
    [document] = base.search("bubble", user_id="ana")[:1]
    assert base.id_exists(document.id)
    assert not base.delete_by_content_id(document.content_id, user_id="bob")
    assert base.delete_by_content_id(document.content_id, user_id="ana")
    assert not base.id_exists(document.id)
    assert base.delete_by_name("quic") and not base.delete_by_name("quic")
    assert base.delete_by_metadata({"lang": "py"})
