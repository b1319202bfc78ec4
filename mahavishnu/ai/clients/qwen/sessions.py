"""Sessions of Qwen Code: whether one works is read from its transcript, since it does not say so itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mahavishnu.ai.clients.failures import RecordedRequest, attempt_of
from mahavishnu.ai.clients.options import sort_options
from mahavishnu.ai.clients.qwen.in_force import STARTED_ON
from mahavishnu.ai.clients.running import variables_of, word_after, words_of
from mahavishnu.ai.clients.session import (
    Activity,
    RestartServer,
    Resume,
    RunningSession,
    SessionState,
    Timeline,
    stand_alone,
)
from mahavishnu.ai.clients.session_files import find_registered
from mahavishnu.ai.clients.transcripts import Line, find_transcript, member, read_backwards, time_of

_URL = "ANTHROPIC_BASE_URL"
# Options to repeat, and that the words to resume take the place of, with how many words follow each.
_KEPT = {
    "-y": 0, "--yolo": 0, "-s": 0, "--sandbox": 0, "--approval-mode": 1,
    "--system-prompt": 1, "--append-system-prompt": 1, "--output-style": 1,
}  # fmt: skip
_REPLACED = {
    "--resume": 1, "-r": 1, "--continue": 0, "-c": 0, "--model": 1, "-m": 1, "--session-id": 1,
}  # fmt: skip
restart_server: RestartServer | None = None
FILES = "projects/*/chats/*.jsonl"


def read_attempt(line: Line) -> RecordedRequest | None:
    """Return a request, of which Qwen Code notes each."""
    event = member(line, "systemPayload", "uiEvent")
    name = event.get("event.name") if isinstance(event, dict) else None
    if name == "qwen-code.api_error":
        return attempt_of(
            line, failed=True, status=event.get("status_code"), text=event.get("error_message")
        )
    return attempt_of(line, failed=False) if name == "qwen-code.api_response" else None


def find(folder: Path) -> list[RunningSession]:
    """Return the sessions that run."""
    found = []
    for each in find_registered(folder):
        identifier = each.text("sessionId", "session_id")
        transcript = find_transcript(folder / "projects", each.folder, identifier, "chats/{}.jsonl")
        activity, model, answered = _last_turn(transcript) if transcript else ("idle", "", 0.0)
        found.append(
            RunningSession(
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


def judge(session: RunningSession, timeline: Timeline) -> SessionState:
    """Judge by what it began with: a session keeps model, address and key until it ends."""
    words = words_of(session.process)
    given = variables_of(session.process, [STARTED_ON, _URL])
    url = word_after("--openai-base-url", words)
    if word_after("--auth-type", words) == "anthropic":  # an option for that address there is not
        url = given.get(_URL, "")
    if url:
        return stand_alone(session, timeline, url, name=given.get(STARTED_ON, ""))
    profile = timeline.at(session.since)
    answered = session.answered >= session.since
    model = session.model if answered else timeline.provider(profile).model
    # Settings of a project, or its user, may have chosen a model that is not of the profile.
    known = not answered or timeline.provider(profile).has(model)
    state = SessionState(
        session=session, model=model, profile=profile if known else None,
        url=timeline.provider(profile).url if known else "", reach="restart", model_reach="restart",
    )  # fmt: skip
    current = timeline.match(timeline.seen)
    if profile != current and (profile or current):
        return replace(state, needs="restart", why="it began before the switch")
    return state


def resume(session: RunningSession, words: Sequence[str], model: str | None) -> Resume:  # noqa: ARG001 - the port's
    """Return its own options, and the session's id."""
    kept, left_out = sort_options(words, _KEPT, _REPLACED)
    again = ("--resume", session.id) if session.id else ()
    return Resume(("qwen", *kept, *again), left_out)
