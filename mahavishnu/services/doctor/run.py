"""Run all checks in order, each bounded and none in the way of another; fix what may be fixed."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from msgspec import Struct

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.services.doctor.clients import close_clients, look_at_clients
from mahavishnu.services.doctor.daemon import empty_record, look_at_daemon, look_at_port
from mahavishnu.services.doctor.database import (
    look_at_database,
    look_at_database_clock,
    look_at_memory,
    look_at_pgvector,
    look_at_programs,
    look_at_schema,
    look_at_times,
    look_at_version,
    look_at_visibility,
)
from mahavishnu.services.doctor.files import (
    close_settings_file,
    close_trusted,
    folder_check,
    look_at_home,
    look_at_settings,
    look_at_settings_file,
    look_at_token,
    look_at_trusted,
    replace_token,
)
from mahavishnu.services.doctor.findings import Check, Examination, Finding, Status, failure, worst
from mahavishnu.services.doctor.installation import look_at_command, look_at_package
from mahavishnu.services.doctor.keys import look_at_exported_keys, look_at_proxies
from mahavishnu.services.doctor.machine import (
    look_at_clock,
    look_at_disk,
    look_at_platform,
    look_at_python,
)
from mahavishnu.services.doctor.model import (
    embed_waiting,
    look_at_identity,
    look_at_model,
    look_at_probe,
    look_at_waiting,
)

# The embedded server may have to start, and a model to load.
START_LIMIT_S = 20.0
HOME = ("home",)
# An order that gives each check what it needs.
CHECKS = (
    Check("python", look_at_python),
    Check("platform", look_at_platform),
    Check("clock", look_at_clock),
    Check("package", look_at_package),
    Check("command", look_at_command),
    Check("home", look_at_home),
    Check("disk", look_at_disk, HOME),
    folder_check("config_folder", "config"),
    folder_check("data_folder", "data"),
    folder_check("state_folder", "state"),
    Check("settings_file", look_at_settings_file, HOME, close_settings_file),
    Check("trusted_file", look_at_trusted, HOME, close_trusted),
    Check("token", look_at_token, HOME, replace_token),
    Check("daemon", look_at_daemon, HOME, empty_record),
    Check("settings", look_at_settings, HOME),
    Check("clients", look_at_clients, ("settings",), close_clients),
    Check("exported_keys", look_at_exported_keys, needs=("settings",)),
    Check("proxies", look_at_proxies, needs=("settings",)),
    Check("port", look_at_port, needs=("settings",)),
    Check("postgres", look_at_programs, needs=("settings",)),
    Check("database", look_at_database, needs=("settings",), limit_s=START_LIMIT_S),
    Check("server_version", look_at_version, needs=("database",)),
    Check("pgvector", look_at_pgvector, needs=("database",)),
    Check("schema", look_at_schema, needs=("database",)),
    Check("visibility", look_at_visibility, needs=("database",)),
    Check("database_clock", look_at_database_clock, needs=("database",)),
    Check("memory", look_at_memory, needs=("pgvector", "schema")),
    Check("times", look_at_times, needs=("memory",)),
    Check("model", look_at_model, needs=("settings",)),
    Check("model_identity", look_at_identity, needs=("memory",)),
    Check("model_probe", look_at_probe, needs=("model",), limit_s=START_LIMIT_S),
    Check("waiting", look_at_waiting, needs=("memory",), mend=embed_waiting),
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
        examination.findings[check.name] = await _look(check, examination)


async def _look(check: Check, examination: Examination) -> Finding:
    found = examination.findings
    missing = next((found[name] for name in check.needs if not found[name].usable), None)
    if missing is not None:
        why = f"Not looked at, because of {missing.name}."
        return Finding(check.name, "skipped", missing.summary if missing.skipped else why)
    try:
        async with asyncio.timeout(check.limit_s):
            return await _call(check.look, examination)
    except Exception as error:  # noqa: BLE001 - a root: what one check meets must not stop the others
        return failure(check.name, explain(error, check))


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
