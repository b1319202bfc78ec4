"""Sessions of Qwen Code: whether one works is read from its transcript, since it does not say so itself."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.registered import find_registered
from mahavishnu.ai.clients.session import Activity, Session
from mahavishnu.ai.clients.transcripts import find_transcript, member, read_backwards, time_of


def find(folder: Path, environ: Mapping[str, str]) -> list[Session]:  # noqa: ARG001 - the port's
    """Return the sessions that run."""
    found = []
    for each in find_registered(folder):
        identifier = each.text("sessionId", "session_id")
        transcript = find_transcript(folder / "projects", each.folder, identifier, "chats/{}.jsonl")
        activity, model, answered = _last_turn(transcript) if transcript else ("idle", "", 0.0)
        found.append(
            Session(
                client="qwen",
                id=identifier if transcript else "",
                process=each.process,
                folder=each.folder,
                since=each.since,
                activity=activity if each.about else "unknown",
                model=model,
                answered=answered,
                version=each.text("qwenVersion", "qwen_version"),
                interactive=each.text("kind") == "tui",
                certain=each.certain,
            )
        )
    return found


def _last_turn(transcript: Path) -> tuple[Activity, str, float]:
    """
    Return whether it works, and model and time of the last answer.

    It does from the user's message on until an answer that uses no tool; one that was interrupted
    counts as working until the next is done.
    """
    activity: Activity | None = None
    for line in read_backwards(transcript):
        kind = line.get("type")
        if kind == "assistant":
            parts = member(line, "message", "parts")
            uses_tool = isinstance(parts, list) and any(
                isinstance(part, dict) and "functionCall" in part for part in parts
            )
            model = line.get("model")
            return activity or ("busy" if uses_tool else "idle"), str(model or ""), time_of(line)
        if kind in ("user", "tool_result"):
            activity = "busy"
    return activity or "idle", "", 0.0
