"""`mahavishnu ai profile list|show`: what there is, and what it says."""

import click

from mahavishnu.ai_env.profiles import ADDRESS_KEYS, SPOKEN, Profile
from mahavishnu.cli.ai.telling import tell_profiles
from mahavishnu.cli.options import json_option, load
from mahavishnu.cli.render import print_json, print_line, print_table
from mahavishnu.environments.profiles import find_profile, known_profiles


@click.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all profiles: your own, the built-in ones and the presets."""
    loaded = load()
    tell_profiles(loaded)
    known = known_profiles(loaded)
    if as_json:
        print_json({"profiles": [as_values(each) for each in known.values()]})
        return
    rows = (
        (each.name, ", ".join(spoken_by(each)), _shown_key(each), each.model or "", each.origin)
        for each in known.values()
    )
    print_table(("profile", "clients", "key", "model", "origin"), rows)


@click.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Print a profile, and where it is defined."""
    loaded = load()
    found = find_profile(loaded, name)
    tell_profiles(loaded)
    if as_json:
        print_json(as_values(found))
        return
    for key, value in as_values(found).items():
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            print_line(f"{key}: {shown}")


def as_values(found: Profile) -> dict[str, object]:
    """Return a profile as plain values, with the keys that a file has, and what follows from them."""
    return {
        "name": found.name,
        "title": found.title,
        "auth": found.auth,
        **{key: found.endpoints.get(spoken) for key, spoken in ADDRESS_KEYS.items()},
        "key": str(found.key) if found.key else None,
        "key_header": found.key_header,
        "model": found.model,
        "small_model": found.small_model,
        "api_timeout_ms": found.timeout_ms,
        "clients": spoken_by(found),
        "origin": found.origin,
    }


def spoken_by(found: Profile) -> list[str]:
    """Return the clients that can be pointed to a profile."""
    return [client for client in SPOKEN if found.protocol_for(client)]


def _shown_key(found: Profile) -> str:
    return "own sign-in" if found.auth == "native" else str(found.key)
