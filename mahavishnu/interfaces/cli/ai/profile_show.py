"""`mahavishnu ai profile list|show`: what there is, and what it says."""

from typing import Any

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.profile import ADDRESS_KEYS, Profile
from mahavishnu.interfaces.cli.ai.telling import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.profiles import find_profile, known_profiles


def _show_all(body: dict[str, Any]) -> None:
    rows = (
        (
            each["name"],
            ", ".join(each["clients"]),
            _shown_key(each),
            each["model"] or "",
            each["origin"],
        )
        for each in body["profiles"]
    )
    print_table(("profile", "clients", "key", "model", "origin"), rows)


@click.command("list")
@answers(_show_all)
def list_() -> dict[str, Any]:
    """List all profiles: your own, the built-in ones and the presets."""
    loaded = load()
    tell_profiles(loaded)
    return {"profiles": [as_values(each) for each in known_profiles(loaded).values()]}


def _show(body: dict[str, Any]) -> None:
    for key, value in body.items():
        if value not in (None, "", []):
            print_line(f"{key}: {', '.join(value) if isinstance(value, list) else value}")


@click.command()
@click.argument("name")
@answers(_show)
def show(name: str) -> dict[str, Any]:
    """Print a profile, and where it is defined."""
    loaded = load()
    found = find_profile(loaded, name)
    tell_profiles(loaded)
    return as_values(found)


def as_values(found: Profile) -> dict[str, Any]:
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
        "clients": [client for client in CLIENTS if found.protocol_for(client)],
        "origin": found.origin,
    }


def _shown_key(body: dict[str, Any]) -> str:
    return "own sign-in" if body["auth"] == "native" else str(body["key"])
