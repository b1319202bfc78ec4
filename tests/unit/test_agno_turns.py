"""What runs of Agno become, whatever is in them; and what is said where Agno is not there."""

import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.engines.agno import AgentMemory
from mahavishnu.engines.agno.recorder import TurnRecorder
from mahavishnu.engines.agno.turns import MAX_TEXT_BYTES, turns_of
from mahavishnu.engines.background import BackgroundApp

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def run(content: object, status: str = "COMPLETED", *, asked: str = "Why?", **fields: Any) -> Any:
    """Return a run with the attributes of Agno's; the real ones are in the peers' tests."""
    question = SimpleNamespace(input_content_string=lambda: asked)
    metrics = SimpleNamespace(duration=1.5, total_tokens=15)
    return SimpleNamespace(**{
        "run_id": "r", "agent_id": "scout", "agent_name": "Scout", "model": "m", "model_provider": "P",
        "created_at": int(BEGAN.timestamp()), "status": SimpleNamespace(value=status), "tools": None,
        "content": content, "input": question, "messages": None, "metrics": metrics,
    } | fields)  # fmt: skip


def test_a_question_and_its_answer_know_when_they_were_said() -> None:
    asked, answered = turns_of(run("Because."), "s", user_id="ana", project="shop")
    assert (asked.role, asked.speaker, asked.occurred_at) == ("user", "ana", BEGAN)
    assert asked.metadata == {"run_id": "r", "status": "completed"}
    assert answered.occurred_at == BEGAN + timedelta(seconds=1.5)
    assert answered.metadata == {**asked.metadata, "tokens": 15, "provider": "P"}
    assert {turn.project for turn in (asked, answered)} == {"shop"}


def test_what_the_agent_did_not_say_is_not_its_turn() -> None:
    [_, failed] = turns_of(run("No such model", "ERROR"), "s")
    assert (failed.role, failed.content) == ("system", "The run failed: No such model")
    said = [SimpleNamespace(role="assistant", content="Becau")]
    [_, stopped] = turns_of(run("Becau", "CANCELLED", messages=said), "s")
    assert (stopped.role, stopped.content) == ("assistant", "Becau")
    assert [turn.role for turn in turns_of(run("Becau", "RUNNING"), "s")] == ["user"]
    assert turns_of(run(None, asked=" "), "s") == []


def test_odd_texts_become_what_can_be_kept() -> None:
    tools = [SimpleNamespace(tool_name="look\0up")]
    odd = run({"b": [1, "é"]}, asked="a\0b\ud800", agent_id="x" * 300, tools=tools)
    asked, answered = turns_of(odd, "s" * 300)
    assert (asked.content, len(asked.session_id), len(asked.agent_id or "")) == ("ab?", 200, 200)
    assert answered.content == '{"b": [1, "é"]}' and answered.metadata["tools"] == ["lookup"]
    long, _ = turns_of(run("x", asked="é" * MAX_TEXT_BYTES), "s")
    assert len(long.content.encode()) == MAX_TEXT_BYTES


def test_a_run_that_cannot_be_recorded_disturbs_nobody() -> None:
    background = BackgroundApp("agno")
    recorder = TurnRecorder(background, project=None)
    recorder.note(SimpleNamespace(run_id="r"), "s", None)
    assert recorder.finish(0) == 0
    background.close()
    recorder.note(run("Because."), "s", None)
    assert recorder.finish(0) == 1


def test_without_agno_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agno", None)
    with pytest.raises(Unavailable, match="The extra agno is not installed"):
        AgentMemory()
