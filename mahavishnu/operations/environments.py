"""
The operations on AI clients, each a translation from request to `ai_env` and back.

The settings are read again for each call: a profile that was just added counts. Files are waited for in
a thread, so that nobody else waits with them.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mahavishnu.ai_env.apply import Ask, plan_switch, switch
from mahavishnu.ai_env.documents.port import plain
from mahavishnu.ai_env.journal import Entry, History
from mahavishnu.ai_env.member_changes import member_changes
from mahavishnu.ai_env.plan import FilePlan, Plan, check_plan
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.site import Site
from mahavishnu.ai_env.status import ClientStatus, key_state, look
from mahavishnu.ai_env.undo import choose, find_entry, undo
from mahavishnu.environments.site import Environments
from mahavishnu.errors import MahavishnuError, NotFound
from mahavishnu.operations.environment_requests import ListLlms, LlmStatus, SwitchLlm, UndoSwitch
from mahavishnu.operations.environment_results import (
    ClientBody,
    DriftBody,
    LlmState,
    MemberBody,
    ProfileBody,
    Profiles,
    SwitchBody,
    SwitchedClient,
    SwitchResult,
    UnchangedClient,
    UndoResult,
)
from mahavishnu.operations.operation import Call

LAST = 10  # switches that a state tells
_MISSING = "secret.missing"
_WITH_OPTIONS = {"ai.changed_meanwhile", "ai.key_away", "ai.plain_key"}


async def list_llms(call: Call, request: ListLlms) -> Profiles:
    """Name the profiles, and who uses them."""
    return await _in_thread(find_profiles, call, request)


async def llm_status(call: Call, request: LlmStatus) -> LlmState:
    """Tell what each client uses, and what was switched lately."""
    return await _in_thread(find_state, call, request)


async def switch_llm(call: Call, request: SwitchLlm) -> SwitchResult:
    """Switch, or only say what would change."""
    return await _in_thread(make_switch, call, request)


async def undo_switch(call: Call, request: UndoSwitch) -> UndoResult:
    """Take a switch back, or only say which."""
    return await _in_thread(take_back, call, request)


async def _in_thread[Q, R](work: Callable[[Environments, Q], R], call: Call, request: Q) -> R:
    def run() -> R:
        return work(Environments.outside_projects(call.app.loaded), request)

    return await asyncio.to_thread(run)


def find_profiles(environments: Environments, _request: ListLlms) -> Profiles:
    """Return the profiles, and who uses them."""
    site, profiles = environments.site, environments.profiles
    statuses = look(site, profiles, site.journal.read())
    return Profiles(
        profiles=[_profile(site, each, statuses) for each in profiles.values()],
        notes=environments.notes,
    )


def _profile(site: Site, profile: Profile, statuses: tuple[ClientStatus, ...]) -> ProfileBody:
    return ProfileBody(
        name=profile.name,
        title=profile.title,
        origin=profile.origin,
        auth=profile.auth,
        protocols=list(profile.endpoints),
        model=profile.model,
        key=None if profile.auth == "native" or profile.key is None else str(profile.key),
        key_state=key_state(site, profile),
        used_by=[each.client for each in statuses if each.profile == profile.name],
    )


def find_state(environments: Environments, _request: LlmStatus) -> LlmState:
    """Return what each client uses, and what was switched lately."""
    site = environments.site
    history = site.journal.read()
    latest = itertools.islice(reversed(history.done), LAST)
    return LlmState(
        clients=[_client(each) for each in look(site, environments.profiles, history)],
        switches=[_entry(each, history) for each in latest],
    )


def _client(status: ClientStatus) -> ClientBody:
    return ClientBody(
        client=status.client,
        scope=status.scope,
        path=status.path,
        installed=status.installed,
        enabled=status.enabled,
        use=status.use,
        profile=status.profile,
        url=status.url,
        model=status.model,
        key=status.key,
        sessions=status.sessions,
        drift=[
            DriftBody(
                path=list(each.path),
                written=plain(each.written),
                now=plain(each.now),
                author=each.author,
            )
            for each in status.drift
        ],
        changed_at=_changed_at(status),
        warning=status.warning,
        problem=None if status.problem is None else status.problem.message,
    )


def _changed_at(status: ClientStatus) -> str | None:
    at = None if status.changed is None else status.changed.changed_at
    return None if at is None else at.isoformat(timespec="seconds")


def _entry(entry: Entry, history: History) -> SwitchBody:
    return SwitchBody(
        id=entry.id,
        at=entry.at,
        kind=entry.kind,
        profile=entry.profile,
        clients=[file.client for file in entry.files],
        undone=entry.id in history.undone,
    )


def make_switch(environments: Environments, request: SwitchLlm) -> SwitchResult:
    """Switch, or only say what would change."""
    site, profile = environments.site, environments.find_wanted(request.profile)
    ask = Ask(clients=request.clients, allow_missing_key=request.allow_missing_key)
    with _naming_command(f"switch-llm {profile.name}"), _telling_where_keys_are_sought(profile):
        if request.confirm:
            done = switch(site, profile, ask)
            environments.accept(profile)
            return _switched(site, done.plan, done.entry, confirmed=True)
        plan = plan_switch(site, profile, ask)
        check_plan(plan, overwrite=False, forget_keys=False)
    return _switched(site, plan, None, confirmed=False)


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
        if error.code != _MISSING or profile.key is None or profile.key.scheme != "env":
            raise
        raise NotFound(
            error.message,
            hint="It was looked for in the environment of the process that makes the switch, such as the daemon, not"
            " in that of your shell. Export it and start that process again; or, where the clients are started"
            " with it, set allow_missing_key to true.",
            code=error.code,
        ) from error


def _switched(site: Site, plan: Plan, entry: Entry | None, *, confirmed: bool) -> SwitchResult:
    notes = list(plan.notes)
    if key_state(site, plan.profile) == "missing":
        notes.append(f"{plan.profile.key} is not set here; it must be where the client is started.")
    return SwitchResult(
        confirmed=confirmed,
        profile=plan.profile.name,
        id=None if entry is None else entry.id,
        clients=[_file(file) for file in plan.files],
        unchanged=[
            UnchangedClient(client=each.client, reason=each.reason) for each in plan.unchanged
        ],
        notes=notes,
    )


def _file(file: FilePlan) -> SwitchedClient:
    return SwitchedClient(
        client=file.name,
        path=str(file.place.path),
        delivery=file.delivery.mode,
        changed=file.changed,
        members=[
            MemberBody(path=list(each.path), before=plain(each.before), after=plain(each.after))
            for each in member_changes(file)
        ],
    )


def take_back(environments: Environments, request: UndoSwitch) -> UndoResult:
    """Take a switch back, or only say which."""
    site = environments.site
    history = site.journal.read()
    found = find_entry(history, request.id)
    clients = [str(file.client) for file in found.files]
    if found.id in history.undone:
        return UndoResult(
            confirmed=request.confirm, profile=found.profile, clients=clients, already=True
        )
    if not request.confirm:
        left = [str(file.client) for file in choose(history, request.id).files]
        return UndoResult(confirmed=False, profile=found.profile, clients=left)
    environments.require_trusted()
    with _naming_command(f"undo {request.id}"):
        done = undo(site, request.id)
    return UndoResult(
        confirmed=True,
        profile=found.profile,
        clients=list(map(str, done.clients)),
        lost=list(done.lost),
    )
