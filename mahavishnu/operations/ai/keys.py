"""The report on all keys: which profile wants which, whether it is available, and how the stores are."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.declared import find_missing
from mahavishnu.ai.secrets.oneiric.scheme import open_clouds
from mahavishnu.ai.secrets.reading import KeyReader, ReadKey, modified_at, where
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import key_state, look
from mahavishnu.base.errors import Conflict, MahavishnuError, NotFound, Unavailable
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.profiles import (
    find_profile,
    known_profiles,
    own_profiles,
    shared_missing,
)
from mahavishnu.operations.ai.results import MissingBody, Problem, Whole
from mahavishnu.operations.ai.secret_settings import cloud_stores, declared_secrets
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.ai.state import missing_body
from mahavishnu.operations.ai.team_profiles import read_shared


class KeyBody(Whole, frozen=True, kw_only=True):
    """One profile's key, looked at and not asked for."""

    profile: str
    origin: str
    reference: str | None
    store: str
    state: str
    dated_at: datetime | None


class Keys(Whole, frozen=True, kw_only=True):
    """The keys of all profiles."""

    keys: list[KeyBody]


class KeyTest(Whole, frozen=True, kw_only=True):
    """A key that was read: from where, how old it is, how long that took, and whether it is as long as keys are."""

    profile: str
    reference: str
    store: str
    dated_at: datetime | None
    took_s: float
    length: str


class KeyTrial(Whole, frozen=True, kw_only=True):
    """What came of asking for one profile's key: as `KeyTest`, or the problem."""

    profile: str
    reference: str
    resolves: bool
    store: str | None = None
    dated_at: datetime | None = None
    took_s: float | None = None
    length: str | None = None
    problem: Problem | None = None


class KeyReport(Whole, frozen=True, kw_only=True):
    """
    All that `ai secrets check` reports.

    `required` are keys that the settings require and that are not there, `required_problem` why that
    is unknown.
    """

    ok: bool
    keys: list[KeyTrial]
    required: list[str]
    required_problem: Problem | None
    stores: list[ComponentHealth]
    missing: list[MissingBody]


class RankedStore(Whole, frozen=True, kw_only=True):
    """A store of a provider, and why it comes where it does."""

    name: str
    selected: bool
    score: list[int]
    reasons: list[str]


class RankedStores(Whole, frozen=True, kw_only=True):
    """The stores of a provider, the one that is asked first."""

    provider: str
    stores: list[RankedStore]


def explain_stores(loaded: Loaded, provider: str) -> RankedStores:
    """Return which of the stores of a provider is asked first, and why; none is asked."""
    with open_clouds(cloud_stores(loaded)) as clouds:
        ranked = clouds.explain(provider)
    stores = [RankedStore.like(each) for each in ranked]
    return RankedStores(provider=provider, stores=stores)


def list_keys(loaded: Loaded) -> Keys:
    """Return every profile's key as a look tells it."""
    site = open_site(loaded)
    return Keys(keys=[_look(site, profile) for profile in known_profiles(loaded).values()])


def _look(site: Site, profile: Profile) -> KeyBody:
    key = None if profile.auth == "native" else profile.key
    return KeyBody(
        profile=profile.name,
        origin=profile.origin,
        reference=str(key) if key else None,
        store=where(key) if key else "",
        state=key_state(site, profile),
        dated_at=modified_at(key, site) if key else None,
    )


def try_key(loaded: Loaded, name: str) -> KeyTest:
    """
    Read one profile's key, really.

    Raises:
        Conflict: `ai.no_key`, the profile has none of ours; else as `SecretStore.read`.
    """
    site, profile = open_site(loaded), find_profile(loaded, name)
    if profile.auth == "native" or profile.key is None:
        raise Conflict(
            f"The profile {profile.name} uses a client's own sign-in, which Mahavishnu cannot read.",
            hint="Name a profile with a key: mahavishnu ai secrets list",
            code="ai.no_key",
        )
    with _reader(site) as reader:
        read = reader.read(profile.key)
    return KeyTest(profile=name, reference=str(profile.key), **_shown(read))


def _shown(read: ReadKey) -> dict[str, Any]:
    return vars(read) | {"took_s": round(read.took_s, 3)}


def check_keys(loaded: Loaded) -> tuple[KeyReport, int]:
    """
    Ask for the keys of all profiles that are the user's own, shared, or in use, each key once.

    A preset that nobody uses is not among them. A file may want its passphrase, a keyring to be unlocked.
    Returns the exit code too, the worst of all: a client that is not installed, and a store that refuses, are none.
    """
    site = open_site(loaded)
    lacks = shared_missing(loaded, site)
    with _reader(site) as reader:
        tried = list(_try_all(reader, _wanted(loaded, site)))
        stores = reader.health()
    failed = {name for name, _, problem in tried if isinstance(problem, MahavishnuError)}
    missing = [each for each in lacks if each.what == "client" or each.profile not in failed]
    required: tuple[Reference, ...] = ()
    unknown = None
    try:
        declared = declared_secrets(loaded)
        required = find_missing(declared, environ=site.environ, identity=site.identity)
    except MahavishnuError as error:
        unknown = error
    problems = [each for _, _, each in tried] + [unknown]
    codes = [each.exit_code for each in problems if isinstance(each, MahavishnuError)]
    codes += [NotFound.exit_code for _ in required]
    codes += [Unavailable.exit_code for each in stores if each.status == "unhealthy"]
    codes += [each.exit_code for each in missing]
    worst = max(codes, default=0)
    report = KeyReport(
        ok=worst == 0,
        keys=[_trial(*each) for each in tried],
        required=[str(each) for each in required],
        required_problem=Problem.of(unknown),
        stores=list(stores),
        missing=[missing_body(each) for each in missing],
    )
    return report, worst


def _trial(name: str, reference: Reference, came: ReadKey | MahavishnuError) -> KeyTrial:
    if isinstance(came, MahavishnuError):
        problem = Problem.of(came)
        return KeyTrial(profile=name, reference=str(reference), resolves=False, problem=problem)
    return KeyTrial(profile=name, reference=str(reference), resolves=True, **_shown(came))


def _wanted(loaded: Loaded, site: Site) -> list[Profile]:
    known = known_profiles(loaded)
    used = {each.profile for each in look(site, known, site.journal.read())}
    named = used | own_profiles(loaded).keys() | read_shared(loaded).profiles.keys()
    return [
        profile
        for name, profile in known.items()
        if name in named and profile.auth != "native" and profile.key is not None
    ]


def _try_all(
    reader: KeyReader, profiles: Iterable[Profile]
) -> Iterator[tuple[str, Reference, ReadKey | MahavishnuError]]:
    known: dict[Reference, ReadKey | MahavishnuError] = {}
    for profile in profiles:
        assert profile.key is not None
        if profile.key not in known:
            try:
                known[profile.key] = reader.read(profile.key)
            except MahavishnuError as error:
                known[profile.key] = error
        yield profile.name, profile.key, known[profile.key]


def _reader(site: Site) -> KeyReader:
    return KeyReader(site)
