"""From a run of an agent to the turns of its session. Pure; attributes of Agno's models only."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from mahavishnu.memory.checks import clean_name, clean_text
from mahavishnu.memory.conversations import NewTurn, Role
from mahavishnu.memory.models import MAX_CONTENT_BYTES

SOURCE = "agno"
MAX_TEXT_BYTES = MAX_CONTENT_BYTES - 4_096  # what is indexed in front of a turn has its part
MAX_TOOLS = 50
# What stands before a text that is not the agent's own.
OUTCOMES = {
    "error": "The run failed: ",
    "cancelled": "The run was cancelled: ",
    "paused": "The run is paused: ",
}


def turns_of(
    run: Any, session_id: str, *, user_id: str | None = None, project: str | None = None
) -> list[NewTurn]:
    """
    Return what the user asked and what became of it, with places counted from 0.

    What the agent did not say is no turn of the assistant: an error, and why a run was cancelled or is
    paused, is one of the system. Tools are named without their arguments, which may hold secrets.
    """
    began = datetime.fromtimestamp(run.created_at, UTC)
    status = str(getattr(run.status, "value", run.status)).lower()
    known: dict[str, Any] = {
        "session_id": clean_name(session_id) or "unnamed",
        "agent_id": clean_name(_either(run, "agent_id", "team_id")),
        "project": project,
        "source_system": SOURCE,
        "metadata": {"run_id": run.run_id, "status": status},
    }
    turns = []
    asked = (
        clean_text(run.input.input_content_string(), at_most=MAX_TEXT_BYTES) if run.input else ""
    )
    if asked.strip():
        speaker = clean_name(user_id)
        turns.append(
            NewTurn(
                position=0, role="user", content=asked, speaker=speaker, occurred_at=began, **known
            )
        )
    answer = clean_text(written(run.content), at_most=MAX_TEXT_BYTES)
    if answer.strip() and status not in ("pending", "running"):
        said = status not in OUTCOMES or _is_said(run, run.content)
        role: Role = "assistant" if said else "system"
        known["metadata"] = {**known["metadata"], **_details(run)}
        turns.append(
            NewTurn(
                position=len(turns),
                role=role,
                content=answer if said else OUTCOMES[status] + answer,
                speaker=clean_name(_either(run, "agent_name", "team_name")),
                model=clean_name(run.model),
                occurred_at=began + timedelta(seconds=getattr(run.metrics, "duration", None) or 0),
                **known,
            )
        )
    return turns


def written(content: Any) -> str:
    """Return what an agent gave as text: structured output is JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if hasattr(content, "model_dump_json"):
        return str(content.model_dump_json())
    return json.dumps(content, default=str, ensure_ascii=False)


def _either(run: Any, of_agent: str, of_team: str) -> str | None:
    return getattr(run, of_agent, None) or getattr(run, of_team, None)


def _is_said(run: Any, content: Any) -> bool:
    """Tell whether a text is the agent's own: Agno puts errors and reasons in its place."""
    return any(each.role == "assistant" and each.content == content for each in run.messages or ())


def _details(run: Any) -> dict[str, Any]:
    """Return what tells about an answer: its tools, its tokens and whose model it was."""
    tools = [clean_name(tool.tool_name) for tool in run.tools or ()]
    details = {
        "tools": tools[:MAX_TOOLS],
        "tokens": getattr(run.metrics, "total_tokens", None),
        "provider": clean_name(run.model_provider),
    }
    return {name: value for name, value in details.items() if value}
