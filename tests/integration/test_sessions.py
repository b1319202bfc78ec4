"""Recorded sessions: listed newest first, read back in order, in parts that fit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import NotFound
from mahavishnu.memory.conversations import NewTurn, Role
from mahavishnu.operations.operation import Call
from tests.conftest import World
from tests.integration.test_operations import Caller, refusal
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def ask(world: World, tmp_path: Path) -> Caller:
    return Caller(Call(app_of(world, tmp_path), "tests"))


def turn(session: str, position: int, content: str, **fields: Any) -> NewTurn:
    role: Role = "assistant" if position % 2 else "user"
    moment = START + timedelta(minutes=position)
    return NewTurn(
        **{"session_id": session, "position": position, "content": content, "role": role,
           "occurred_at": moment} | fields
    )  # fmt: skip


async def test_sessions_are_listed_by_their_newest_turn(ask: Caller, world: World) -> None:
    await world.conversations.record([
        turn("a", 3, "In the wiki", agent_id="scout", model="m-2"),
        turn("a", 0, "Where is the runbook?", agent_id="scout"),
        turn("a", 1, "In docs", agent_id="scout", model="m-1"),
        turn("b", 0, "Hello", agent_id="cook", project="shop"),
    ])  # fmt: skip
    old, new = (await ask("list_sessions"))["sessions"][::-1]
    assert new == {
        "session_id": "a", "agents": ["scout"], "models": ["m-1", "m-2"], "turns": 3,
        "first_at": "2026-01-02T03:04:05Z", "last_at": "2026-01-02T03:07:05Z",
        "opening": "Where is the runbook?",
    }  # fmt: skip
    assert (old["session_id"], old["project"]) == ("b", "shop")

    async def names(**narrowing: object) -> list[str]:
        page = await ask("list_sessions", **narrowing)
        return [each["session_id"] for each in page["sessions"]]

    assert await names(project="shop") == await names(agent_id="cook") == ["b"]
    assert await names(since="2026-01-02T03:06:00Z") == ["a"]
    assert await names(until="2026-01-02T03:00:00Z") == []
    first = await ask("list_sessions", limit=1)
    second = await ask("list_sessions", limit=1, cursor=first["next_cursor"])
    assert [first["sessions"], second["sessions"]] == [[new], [old]]
    assert "next_cursor" not in await ask("list_sessions", cursor=second["next_cursor"])


async def test_the_opening_of_a_session_is_its_corrected_text(ask: Caller, world: World) -> None:
    [first] = await world.conversations.record([turn("s", 0, "My key is hunter2")])
    await world.memories.supersede(first.id, "My key is elsewhere")
    [listed] = (await ask("list_sessions"))["sessions"]
    assert listed["opening"] == "My key is elsewhere"


async def test_a_run_keeps_its_place_and_another_one_comes_behind(world: World) -> None:
    append = world.conversations.append
    await append([turn("s", 0, "Why?")], run_id="one")
    await append([turn("s", 0, "Where?"), turn("s", 1, "Here.")], run_id="two")
    await append([turn("s", 0, "Why?")], run_id="one")
    await append([turn("s", 0, "Where?"), turn("s", 1, "There.")], run_id="two")
    read = await world.conversations.read("s")
    assert [each.content for each in read] == ["Why?", "Where?", "There."]
    assert [each.metadata["run_id"] for each in read] == ["one", "two", "two"]


async def test_a_session_reads_back_in_parts_that_are_the_whole(ask: Caller, world: World) -> None:
    said = [f"{number}: {'round and round ' * (200 if number == 3 else 9)}" for number in range(9)]
    await world.conversations.record([
        turn("long", number, text, agent_id="scout", model="m") for number, text in enumerate(said)
    ])  # fmt: skip
    read: list[dict[str, Any]] = []
    start: int | None = 0
    while start is not None:
        part = await ask("get_session", session_id="long", start=start, max_tokens=800)
        assert part["total_turns"] == 9
        read += part["turns"]
        start = part.get("next_start")
    assert [each["position"] for each in read] == list(range(9))
    assert [each.get("truncated", False) for each in read] == [n == 3 for n in range(9)]
    for each, text in zip(read, said, strict=True):
        assert text.startswith(each["content"]) and len(each["content"]) > 90
        whole = await world.memories.get(each["memory_id"])
        assert whole.content == text
    assert {
        (each.get("agent_id"), each.get("model")) for each in read if "truncated" not in each
    } == {("scout", "m")}
    assert await refusal(NotFound, ask("get_session", session_id="x")) == "conversation.not_found"
