"""`mahavishnu ai verify`."""

import sys
from collections.abc import Sequence

import click

from mahavishnu.ai_env.answers import Verdict
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.secrets.reference import Reference
from mahavishnu.ai_env.verify import TIMEOUT_S, Trial
from mahavishnu.ai_env.verify import verify as verify_profile
from mahavishnu.cli.options import json_option, load
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.environments.profiles import find_profile, known_profiles
from mahavishnu.environments.secret_settings import cloud_stores
from mahavishnu.environments.team_profiles import accept, require_accepted
from mahavishnu.errors import NotFound
from mahavishnu.masking import Secret
from mahavishnu.settings.sources import Loaded

# As the errors of the same kind have them; 0 is for what works.
EXIT_CODES: dict[Verdict, int] = {
    "ok": 0,
    "auth": 6,
    "quota": 5,
    "overload": 5,
    "not_found": 3,
    "unreachable": 5,
    "tls": 6,
    "unexpected": 1,
    "untried": 2,
}
_MEANINGS: dict[Verdict, str] = {
    "ok": "It answers.",
    "auth": "The key is not accepted, or may not do this.",
    "quota": "The key is accepted, and its quota is used up.",
    "overload": "The provider has too much to do; try again later.",
    "not_found": "There is no such model or address.",
    "unreachable": "Nobody answers.",
    "tls": "Who answers cannot prove to be that host; nothing was sent.",
    "unexpected": "It answers in another way than it should.",
    "untried": "Nothing was asked.",
}
_MAX_TIMEOUT_S = 300


@click.command()
@click.argument("name", required=False)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, _MAX_TIMEOUT_S, min_open=True),
    default=TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the provider.",
)
@json_option
def verify(name: str | None, timeout_s: float, as_json: bool) -> None:
    """
    Send the provider of profile NAME one small request with its key, and report the result.

    Without NAME, do so for every profile with a key that a client uses now. The exit code is 0 where every address
    answers, and only then.
    """
    loaded = load()
    profiles = [find_profile(loaded, each) for each in ([name] if name else _used(loaded))]

    for profile in profiles:
        require_accepted(loaded, profile)
        accept(loaded, profile)

    trials = [
        trial for profile in profiles for trial in try_profile(loaded, profile, timeout_s=timeout_s)
    ]
    notes = _find_proxies(loaded, profiles)
    if as_json:
        rows = [as_values(each) for each in trials]
        print_json({"ok": worst(trials) == 0, "trials": rows, "notes": notes})
    else:
        for each in trials:
            print_trial(each)
        for note in notes:
            print_line(f"Note: {note}")
    sys.exit(worst(trials))


def _find_proxies(loaded: Loaded, profiles: Sequence[Profile]) -> list[str]:
    """Return where a proxy is in a client's way, since the provider was asked past all proxies."""
    from mahavishnu.ai_env.proxied import proxy_notes  # noqa: PLC0415 - slow
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    site = open_site(loaded)
    return [note for each in profiles for note in proxy_notes(site, each)]


def try_profile(loaded: Loaded, profile: Profile, *, timeout_s: float = TIMEOUT_S) -> list[Trial]:
    """Ask each endpoint of a profile once, with its key."""
    from mahavishnu.ai_env.secrets.resolve import find_identity, resolve  # noqa: PLC0415 - slow

    def key_of(reference: Reference) -> Secret:
        identity = find_identity(loaded.environ, loaded.locations)
        return resolve(
            reference,
            environ=loaded.environ,
            identity=identity,
            stores=lambda: cloud_stores(loaded),
        )

    return verify_profile(profile, resolve=key_of, timeout_s=timeout_s)


def _used(loaded: Loaded) -> list[str]:
    """Return the profiles that clients use by their settings; a sign-in of their own is none to try."""
    from mahavishnu.ai_env.status import look  # noqa: PLC0415 - a name needs none of it
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    site = open_site(loaded)
    known = known_profiles(loaded)
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


def worst(trials: Sequence[Trial]) -> int:
    """Return the exit code of the worst; 0 where all answer."""
    return max((EXIT_CODES[each.verdict] for each in trials), default=0)


def as_values(trial: Trial) -> dict[str, object]:
    """Return a trial for JSON."""
    values = {name: getattr(trial, name) for name in trial.__dataclass_fields__}
    return {**values, "meaning": _meaning(trial)}


def _meaning(trial: Trial) -> str:
    """Return what the verdict means; where the key could not be had, the provider did not judge it."""
    return _MEANINGS["untried" if trial.code else trial.verdict]


def print_trial(trial: Trial) -> None:
    """Print what came of it."""
    where = f" by {trial.protocol} at {trial.url}" if trial.protocol else ""
    model = f", model {trial.model}" if trial.model else ""
    took = f", {trial.duration_s:.2f} s" if trial.protocol else ""
    print_line(f"{trial.verdict}: {trial.profile}{where}{model}{took}")
    if trial.verdict != "ok":
        status = f" (HTTP {trial.status})" if trial.status else ""
        print_line(f"  {_meaning(trial)}{status} {trial.detail}".rstrip())
    elif trial.model is None:
        print_line("  The profile names no model: the list of models was asked for.")
    if trial.resets_at:
        print_line(f"  Again from {trial.resets_at.astimezone():%Y-%m-%d %H:%M:%S %Z} on.")
