"""What is shown of the daemon: whether it runs, where, and how it is."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import DaemonRecord, find_daemon
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.paths import Locations
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.verify import newest_proven
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.services.schedule.pause import Pause, PauseFile


class DaemonBody(Struct, frozen=True, kw_only=True):
    """A daemon; without port and address while it begins or ends."""

    pid: int
    port: int | None
    url: str | None
    version: str
    since: str

    @classmethod
    def of(cls, record: DaemonRecord) -> Self:
        """Return what is shown of a daemon."""
        return cls(
            pid=record.pid,
            port=record.port,
            url=None if record.port is None else record.url,
            version=record.version,
            since=record.since,
        )


class Started(Struct, frozen=True, kw_only=True):
    """The daemon that runs now, and whether it was started for this."""

    started: bool
    daemon: DaemonBody


class Stopped(Struct, frozen=True, kw_only=True):
    """Whether a daemon ran, and whether it had to be killed."""

    stopped: bool
    killed: bool


class Token(Struct, frozen=True, kw_only=True):
    """The bearer token itself."""

    token: str

    def __repr__(self) -> str:
        return "Token(***)"


class TokenPath(Struct, frozen=True, kw_only=True):
    """Where the token is kept."""

    path: str


class Rotated(Struct, frozen=True, kw_only=True):
    """A token was replaced."""

    rotated: bool = True
    path: str


class ReportProblem(Struct, frozen=True, kw_only=True):
    """Why a daemon that runs does not say how it is, or why the spool cannot be read."""

    code: str
    message: str
    hint: str | None

    @classmethod
    def of(cls, error: MahavishnuError) -> Self:
        """Return what is shown of an error."""
        return cls(code=error.code, message=error.message, hint=error.hint)


class DaemonReport(Struct, frozen=True, kw_only=True):
    """Whether the daemon runs, and what it says of itself."""

    running: bool
    daemon: DaemonBody | None
    state: dict[str, Any] | None = None
    problem: ReportProblem | None = None
    log: str | None
    spooled: int | None
    spool_problem: ReportProblem | None = None
    paused: Pause | None = None
    proven_backup_at: datetime | None = None
    proven_backup_created_at: datetime | None = None


def report_daemon(locations: Locations, backups: Path | None) -> DaemonReport:
    """
    Return whether the daemon runs, and its state; starts nothing.

    Where none says so, the newest proven backup is looked for in the folder `backups`; a bucket is not asked.
    """
    record = find_daemon(locations.daemon_lock)
    state = problem = None
    if record is not None and record.port is not None:
        try:
            state = DaemonClient(record, read_token(locations.token)).ask("GET", "/api/v1/status")
        except MahavishnuError as error:
            problem = ReportProblem.of(error)
    proven = None
    if backups is not None and state is None:
        with suppress(MahavishnuError):  # `backup list` says why the sets cannot be read
            proven = newest_proven(LocalFolder(backups))
    spooled = spool_problem = None
    try:
        spooled = SpoolFile(locations.data).total()
    except MahavishnuError as error:
        spool_problem = ReportProblem.of(error)
    return DaemonReport(
        running=record is not None,
        daemon=DaemonBody.of(record) if record else None,
        state=state,
        problem=problem,
        log=str(locations.daemon_log) if locations.daemon_log.exists() else None,
        spooled=spooled,
        spool_problem=spool_problem,
        paused=PauseFile(locations.state).read(datetime.now(UTC)),
        proven_backup_at=proven.proven_at if proven else None,
        proven_backup_created_at=proven.created_at if proven else None,
    )
