"""Its sessions: lines of `PID NAME FOLDER` in one file."""

from collections.abc import Sequence
from pathlib import Path

from mahavishnu.ai.clients.failures import RecordedRequest, attempt_of
from mahavishnu.ai.clients.session import (
    RestartServer,
    Resume,
    RunningSession,
    SessionState,
    Timeline,
)
from mahavishnu.ai.clients.transcripts import Line
from mahavishnu.base.processes import identify

restart_server: RestartServer | None = None
FILES = "errors"


def read_attempt(line: Line) -> RecordedRequest | None:
    return attempt_of(line, failed=True, status=line.get("status"))


def find(folder: Path) -> list[RunningSession]:
    file = folder / "running"
    rows = [line.split(" ", 2) for line in file.read_text().splitlines()] if file.exists() else []
    return [
        RunningSession(
            client="fourth", id=name, process=process, folder=where, since=0.0, activity="idle"
        )
        for pid, name, where in rows
        if (process := identify(int(pid))) is not None
    ]


def judge(session: RunningSession, timeline: Timeline) -> SessionState:
    seen = timeline.seen
    return SessionState(
        session=session, model=seen.model, profile=timeline.match(seen), url=seen.url,
        reach="live", model_reach="live", wanted=seen.model,
    )  # fmt: skip


def resume(session: RunningSession, words: Sequence[str], model: str | None) -> Resume:
    return Resume(("fourth", "--again", session.id))
