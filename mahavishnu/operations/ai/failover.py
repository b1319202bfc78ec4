"""
Fall back to the next profile where the one of a client fails, and return: one look at all clients.

Failures are noticed in what the clients write down, and confirmed by asking the provider, which for a sign-in of
the client's own cannot be done. Every change is an ordinary switch of one client.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from mahavishnu.ai.bindings.match import Unresolved, find_binding
from mahavishnu.ai.bindings.profiles import load_bindings
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.ai.clients.failures import RecordedRequest, find_attempts
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.answers import AnswerVerdict
from mahavishnu.ai.switching.routing import chain_of
from mahavishnu.ai.switching.status import ClientStatus, look_at
from mahavishnu.ai.switching.switch import why_not
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder
from mahavishnu.gateway.breaker import Breakers
from mahavishnu.gateway.causes import Cause, ProviderFailure, classify, find_until
from mahavishnu.operations.ai.requests import SwitchLlm
from mahavishnu.operations.ai.results import TrialBody
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import make_switch
from mahavishnu.operations.ai.team_profiles import require_accepted
from mahavishnu.operations.ai.verification import try_profile

# Of a trial; what is not here says nothing that another profile would mend.
_CAUSES: Mapping[AnswerVerdict, Cause] = {
    "quota": "quota", "overload": "overload", "unreachable": "network", "unexpected": "provider",
    "auth": "auth", "tls": "network", "not_found": "client",
}  # fmt: skip
_WATCHED = "watched.json"
# A session that was trying again when its client was switched goes on with the provider it began with.
SETTLES = timedelta(minutes=5)

type Ask = Callable[[Profile], list[TrialBody]]


class MovedClient(Struct, frozen=True, kw_only=True):
    """What is remembered of a client: the profile that its user chose, the one it was switched to here, and when."""

    chosen: str
    now: str
    at: datetime


class Untried(Exception):
    """A provider cannot be asked from here."""


@dataclass(frozen=True)
class DueSwitch:
    """A switch that is due: `why` it is, and whether it leads back to what the user chose."""

    client: ClientName
    before: str
    after: str
    why: str
    back: bool = False


@dataclass(frozen=True)
class Seen:
    """A look: switches that are due, and failures that no switch answers, with the client and profile they are of."""

    acts: tuple[DueSwitch, ...] = ()
    refused: tuple[tuple[str, str, Cause], ...] = ()


@dataclass
class Failover:
    """
    The looks of one process; what they know is in `folder`, and outlives it.

    `ask` tries a profile; by default its provider is asked.
    """

    folder: Path
    ask: Ask | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _since: datetime | None = None
    _unfit_until: dict[str, datetime] = field(default_factory=dict)
    _breakers: Breakers = field(init=False)

    def __post_init__(self) -> None:
        self._since = self._since or self.now()
        self._breakers = Breakers(failover_breakers(self.folder), now=self.now)

    @property
    def watched(self) -> dict[str, MovedClient]:
        """What is remembered of the clients."""
        return read_watched(self.folder)

    def look(self, environments: Environments) -> Seen:
        """Take in what clients wrote down since the last look, and return what is due; nothing is switched."""
        began, since = self.now(), self._since
        assert since is not None
        profiles = environments.profiles
        acts: list[DueSwitch] = []
        refused: list[tuple[str, str, Cause]] = []
        for status in _statuses(environments, profiles):
            profile = profiles[status.profile or ""]
            self._forget_stale(status.client, profile.name)
            chosen = self._chosen(status.client, profile.name)
            for failure in self._failures(environments, status.client, profile, since):
                if not failure.moves_on:
                    refused.append((status.client, profile.name, failure.cause))
            act = self._due(environments, status.client, profile, profiles.get(chosen, profile))
            acts += [] if act is None else [act]
        self._since = began
        return Seen(tuple(acts), tuple(dict.fromkeys(refused)))

    def carry_out(self, environments: Environments, act: DueSwitch) -> bool:
        """
        Switch one client, unless it was switched since the look; tells whether it was.

        Raises:
            MahavishnuError: as `make_switch`.
        """
        statuses = _statuses(environments, environments.profiles)
        if (act.client, act.before) not in {(each.client, each.profile) for each in statuses}:
            return False
        request = SwitchLlm(name=act.after, clients=[act.client], confirm=True)
        make_switch(environments, request)
        known = self.watched
        chosen = self._chosen(act.client, act.before)
        if act.back:
            known.pop(act.client, None)
        else:
            known[act.client] = MovedClient(chosen=chosen, now=act.after, at=self.now())
        self._remember(known)
        return True

    def _remember(self, known: Mapping[str, MovedClient]) -> None:
        private_folder(self.folder)
        write_atomically(self.folder / _WATCHED, msgspec.json.encode(known))

    def _chosen(self, client: ClientName, present: str) -> str:
        """Return the profile that the user chose: the present one, unless it was switched to here."""
        known = self.watched.get(client)
        return known.chosen if known is not None else present

    def _forget_stale(self, client: ClientName, present: str) -> None:
        """Forget what was chosen before where the user has chosen since."""
        known = self.watched
        if client in known and known[client].now != present:
            self._remember({name: each for name, each in known.items() if name != client})

    def _failures(
        self, environments: Environments, client: ClientName, profile: Profile, since: datetime
    ) -> Iterator[ProviderFailure]:
        """Yield what failed since, as confirmed, and let the breaker know."""
        attempts = list(_attempts(environments, client, since))
        failed = [each for each in attempts if each.failed]
        if attempts and not attempts[-1].failed:
            self._breakers.worked(profile.name)
            return
        state = self._breakers.state(profile.name)
        doubt = failed or self._breakers.health(profile.name).failures
        if state != "half-open" and not (doubt and state == "closed"):
            return
        for failure in self._confirm(environments, client, profile, failed):
            if failure is None:
                self._breakers.worked(profile.name)
            else:
                self._breakers.failed(profile.name, failure)
                yield failure

    def _confirm(
        self,
        environments: Environments,
        client: ClientName,
        profile: Profile,
        failed: Sequence[RecordedRequest],
    ) -> Sequence[ProviderFailure | None]:
        """Return why a profile fails, by its provider's own answer; where it cannot be asked, by the client's words."""
        if profile.auth != "native":
            with suppress(Untried):
                return [self._try(environments, profile)]
        known = self.watched.get(client)
        if known is not None and self.now() - known.at < SETTLES:
            return ()
        return [_classified(each, profile, client) for each in failed]

    def _try(self, environments: Environments, profile: Profile) -> ProviderFailure | None:
        """Ask the provider; None where it answers. Raises `Untried` where its key cannot be had or sent."""
        try:
            require_accepted(environments.loaded, profile)
            environments.accept(profile)
        except MahavishnuError as error:
            raise Untried from error
        trials = self.ask(profile) if self.ask else try_profile(environments, profile)
        if any(each.code for each in trials):
            raise Untried
        bad = next((each for each in trials if each.verdict not in ("ok", "untried")), None)
        if bad is None:
            return None
        cause = _CAUSES.get(bad.verdict, "client")
        until = bad.resets_at or find_until({}, bad.detail.encode(), now=self.now())
        return ProviderFailure(
            cause=cause, until=until if cause == "quota" else None, status=bad.status or 0
        )

    def _due(
        self, environments: Environments, client: ClientName, present: Profile, chosen: Profile
    ) -> DueSwitch | None:
        """Return the switch that is due of one client: back to what was chosen, else on to the next that works."""
        if chosen.name != present.name and self._works(environments, chosen):
            return DueSwitch(client, present.name, chosen.name, "It answers again.", back=True)
        if self._breakers.state(present.name) not in ("open", "cooled"):
            return None
        cause = self._breakers.health(present.name).cause
        for each in chain_of(chosen, environments.site.fallback()):
            fits = each.name not in (present.name, chosen.name)
            fits = fits and why_not(each, CLIENTS[client], "user") is None
            if fits and self._works(environments, each):
                return DueSwitch(client, present.name, each.name, f"{present.name} fails: {cause}.")
        return None

    def _works(self, environments: Environments, profile: Profile) -> bool:
        """Tell whether a profile can be switched to now; one that was away is asked, where it can be."""
        unfit = self._unfit_until.get(profile.name)
        if not self._breakers.admits(profile.name) or (unfit is not None and self.now() < unfit):
            return False
        if profile.auth == "native":
            return True
        try:
            failure = self._try(environments, profile)
        except Untried:
            self._unfit_until[profile.name] = self.now() + SETTLES
            return False
        if failure is None:
            self._breakers.worked(profile.name)
            return True
        self._breakers.failed(profile.name, failure)
        if not failure.moves_on:  # the breaker does not hold these off
            self._unfit_until[profile.name] = self.now() + SETTLES
        return False


def failover_folder(state: Path) -> Path:
    """Return where what is known is kept, below the folder of our state."""
    return state / "ai" / "failover"


def failover_breakers(folder: Path) -> Path:
    """Return the file of the breakers, which are not the gateway's."""
    return folder / "breakers.json"


def read_watched(folder: Path) -> dict[str, MovedClient]:
    """Return what is remembered of clients that were switched by themselves."""
    try:
        return msgspec.json.decode((folder / _WATCHED).read_bytes(), type=dict[str, MovedClient])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _statuses(
    environments: Environments, profiles: Mapping[str, Profile]
) -> Iterator[ClientStatus]:
    """Yield the clients that go straight to a known profile; those behind the gateway are its own."""
    site = environments.site
    history = site.journal.read()
    for name in CLIENTS:
        if not site.settings_of(name).enabled or not site.has(name):
            continue
        status = look_at(site, name, "user", profiles, history)
        if status.profile in profiles and not status.route and status.problem is None:
            yield status


def _attempts(
    environments: Environments, client: ClientName, since: datetime
) -> Sequence[RecordedRequest]:
    """Return the requests since a time, oldest first, but for those of sessions in bound directories."""
    site, port = environments.site, CLIENTS[client].sessions
    rows = load_bindings(site).rows
    folder = CLIENTS[client].folder(site.environ)
    found = find_attempts(folder, port.FILES, port.read_attempt, since=since)
    return sorted(
        (each for each, where in found if not _is_bound(where, rows)), key=lambda each: each.at
    )


def _is_bound(folder: str, rows: Sequence[Binding]) -> bool:
    try:
        return bool(rows and folder) and find_binding(folder, rows) is not None
    except (Unresolved, ValueError):
        return True


def _classified(
    attempt: RecordedRequest, profile: Profile, client: ClientName
) -> ProviderFailure | None:
    """Return why a request failed, by what its client wrote down of it."""
    protocol = profile.protocol_for(client)
    assert protocol is not None
    text = attempt.text.removeprefix(f"{attempt.status} ").encode()
    if not attempt.status:
        return ProviderFailure(cause="network")
    return classify(attempt.status, {}, text, protocol, now=attempt.at)
