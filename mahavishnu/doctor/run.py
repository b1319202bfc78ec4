"""Run all checks in order, each bounded and none in the way of another; fix what may be fixed."""

import asyncio
import inspect
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import distributions

from msgspec import Struct

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.doctor import clients, daemon, database, files, machine, model, sync
from mahavishnu.doctor.findings import Check, Examination, Finding, Status, failure, worst

# The embedded server may have to start, and a model to load.
START_LIMIT_S = 20.0
HOME, SETTINGS, DATABASE, MEMORY = ("home",), ("settings",), ("database",), ("memory",)
# An order that gives each check what it needs.
CHECKS = (
    Check(
        "python",
        lambda _: machine.judge_python(sys.version_info[:3], platform.python_implementation()),
    ),
    Check(
        "platform",
        lambda _: machine.judge_platform(sys.platform, platform.release(), platform.machine()),
    ),
    Check("clock", lambda _: machine.judge_clock(datetime.now(UTC))),
    Check("package", lambda _: machine.judge_owners(distributions())),
    Check(
        "command", lambda run: machine.judge_command(machine.COMMAND, run.environ.get("PATH", ""))
    ),
    Check("home", files.look_at_home),
    Check("disk", machine.look_at_disk, HOME),
    files.privacy_check("config_folder", lambda places: places.config),
    files.privacy_check("data_folder", lambda places: places.data),
    files.privacy_check("state_folder", lambda places: places.state),
    files.privacy_check(
        "settings_file", lambda places: places.user_settings, files.judge_file, files.FILE_MODE
    ),
    Check(
        "trusted_file",
        files.look_at_trusted,
        HOME,
        lambda run: files.close(run.places.trusted_directories, files.FILE_MODE),
    ),
    Check("token", files.look_at_token, HOME, files.replace_token),
    Check(
        "daemon", lambda run: daemon.judge_daemon(run.places.daemon_lock), HOME, daemon.empty_record
    ),
    Check("settings", files.look_at_settings, HOME),
    Check("clients", clients.look_at_clients, SETTINGS, clients.close_clients),
    Check("exported_keys", clients.look_at_exported_keys, SETTINGS),
    Check("proxies", clients.look_at_proxies, SETTINGS),
    Check("port", daemon.look_at_port, SETTINGS),
    Check("postgres", database.look_at_programs, SETTINGS),
    Check("database", database.look_at_database, SETTINGS, limit_s=START_LIMIT_S),
    Check("server_version", lambda run: database.judge_version(run.facts), DATABASE),
    Check("pgvector", lambda run: database.judge_pgvector(run.facts), DATABASE),
    Check("schema", lambda run: database.judge_schema(run.facts), DATABASE),
    Check("visibility", lambda run: database.judge_visibility(run.facts), DATABASE),
    Check("database_clock", lambda run: database.judge_clocks(run.facts), DATABASE),
    Check("memory", database.look_at_memory, ("pgvector", "schema")),
    Check("storage", database.look_at_storage, MEMORY),
    Check("times", database.look_at_times, MEMORY),
    Check("backup", database.look_at_backup, MEMORY),
    Check("spool", files.look_at_spool, HOME),
    Check("model", model.look_at_model, SETTINGS),
    Check("model_identity", model.look_at_identity, MEMORY),
    Check("model_probe", model.look_at_probe, ("model",), limit_s=START_LIMIT_S),
    Check("waiting", model.look_at_waiting, MEMORY, model.embed_waiting),
    Check("sync", sync.look_at_sync, MEMORY),
)
_log = get_logger(__name__)


@dataclass(frozen=True)
class Mended:
    """What `--fix` did for one check, or why it could not."""

    name: str
    done: bool
    summary: str


class Report(Struct, frozen=True):
    """All findings, as they are after what was fixed, and the worst status."""

    findings: tuple[Finding, ...]
    mended: tuple[Mended, ...]
    status: Status


async def examine(
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str],
    with_database: bool = True,
    fix: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    Run the checks; with `fix` also fix what is safe to fix, and run them again.

    Nothing of ours is written without `fix`, but for what a running embedded server writes itself.
    `announce` gets the name of each check before it is fixed, which can take long.
    """
    mended: tuple[Mended, ...] = ()
    async with AsyncExitStack() as stack:
        first = Examination(environ, flags, with_database, stack)
        await look(first)
        if fix:
            mended = await mend(first, announce)
    if not mended:
        return _report(first)
    async with AsyncExitStack() as stack:
        again = Examination(environ, flags, with_database, stack)
        await look(again)
    return _report(again, mended)


def _report(done: Examination, mended: tuple[Mended, ...] = ()) -> Report:
    findings = tuple(done.findings.values())
    return Report(findings, mended, worst(findings))


async def look(examination: Examination, checks: tuple[Check, ...] = CHECKS) -> None:
    """Make the checks one after another; their findings are in the examination."""
    for check in checks:
        found = await _look(check, examination)
        examination.findings[check.name] = replace(found, name=check.name)


async def _look(check: Check, examination: Examination) -> Finding:
    found = examination.findings
    missing = next((found[name] for name in check.needs if not found[name].usable), None)
    if missing is not None:
        why = f"Not looked at, because of {missing.name}."
        return Finding("skipped", missing.summary if missing.status == "skipped" else why)
    try:
        async with asyncio.timeout(check.limit_s):
            return await _call(check.look, examination)
    except Exception as error:  # noqa: BLE001 - a root: what one check meets must not stop the others
        return failure(explain(error, check))


async def mend(examination: Examination, announce: Callable[[str], None]) -> tuple[Mended, ...]:
    """Fix what was found to be fixable, in the order of the checks."""
    mended = []
    for check in CHECKS:
        if check.mend is None or not examination.findings[check.name].fixable:
            continue
        announce(check.name)
        try:
            mended.append(Mended(check.name, True, await _call(check.mend, examination)))
        except Exception as error:  # noqa: BLE001 - as above
            mended.append(Mended(check.name, False, explain(error, check).message))
    return tuple(mended)


def explain(error: Exception, check: Check) -> MahavishnuError:
    """Return the error that a finding reports; one that nobody foresaw is logged with its trace."""
    if isinstance(error, MahavishnuError):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(
            f"There was no answer within {check.limit_s:g} s.",
            hint="Try again; where it stays so, what this check asks is hanging.",
            code="doctor.timeout",
        )
    if isinstance(error, OSError):
        return Unavailable(
            f"The system refused: {error.strerror or type(error).__name__}"
            f"{f' ({error.filename})' if error.filename else ''}.",
            hint="Check the owner and the rights of the files and the folders above them.",
            code="doctor.system",
        )
    _log.error("check_failed", check=check.name, exc_info=True)
    return MahavishnuError(
        f"The check itself failed ({type(error).__name__}).",
        hint="The traceback on stderr belongs into a bug report.",
    )


async def _call[T](
    function: Callable[[Examination], T | Awaitable[T]], examination: Examination
) -> T:
    """Call a coroutine function, or a plain one in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(examination)  # type: ignore[no-any-return]
    return await asyncio.to_thread(function, examination)  # type: ignore[arg-type]
