"""
The AI environments from Python: profiles, switches and sessions, as `mahavishnu ai` has them.

Each function does its work in a thread, so that the event loop goes on, and needs no database. Cancelling one
ends the waiting; what has begun is still carried out. `loaded` are settings from `load_settings`; by default they
are read again at each call, in the working folder. Every failure is a `MahavishnuError`, with the same `code` as on
the command line, over MCP and over HTTP.
"""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from msgspec import Struct

from mahavishnu.ai.clients.table import ClientName as ClientName
from mahavishnu.ai.routes.intent import Intent as Intent
from mahavishnu.ai.sessions.restarting import END_TIMEOUT_S
from mahavishnu.ai.switching.switch import Via as Via
from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.operations.ai import auto, switching
from mahavishnu.operations.ai import sessions as running
from mahavishnu.operations.ai import state as environments
from mahavishnu.operations.ai.auto import AutoState as AutoState
from mahavishnu.operations.ai.auto import AutoStatus, SetAuto
from mahavishnu.operations.ai.requests import ListLlms, LlmStatus, SwitchLlm, UndoSwitch
from mahavishnu.operations.ai.results import LlmState as LlmState
from mahavishnu.operations.ai.results import Profiles as Profiles
from mahavishnu.operations.ai.results import RestartResult as RestartResult
from mahavishnu.operations.ai.results import Sessions as Sessions
from mahavishnu.operations.ai.results import SwitchResult as SwitchResult
from mahavishnu.operations.ai.results import UndoResult as UndoResult
from mahavishnu.operations.ai.sessions import FindSessions, RestartSessions
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.operation import read_request


async def list_llms(*, loaded: Loaded | None = None) -> Profiles:
    """
    List the profiles, where the key of each is, and which clients use it.

    `notes` says why a profile is missing: one that cannot be used stops no other.

    Raises:
        UsageError, Corrupt: the settings are wrong (`settings.*`).
    """
    return await _run(environments.find_profiles, ListLlms, loaded)


async def status(*, loaded: Loaded | None = None) -> LlmState:
    """
    Tell what each client is really set to, and the last 10 switches, the latest first.

    A client whose settings cannot be read is listed too, with the reason as its `problem`.

    Raises:
        UsageError, Corrupt: our own settings are wrong (`settings.*`).
        Corrupt: the journal of switches is damaged.
    """
    return await _run(environments.find_state, LlmStatus, loaded)


async def switch_llm(
    name: str,
    *,
    clients: Sequence[ClientName] = (),
    allow_missing_key: bool = False,
    via: Via | None = None,
    confirm: bool = False,
    loaded: Loaded | None = None,
) -> SwitchResult:
    """
    Point AI clients at the provider of a profile, all of them or none; only with `confirm=True`.

    Without it nothing is written, and the result says what would change.

    Args:
        name: a profile, as `list_llms` has it.
        clients: only these; else all that are installed and that the profile fits.
        allow_missing_key: switch though the key cannot be found by this process.
        via: through the gateway, or straight to the provider; by default each client as it goes now.
        confirm: write.
        loaded: settings to go by.

    Raises:
        NotFound: `ai.unknown_profile`, `secret.missing`, `ai.client_missing`.
        Unavailable: `ai.gateway_down`.
        UsageError: `input.invalid`, `ai.no_client`, `ai.unsuitable_profile`.
        Conflict: the settings were changed by somebody else since.
        Forbidden: the settings hold a key in plain text, or a project is not trusted.
        Corrupt: a client's settings cannot be read; nothing was written.
    """
    return await _run(
        switching.make_switch,
        SwitchLlm,
        loaded,
        name=name,
        clients=clients,
        allow_missing_key=allow_missing_key,
        via=via,
        confirm=confirm,
    )


async def auto_status(*, loaded: Loaded | None = None) -> AutoState:
    """Tell what is done where a profile fails, and which clients were switched so."""
    return await _run(auto.auto_status, AutoStatus, loaded)


async def set_auto(intent: Intent, *, loaded: Loaded | None = None) -> AutoState:
    """
    Say what is done where a profile fails; switches and restarts leave it as it is.

    Args:
        intent: "on" falls back and returns, "pinned" tells and stays, "off" does neither.
        loaded: settings to go by.
    """
    return await _run(auto.set_auto, SetAuto, loaded, intent=intent)


async def undo(
    id: UUID | str, *, confirm: bool = False, loaded: Loaded | None = None
) -> UndoResult:
    """
    Take a switch back, and nothing else; only with `confirm=True`.

    Without it nothing is written, and the result says what would be taken back. One that was taken back
    before is no error: the result has `already`.

    Args:
        id: that of a `SwitchResult`, or of `status`; the 8 hex digits that it ends with are enough.
        confirm: write.
        loaded: settings to go by.

    Raises:
        NotFound: `ai.no_switch`.
        Conflict: the settings were changed by somebody else since, or a later switch comes first.
        Corrupt: a client's settings cannot be read.
    """
    text = str(id) if isinstance(id, UUID) else id
    return await _run(switching.take_back, UndoSwitch, loaded, id=text, confirm=confirm)


async def list_sessions(
    *, clients: Sequence[ClientName] = (), loaded: Loaded | None = None
) -> Sessions:
    """List the sessions that run, the profile that each is really on, and what it needs to follow a switch."""
    return await _run(running.find_sessions, FindSessions, loaded, clients=clients)


async def restart(
    sessions: Sequence[str] = (),
    *,
    clients: Sequence[ClientName] = (),
    everywhere: bool = False,
    kill: bool = False,
    timeout_s: float = END_TIMEOUT_S,
    loaded: Loaded | None = None,
) -> RestartResult:
    """
    Restart sessions so that they follow a switch, and resume them where they were.

    The result says of each what became of it, and never more than was seen: one that was left alone, or
    that did not end, is no error. The session that this is called from is never restarted.

    Args:
        sessions: ids as `list_sessions` has them, or pids as text. Without any: those that a switch has not
            reached, that are idle, and whose terminal (tmux) can resume them.
        clients: only sessions of these.
        everywhere: busy ones too, and those in any terminal; the latter end, and `resume` brings them back.
        kill: end by force what does not end when it is asked to.
        timeout_s: seconds to wait for each to end, above 0 and at most 600.
        loaded: settings to go by.

    Raises:
        NotFound: `ai.no_session`.
        UsageError: `ai.session_ambiguous`, `input.invalid`.
    """
    return await _run(
        running.restart,
        RestartSessions,
        loaded,
        sessions=sessions,
        clients=clients,
        everywhere=everywhere,
        kill=kill,
        timeout_s=timeout_s,
    )


async def _run[Q: Struct, R](
    work: Callable[[Environments, Q], R], kind: type[Q], loaded: Loaded | None, **values: object
) -> R:
    if not isinstance(loaded, Loaded | None):
        raise UsageError(
            f"loaded must be what load_settings returns, not {type(loaded).__name__}.",
            hint="Leave it out, and the settings are read again.",
            code="input.invalid",
        )
    request = read_request(kind, values)

    def run() -> R:
        return work(Environments(load_settings() if loaded is None else loaded), request)

    return await asyncio.to_thread(run)
