"""Ask the providers of profiles, and say what came of it."""

from dataclasses import replace
from functools import partial

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.switching import verify
from mahavishnu.ai.switching.proxies import proxy_notes
from mahavishnu.ai.switching.status import look
from mahavishnu.ai.switching.verify import TIMEOUT_S, Trial
from mahavishnu.base.errors import NotFound
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.results import SwitchResult, TrialBody, Whole
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.team_profiles import require_accepted
from mahavishnu.operations.ai.verdicts import VERDICTS, worst


class Verified(Whole, frozen=True, kw_only=True):
    """What came of asking providers; `notes` say where a proxy is in a client's way."""

    ok: bool
    trials: list[TrialBody]
    notes: list[str]


def verify_profiles(environments: Environments, name: str | None, *, timeout_s: float) -> Verified:
    """Ask the provider of a profile, else of all with a key that clients use."""
    names = [name] if name else _used(environments)
    profiles = [find_profile(environments.loaded, each) for each in names]
    for profile in profiles:
        require_accepted(environments.loaded, profile)
        environments.accept(profile)
    trials = [
        trial for each in profiles for trial in try_profile(environments, each, timeout_s=timeout_s)
    ]
    # The provider was asked past all proxies.
    notes = [note for each in profiles for note in proxy_notes(environments.site, each)]
    return Verified(ok=worst(trials) == 0, trials=trials, notes=notes)


def try_switch(environments: Environments, profile: Profile, done: SwitchResult) -> list[TrialBody]:
    """Ask the provider once by each protocol that a client was given; a sign-in cannot be tried."""
    used = {profile.protocol_for(each.client) for each in done.clients}
    endpoints = {name: url for name, url in profile.endpoints.items() if name in used}
    return try_profile(environments, replace(profile, endpoints=endpoints))


def try_profile(
    environments: Environments, profile: Profile, *, timeout_s: float = TIMEOUT_S
) -> list[TrialBody]:
    """Ask each endpoint of a profile once, with its key."""
    site = environments.site
    key_of = partial(resolve, environ=site.environ, identity=site.identity, stores=site.stores)
    trials = verify.verify(profile, resolve=key_of, timeout_s=timeout_s)
    return [trial_body(each) for each in trials]


def trial_body(trial: Trial) -> TrialBody:
    """Return what is shown of a trial; where the key could not be had, the provider did not judge it."""
    _, meaning = VERDICTS["untried" if trial.code else trial.verdict]
    return TrialBody(**vars(trial), meaning=meaning)


def _used(environments: Environments) -> list[str]:
    """Return the profiles that clients use by their settings; a sign-in of their own is none to try."""
    site, known = environments.site, environments.profiles
    seen = look(site, known, site.journal.read())
    used = dict.fromkeys(each.profile for each in seen if each.profile)
    found = [name for name in used if known[name].auth != "native"]
    if not found:
        raise NotFound(
            "No client uses a profile with a key.",
            hint="Name one: mahavishnu ai verify NAME",
            code="ai.no_profile_used",
        )
    return found
