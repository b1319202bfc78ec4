"""
Threads of Codex: those that it holds a writer's lock on, in its background server or in a process of their own.

A lock's file is made when the thread is loaded, which is when it takes up its provider. The rollout
of the thread says where it works, which model it asks, and whether a turn is open.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from mahavishnu.ai.clients.codex.server import restart_server as restart_server
from mahavishnu.ai.clients.codex.settings import OWN_PROVIDER, PROVIDER, RUN_ID
from mahavishnu.ai.clients.failures import RecordedRequest, attempt_of
from mahavishnu.ai.clients.running import variables_of, words_of
from mahavishnu.ai.clients.session import (
    Activity,
    Resume,
    RunningSession,
    SessionProvider,
    SessionState,
    Timeline,
    stand_alone,
)
from mahavishnu.ai.clients.session_files import read_object
from mahavishnu.ai.clients.transcripts import Line, member, read_backwards, read_first
from mahavishnu.base.processes import ProcessIdentity, identify

_ENDS: Mapping[str, Activity] = {
    "task_started": "busy", "task_complete": "idle", "turn_aborted": "idle",
}  # fmt: skip
_DAY = timedelta(days=1)
_URL = re.compile(r'base_url\s*=\s*"([^"]*)"')
_RESUMED_S = 30.0  # from a thread's beginning to its loading

FILES = "sessions/*/*/*/rollout-*.jsonl"
_STATUS = re.compile(r"unexpected status (\d{3})")


def read_attempt(line: Line) -> RecordedRequest | None:
    """Return how a turn ended; the status is in the words of its error."""
    if member(line, "payload", "type") != "task_complete":
        return None
    if not member(line, "payload", "error"):
        return attempt_of(line, failed=False)
    text = str(member(line, "payload", "error", "message") or "")
    found = _STATUS.search(text)
    return attempt_of(line, failed=True, status=int(found[1]) if found else 0, text=text)


def find(folder: Path) -> list[RunningSession]:
    """Return the threads that are loaded and had a turn; one without has nothing to lose."""
    server = find_server(folder)
    return [
        session
        for identifier, process, since in _loaded(folder / "thread-writer-locks", server)
        if (session := _session(folder, identifier, process, since, server)) is not None
    ]


def find_server(folder: Path) -> ProcessIdentity | None:
    """Return the background server, by the file that it registers itself in; None where none runs."""
    about = read_object(folder / "app-server-daemon" / "daemon.pid")
    pid = about.get("pid")
    process = identify(pid) if isinstance(pid, int) else None
    boot, mark, ticks = process.started.partition(":") if process else ("", "", "")
    said = about.get("processIdentity")
    if mark and isinstance(said, dict) and "startTicks" in said:
        same = (str(said.get("bootId", boot)), str(said["startTicks"])) == (boot, ticks)
        return process if same else None
    return process


def _loaded(
    folder: Path, server: ProcessIdentity | None
) -> Iterator[tuple[str, ProcessIdentity, float]]:
    """Yield each thread with the process that holds its lock, and when it was loaded."""
    holders = _holders() if sys.platform == "linux" else None
    for path in sorted(folder.glob("*-*.lock")):
        try:
            about = path.stat()
        except OSError:
            continue
        if holders is None:  # no list of locks is to be had: what lies there is the server's
            process = server
        else:
            process = next((p for p in holders.get(about.st_ino, ()) if _has_open(p, path)), None)
        if process is not None:
            yield path.stem, process, about.st_mtime


def _holders() -> dict[int, list[ProcessIdentity]]:
    """Return the processes that hold locks on whole files, by the number of the file."""
    found: dict[int, list[ProcessIdentity]] = {}
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[4].isdecimal():
            process = identify(int(words[4]))
            inode = words[5].rpartition(":")[2]
            if process is not None and inode.isdecimal():
                found.setdefault(int(inode), []).append(process)
    return found


def _has_open(process: ProcessIdentity, path: Path) -> bool:
    """Tell whether the process has this very file open: numbers of files repeat from disk to disk."""
    try:
        return any(each.samefile(path) for each in Path(f"/proc/{process.pid}/fd").iterdir())
    except OSError:
        return False


def _session(
    folder: Path,
    identifier: str,
    process: ProcessIdentity,
    since: float,
    server: ProcessIdentity | None,
) -> RunningSession | None:
    rollout = _rollout(folder, identifier)
    if rollout is None:
        return None
    meta: dict[str, Any] = read_first(rollout)
    activity, model = _last_turn(rollout)
    return RunningSession(
        client="codex",
        id=identifier,
        process=process,
        folder=str(member(meta, "payload", "cwd") or ""),
        since=since,
        activity=activity,
        model=model,
        provider=str(member(meta, "payload", "model_provider") or ""),
        version=str(member(meta, "payload", "cli_version") or ""),
        shared=process == server,
        resumed=since - _made_at(identifier) > _RESUMED_S,
    )


def _rollout(folder: Path, identifier: str) -> Path | None:
    """Return the thread's file, which lies in a folder by the day; the thread's id holds its time."""
    try:
        made = datetime.fromtimestamp(_made_at(identifier))
    except (ValueError, OverflowError, OSError):
        return None
    for day in (made, made - _DAY, made + _DAY):
        there = folder / "sessions" / f"{day:%Y/%m/%d}"
        found = next(iter(there.glob(f"rollout-*-{identifier}.jsonl")), None)
        if found is not None:
            return found
    return None


def _made_at(identifier: str) -> float:
    """Return when a thread was begun, in seconds since the epoch; raises ValueError for what is no id."""
    return (UUID(identifier).int >> 80) / 1000


def _last_turn(rollout: Path) -> tuple[Activity, str]:
    activity: Activity | None = None
    model = ""
    for line in read_backwards(rollout):
        kind = member(line, "payload", "type")
        if activity is None and isinstance(kind, str):
            activity = _ENDS.get(kind)
        if not model:
            said = member(line, "payload", "model") if line.get("type") == "turn_context" else None
            said = said or member(line, "payload", "thread_settings", "model")
            model = said if isinstance(said, str) else ""
        if activity and model:
            break
    return activity or "unknown", model


def judge(session: RunningSession, timeline: Timeline) -> SessionState:
    """Judge by the time at which the thread was loaded: it stays with the provider of then."""
    if session.provider == RUN_ID:
        given = _given_provider(words_of(session.process))
        found = _URL.search(given)
        return stand_alone(session, timeline, found[1] if found else "", key=given)
    profile = timeline.at(session.since)
    if not session.resumed and _is_other_provider(
        session.provider, timeline.providers.get(profile or "")
    ):
        return SessionState(
            session=session, model=session.model, reach="own", model_reach="own",
            why=f"it was started on the provider {session.provider}",
        )  # fmt: skip
    current = timeline.match(timeline.seen)
    state = SessionState(
        session=session, model=session.model, profile=profile, url=timeline.provider(profile).url,
        reach="thread", model_reach="thread", wanted=timeline.seen.model,
    )  # fmt: skip
    missing = _missing_key(session, timeline, current)
    if missing:
        return replace(state, needs="restart", why=missing)
    if profile != current and (profile or current):
        return replace(state, needs="thread", why="it began before the switch")
    if timeline.seen.model and session.model and timeline.seen.model != session.model:
        return replace(state, needs="thread", why=f"it asks for {session.model}")
    return state


def _missing_key(session: RunningSession, timeline: Timeline, current: str | None) -> str:
    """Return why the background server could not get at the present key: its environment is that of its start."""
    key = timeline.provider(current).key
    if key is None or not key.variable or not session.shared:
        return ""
    name = key.variable
    wanted = timeline.environ.get(name)
    if not wanted or variables_of(session.process, [name]).get(name) == wanted:
        return ""
    return f"Codex's background server was started with another {name}, or without it"


def _given_provider(words: Sequence[str]) -> str:
    """Return the provider that `ai run` gave, as the words have it."""
    return next((each for each in words if each.startswith(f"model_providers.{RUN_ID}=")), "")


def _is_other_provider(said: str, profile: SessionProvider | None) -> bool:
    """Tell whether what Codex calls a provider cannot be the profile's."""
    if profile is None or not said:
        return False
    return said != (OWN_PROVIDER if profile.native else PROVIDER[-1])


def resume(session: RunningSession, words: Sequence[str], model: str | None) -> Resume:  # noqa: ARG001 - the port's
    """Return its own command for it; a thread keeps what it was begun with."""
    return Resume(("codex", "resume", session.id, *(("-m", model) if model else ())))
