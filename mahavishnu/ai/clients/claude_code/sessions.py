"""Sessions of Claude Code: `sessions/PID.json` says whether one works, its transcript which model it asks."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.registered import find_registered
from mahavishnu.ai.clients.session import Activity, Session
from mahavishnu.ai.clients.transcripts import find_transcript, member, read_backwards, time_of

_ACTIVITIES: Mapping[str, Activity] = {"idle": "idle", "busy": "busy"}


def find(folder: Path, environ: Mapping[str, str]) -> list[Session]:  # noqa: ARG001 - the port's
    """Return the sessions that run."""
    found = []
    for each in find_registered(folder):
        identifier = each.text("sessionId")
        transcript = find_transcript(folder / "projects", each.folder, identifier, "{}.jsonl")
        model, answered = _last_answer(transcript) if transcript else ("", 0.0)
        found.append(
            Session(
                client="claude-code",
                id=identifier if transcript else "",
                process=each.process,
                folder=each.folder,
                since=each.since,
                activity=_ACTIVITIES.get(each.text("status"), "unknown"),
                busy_since=each.time("statusUpdatedAt"),
                model=model,
                answered=answered,
                version=each.text("version"),
                interactive=each.text("kind") == "interactive",
                certain=each.certain,
            )
        )
    return found


def _last_answer(transcript: Path) -> tuple[str, float]:
    """Return model and time of the last answer in the session itself, not of one that it had others work on."""
    for line in read_backwards(transcript):
        model = None
        if line.get("type") == "assistant" and not line.get("isSidechain"):
            model = member(line, "message", "model")
        elif line.get("type") == "attachment":
            model = member(line, "attachment", "identity", "modelId")
        if isinstance(model, str) and not model.startswith("<"):  # <synthetic>: the client's own
            return model, time_of(line)
    return "", 0.0
