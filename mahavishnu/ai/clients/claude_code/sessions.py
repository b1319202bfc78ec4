"""Sessions of Claude Code: `sessions/PID.json` says whether one works, its transcript which model it asks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mahavishnu.ai.clients.claude_code.layers import read_layers
from mahavishnu.ai.clients.claude_code.settings import (
    LARGE_MODELS,
    OWNED_ENV,
    ClaudeCodeSettings,
    env,
)
from mahavishnu.ai.clients.failures import RecordedRequest, attempt_of
from mahavishnu.ai.clients.options import sort_options
from mahavishnu.ai.clients.running import variables_of, word_after, words_of
from mahavishnu.ai.clients.session import (
    Activity,
    RestartServer,
    Resume,
    RunningSession,
    SessionState,
    Timeline,
)
from mahavishnu.ai.clients.session_files import find_registered
from mahavishnu.ai.clients.settings import text_at
from mahavishnu.ai.clients.transcripts import Line, find_transcript, member, read_backwards, time_of
from mahavishnu.ai.foreign_files.documents import Document

# Names of Claude Code's own that a provider's models are put behind.
_ALIASES = frozenset({"default", "opus", "opusplan", "sonnet", "haiku", "fable", "best"})
MODEL = LARGE_MODELS[0]
# Options to repeat, with how many words follow each; -1: all up to the next option.
_KEPT = {
    "--dangerously-skip-permissions": 0, "--allow-dangerously-skip-permissions": 0,
    "--strict-mcp-config": 0, "--verbose": 0, "--ide": 0, "--chrome": 0,
    "--permission-mode": 1, "--settings": 1, "--agent": 1, "--append-system-prompt": 1,
    "--system-prompt": 1, "--setting-sources": 1,
    "--add-dir": -1, "--mcp-config": -1, "--allowedTools": -1, "--allowed-tools": -1,
    "--disallowedTools": -1, "--disallowed-tools": -1, "--plugin-dir": -1,
}  # fmt: skip
# Options that the words to resume take the place of.
_REPLACED = {
    "--resume": 1, "-r": 1, "--continue": 0, "-c": 0, "--model": 1, "--session-id": 1,
}  # fmt: skip
restart_server: RestartServer | None = None
FILES = "projects/*/*.jsonl"
_ACTIVITIES: Mapping[str, Activity] = {"idle": "idle", "busy": "busy"}


def find(folder: Path) -> list[RunningSession]:
    """Return the sessions that run."""
    found = []
    for each in find_registered(folder):
        identifier = each.text("sessionId")
        transcript = find_transcript(folder / "projects", each.folder, identifier, "{}.jsonl")
        model, answered = _last_answer(transcript) if transcript else ("", 0.0)
        found.append(
            RunningSession(
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


def read_attempt(line: Line) -> RecordedRequest | None:
    """Return a request: each failed one is an `api_error`, also of those that Claude Code tries again."""
    if line.get("type") == "system" and line.get("subtype") == "api_error":
        said = member(line, "error", "status"), member(line, "error", "message")
        return attempt_of(line, failed=True, status=said[0], text=said[1])
    if line.get("type") != "assistant":
        return None
    if line.get("isApiErrorMessage"):
        return attempt_of(
            line, failed=True, status=line.get("apiErrorStatus"), text=line.get("apiErrorType")
        )
    model = member(line, "message", "model")
    real = isinstance(model, str) and not model.startswith("<")
    return attempt_of(line, failed=False) if real else None


def judge(session: RunningSession, timeline: Timeline) -> SessionState:
    """Judge by the settings as they are: it takes address and key over within two seconds, the model not."""
    words = words_of(session.process)
    layers = read_layers(
        user=timeline.path,
        folder=session.folder,
        words=words,
        exported=variables_of(session.process, OWNED_ENV),
    )
    seen = ClaudeCodeSettings().see(layers.document)
    wanted = seen.model or text_at(layers.document, ("model",))
    # One that was resumed asks the model of the settings of then; without one, that of its last answer.
    chosen = word_after("--model", words) or _model_then(session, timeline, layers.document)
    model = session.model if session.answered >= session.since else chosen or session.model
    state = SessionState(
        session=session,
        model=model,
        wanted=wanted,
        # What it asks is not compared: a session that keeps its model is on the profile all the same.
        profile=timeline.match(seen) or timeline.find(seen.url, model, seen.key),
        url=seen.url,
        reach="own" if layers.own else "live",
        model_reach="own" if layers.own else "live",
    )
    if session.activity == "busy" and 0 < session.busy_since < timeline.changed and not layers.own:
        then = timeline.at(session.busy_since)
        state = replace(
            state,
            profile=then,
            url=timeline.provider(then).url,
            why="it follows when it has answered",
        )
    if layers.own or not chosen or alias_in(words):
        return state
    state = replace(state, model_reach="restart")
    foreign = {each.model for each in timeline.providers.values()} - {""}
    if model and model != wanted and (wanted or model in foreign):
        return replace(state, needs="restart", why=f"it asks for {model}")
    return state


def _model_then(session: RunningSession, timeline: Timeline, document: Document) -> str:
    """Return the model it was started with; empty for the client's own choice, which follows the settings."""
    before = timeline.before(session.since)
    return (
        timeline.provider(timeline.at(session.since)).model
        or text_at(before, env(MODEL))
        or text_at(document, ("model",))
        or variables_of(session.process, [MODEL]).get(MODEL, "")
    )


def resume(session: RunningSession, words: Sequence[str], model: str | None) -> Resume:
    """Return its own options, the model where it was chosen by one, and the session's id."""
    kept, left_out = sort_options(words, _KEPT, _REPLACED)
    alias = alias_in(words)
    chosen = ("--model", alias or "default") if alias or model == "" else ()
    again = ("--resume", session.id) if session.id else ()
    return Resume(("claude", *kept, *chosen, *again), left_out)


def alias_in(words: Sequence[str]) -> str:
    """Return the name of Claude Code's own that was chosen as model; settings change what it stands for."""
    given = word_after("--model", words)
    return given if given.partition("[")[0] in _ALIASES else ""
