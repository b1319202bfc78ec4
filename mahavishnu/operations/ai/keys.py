"""The report on all keys: which profile wants which, whether it is available, and how the stores are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.declared import find_missing
from mahavishnu.ai.secrets.oneiric.answers import ComponentHealth
from mahavishnu.ai.secrets.reading import KeyReader, ReadKey, modified_at, where
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.lacks import Lack
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import key_state, look
from mahavishnu.base.errors import Conflict, MahavishnuError, NotFound, Unavailable
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.profiles import known_profiles, own_profiles, shared_lacks
from mahavishnu.operations.ai.secret_settings import declared_secrets
from mahavishnu.operations.ai.team_profiles import read_shared


@dataclass(frozen=True)
class KeyView:
    """One profile's key, looked at and not asked for."""

    profile: str
    origin: str
    reference: str | None
    store: str
    state: str
    dated_at: datetime | None = None


@dataclass(frozen=True)
class KeyTrial:
    """What came of asking for one profile's key: what was read, or why not."""

    profile: str
    reference: str
    read: ReadKey | None
    problem: MahavishnuError | None


@dataclass(frozen=True)
class KeyReport:
    """
    All that `ai secrets check` tells.

    `required` are keys that the settings require and that are not there, `declared_problem` why that
    is unknown.
    """

    keys: tuple[KeyTrial, ...]
    required: tuple[Reference, ...]
    declared_problem: MahavishnuError | None
    stores: tuple[ComponentHealth, ...]
    missing: tuple[Lack, ...]

    @property
    def exit_code(self) -> int:
        """The worst of all; a client that is not installed, and a store that refuses, are none."""
        problems = [each.problem for each in self.keys] + [self.declared_problem]
        codes = [each.exit_code for each in problems if each is not None]
        codes += [NotFound.exit_code for _ in self.required]
        codes += [Unavailable.exit_code for each in self.stores if each.status == "unhealthy"]
        codes += [each.exit_code for each in self.missing]
        return max(codes, default=0)


def view_keys(loaded: Loaded, site: Site) -> list[KeyView]:
    """Return every profile's key as a look tells it."""
    return [_view(site, profile) for profile in known_profiles(loaded).values()]


def _view(site: Site, profile: Profile) -> KeyView:
    state = key_state(site, profile)
    if profile.auth == "native" or profile.key is None:
        return KeyView(profile.name, profile.origin, None, "", state)
    return KeyView(
        profile=profile.name,
        origin=profile.origin,
        reference=str(profile.key),
        store=where(profile.key),
        state=state,
        dated_at=modified_at(profile.key, site.environ),
    )


def try_key(site: Site, profile: Profile) -> ReadKey:
    """
    Read one profile's key, really.

    Raises:
        Conflict: `ai.no_key`, the profile has none of ours; else as `SecretStore.read`.
    """
    if profile.auth == "native" or profile.key is None:
        raise Conflict(
            f"The profile {profile.name} is a client's own sign-in, which is the client's alone.",
            hint="Name a profile with a key: mahavishnu ai secrets list",
            code="ai.no_key",
        )
    with _reader(site) as reader:
        return reader.read(profile.key)


def check_keys(loaded: Loaded, site: Site) -> KeyReport:
    """
    Ask for the keys of all profiles that are the user's own, shared, or in use, each key once.

    A preset that nobody uses is not among them. A file may want its passphrase, a keyring to be unlocked.
    """
    lacks = shared_lacks(loaded, site)
    with _reader(site) as reader:
        keys = tuple(_try_all(reader, _wanted(loaded, site)))
        stores = reader.health()
    tried = {each.profile for each in keys if each.problem is not None}
    missing = tuple(each for each in lacks if each.what == "client" or each.profile not in tried)
    required: tuple[Reference, ...] = ()
    problem = None
    try:
        declared = declared_secrets(loaded)
        required = find_missing(declared, environ=site.environ, identity=site.identity)
    except MahavishnuError as error:
        problem = error
    return KeyReport(keys, required, problem, stores, missing)


def _wanted(loaded: Loaded, site: Site) -> list[Profile]:
    known = known_profiles(loaded)
    used = {each.profile for each in look(site, known, site.journal.read())}
    named = used | own_profiles(loaded).keys() | read_shared(loaded).profiles.keys()
    return [
        profile
        for name, profile in known.items()
        if name in named and profile.auth != "native" and profile.key is not None
    ]


def _try_all(reader: KeyReader, profiles: Iterable[Profile]) -> Iterable[KeyTrial]:
    known: dict[Reference, ReadKey | MahavishnuError] = {}
    for profile in profiles:
        assert profile.key is not None
        if profile.key not in known:
            try:
                known[profile.key] = reader.read(profile.key)
            except MahavishnuError as error:
                known[profile.key] = error
        came = known[profile.key]
        problem = came if isinstance(came, MahavishnuError) else None
        yield KeyTrial(
            profile.name,
            str(profile.key),
            None if isinstance(came, MahavishnuError) else came,
            problem,
        )


def _reader(site: Site) -> KeyReader:
    return KeyReader(site.environ, site.identity, site.stores)
