"""
Switch AI clients, take it back, and answer what others changed since: all that writes to clients' settings.

MCP, HTTP and Python ask `make_switch` and `take_back`, which write only where the request confirms it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents.port import plain
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching import restore, switch, undo
from mahavishnu.ai.switching.drift import Drift
from mahavishnu.ai.switching.drift import adopt as adopt_drift
from mahavishnu.ai.switching.journal import JournalEntry, value_of
from mahavishnu.ai.switching.plan import FilePlan, Scope, SwitchPlan, check_plan, member_changes
from mahavishnu.ai.switching.redaction import shown_record
from mahavishnu.ai.switching.routing import VIA_GATEWAY
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import key_state
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.base.errors import MahavishnuError, NotFound, Unavailable
from mahavishnu.operations.ai.bindings import require_free
from mahavishnu.operations.ai.gateway_health import gateway_answers
from mahavishnu.operations.ai.requests import SwitchLlm, UndoSwitch
from mahavishnu.operations.ai.results import (
    Adopted,
    AdoptedFile,
    MemberBody,
    Restored,
    SwitchedClient,
    SwitchResult,
    UnchangedClient,
    UndoResult,
    Written,
)
from mahavishnu.operations.ai.site import Environments

_MISSING = "secret.missing"
_WITH_OPTIONS = {"ai.changed_meanwhile", "ai.key_away", "ai.plain_key"}


def make_switch(environments: Environments, request: SwitchLlm) -> SwitchResult:
    """Switch, or only say what would change."""
    site, profile = environments.site, environments.find_wanted(request.profile)
    ask = SwitchOptions(
        clients=request.clients, allow_missing_key=request.allow_missing_key, via=request.via
    )
    require_gateway(site, ask)
    with _naming_command(f"switch-llm {profile.name}"), _telling_where_keys_are_sought(profile):
        if request.confirm:
            done = _switch(environments, profile, ask)
        else:
            plan = switch.plan_switch(site, profile, ask)
            check_plan(plan, overwrite=False, forget_keys=False)
            done = switched(switch.Switched(plan, None), dry_run=True)
    if key_state(site, profile) == "missing":
        done.notes.append(f"{profile.key} is not set here; it must be where the client is started.")
    return done


def switch_clients(
    environments: Environments, profile: Profile, ask: SwitchOptions, *, dry_run: bool
) -> SwitchResult:
    """Switch as it is asked; a dry run says what would change, also where that would be refused."""
    site = environments.site
    require_gateway(site, ask)
    if ask.scope == "project":
        require_free(site, profile.name)
    with naming_others(site, profile, ask):
        if dry_run:
            plan = switch.plan_switch(site, profile, ask)
            return switched(switch.Switched(plan, None), dry_run=True)
        return _switch(environments, profile, ask)


def require_gateway(site: Site, ask: SwitchOptions) -> None:
    """
    Refuse to point clients at a gateway that does not listen.

    Raises:
        Unavailable: `ai.gateway_down`.
    """
    if ask.via != VIA_GATEWAY or gateway_answers(site.gateway):
        return
    raise Unavailable(
        f"No gateway listens at {site.gateway}, and clients that are pointed at it would reach nobody.",
        hint="Start it: mahavishnu service start gateway, or mahavishnu gateway serve",
        code="ai.gateway_down",
    )


def find_running(environments: Environments, done: SwitchResult) -> list[ClientName]:
    """Return the clients that were switched and have sessions that run, which a change of route alone reaches."""
    names = [each.client for each in done.clients if each.restarts or not each.route]
    return [name for name in names if environments.site.sessions_of(name)]


def _switch(environments: Environments, profile: Profile, ask: SwitchOptions) -> SwitchResult:
    done = switch.switch(environments.site, profile, ask)
    environments.accept(profile)
    environments.accept_fallback()
    return switched(done)


@contextmanager
def naming_others(site: Site, profile: Profile, ask: SwitchOptions) -> Iterator[None]:
    """
    Name, in the hint of what stops a switch of all clients, those that could be switched alone.

    A switch is whole or nothing, so one client's settings keep all from it. An error of writing stays as it
    is: then no client is known to be better off alone.
    """
    try:
        yield
    except MahavishnuError as error:
        if ask.clients or error.code.startswith("secret.") or _can(site, profile, ask):
            raise
        free = [name for name in CLIENTS if _can(site, profile, replace(ask, clients=(name,)))]
        if not free:
            raise
        words = " ".join(f"--client {name}" for name in free)
        hint = f"{error.hint or ''} The others can be switched alone: {words}".lstrip()
        raise type(error)(error.message, hint=hint, code=error.code) from error


def _can(site: Site, profile: Profile, ask: SwitchOptions) -> bool:
    try:
        # Keys were there, and are not asked for again: a keyring or GPG may ask the user each time.
        quiet = replace(ask, write_key=False, allow_missing_key=True, move_key=None)
        plan = switch.plan_switch(site, profile, quiet)
        check_plan(
            plan, overwrite=ask.overwrite, forget_keys=ask.forget_keys or ask.move_key is not None
        )
    except MahavishnuError:
        return False
    return True


@contextmanager
def _naming_command(command: str) -> Iterator[None]:
    """Say which command has the options that a hint names: what is asked here has none of them."""
    try:
        yield
    except MahavishnuError as error:
        if error.code not in _WITH_OPTIONS:
            raise
        hint = f"{error.hint} These are options of: mahavishnu ai {command}"
        raise type(error)(error.message, hint=hint, code=error.code) from error


@contextmanager
def _telling_where_keys_are_sought(profile: Profile) -> Iterator[None]:
    """Say of a missing variable where it was looked for: the environment is this process's, no shell's."""
    try:
        yield
    except NotFound as error:
        if error.code != _MISSING or profile.key is None or not profile.key.variable:
            raise
        raise NotFound(
            error.message,
            hint="It was looked for in the environment of the process that makes the switch, such as the daemon, not"
            " in that of your shell. Export it and start that process again; or, where the clients are started"
            " with it, set allow_missing_key to true.",
            code=error.code,
        ) from error


def switched(done: switch.Switched, *, dry_run: bool = False) -> SwitchResult:
    """Return what is shown of a switch."""
    return SwitchResult(
        **_written(done.plan, done.entry),
        dry_run=dry_run,
        confirmed=not dry_run,
        settled=list(done.settled),
        sessions=[],
        trials=None,
    )


def _written(plan: SwitchPlan, entry: JournalEntry | None) -> dict[str, Any]:
    """Return the fields of `Written`."""
    return {
        "id": None if entry is None else entry.id,
        "profile": plan.profile.name,
        "scope": plan.scope,
        "clients": list(_clients(plan)),
        "unchanged": [UnchangedClient.like(each) for each in plan.unchanged],
        "notes": list(plan.notes),
        "lost": [] if entry is None else list(entry.lost),
    }


def _clients(plan: SwitchPlan) -> Iterator[SwitchedClient]:
    """Yield what is shown of each client: its settings, and the change of its route with them."""
    routes = {file.name: file for file in plan.files if file.place.is_route}
    for file in plan.files:
        if not file.place.is_route:
            yield _client(file, routes.get(file.name))


def _client(file: FilePlan, route: FilePlan | None) -> SwitchedClient:
    parts = [file] if route is None else [route, file]
    return SwitchedClient(
        client=file.name,
        path=str(file.place.path),
        mode=file.delivery.mode,
        delivery=file.delivery.mode,
        url=file.delivery.url,
        model=file.delivery.model,
        changed=any(each.changed for each in parts),
        members=[
            MemberBody.like(each, before=plain(each.before), after=plain(each.after))
            for part in parts
            for each in member_changes(part)
        ],
        route=[] if route is None else _names(route),
        restarts=file.changed,
        conflicts=[list(path) for path in file.conflicts],
        plain_keys=[list(path) for path in file.plain_keys],
    )


def _names(route: FilePlan) -> list[str]:
    """Return the profiles of the chain that a plan writes."""
    chains: list[Any] = [plain(e.after) for e in route.effects if e.change.path[-1] == "chain"]
    return [str(link["profile"]) for chain in chains for link in chain]


def take_back(environments: Environments, request: UndoSwitch) -> UndoResult:
    """Take a switch back, or only say which."""
    history = environments.site.journal.read()
    found = undo.find_entry(history, request.id)
    already = found.id in history.undone
    if already or not request.confirm:
        left = found if already else undo.choose(history, request.id)
        return _undone(undo.Undone(left, None), confirmed=request.confirm, already=already)
    with _naming_command(f"undo {request.id}"):
        return undo_switch(environments, request.id)


def undo_switch(
    environments: Environments, reference: str | None = None, *, overwrite: bool = False
) -> UndoResult:
    """Take a switch back, by default the last that stands."""
    environments.require_trusted()
    return _undone(undo.undo(environments.site, reference, overwrite=overwrite), confirmed=True)


def _undone(done: undo.Undone, *, confirmed: bool, already: bool = False) -> UndoResult:
    entry = done.entry  # none where it was interrupted, or nothing is taken back now
    adopted = entry is not None and done.switch.kind == "adopt"
    return UndoResult.like(
        done.switch,
        id=None if entry is None else entry.id,
        at=(entry or done.switch).at,
        kind="undo",
        clients=list(done.clients),
        undoes=done.switch.id,
        lost=list(done.switch.lost if entry is None and confirmed and not already else done.lost),
        given_up=list(_given_up(entry)) if entry is not None and adopted else [],
        title=done.switch.title,
        settled=list(done.settled),
        confirmed=confirmed,
        already=already,
    )


def _given_up(entry: JournalEntry) -> Iterator[MemberBody]:
    """Yield what an undo took away that had been adopted, as nothing else keeps it."""
    for record in (each for file in entry.files for each in file.records):
        before, after = value_of(record.before), value_of(record.after)
        if record.kind == "include":
            before, after = None, record.element
        elif record.kind == "exclude":
            before, after = record.element, None
        shown = plain(shown_record(before)), plain(shown_record(after))
        yield MemberBody(path=list(record.path), before=shown[0], after=shown[1])


def adopt_changes(
    environments: Environments, clients: Sequence[ClientName], scope: Scope
) -> Adopted:
    """Let what others changed since a switch count as written."""
    environments.require_trusted()
    done = adopt_drift(environments.site, clients, scope)
    return Adopted(
        adopted=[
            AdoptedFile.like(
                entry,
                client=each.place.client.name,
                path=str(each.place.path),
                members=[_drifted(drift) for drift in each.drift],
            )
            for entry, changed in done.entries
            for each in changed
        ],
        settled=list(done.settled),
    )


def _drifted(drift: Drift) -> MemberBody:
    return MemberBody(path=list(drift.path), before=plain(drift.written), after=plain(drift.now))


def restore_settings(environments: Environments, ask: SwitchOptions, *, dry_run: bool) -> Restored:
    """Write again what a switch had written and others changed, or only say what would change."""
    environments.require_trusted()
    site = environments.site
    if dry_run:
        plans = restore.plan_restore(site, environments.find_wanted, ask)
        done = restore.Restoration(tuple((plan, None) for plan in plans))
    else:
        done = restore.restore(site, environments.find_wanted, ask)
    return Restored(
        dry_run=dry_run,
        restored=[Written(**_written(plan, entry)) for plan, entry in done.plans],
        settled=list(done.settled),
    )
