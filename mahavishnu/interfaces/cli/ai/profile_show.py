"""`mahavishnu ai profile list|show`: what there is, and what it says."""

import click
import msgspec

from mahavishnu.interfaces.cli.ai.telling import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.profile_changes import (
    AllProfiles,
    ProfileDetails,
    details_of,
    list_profiles,
)
from mahavishnu.operations.ai.profiles import find_profile


def _show_all(body: AllProfiles) -> None:
    rows = (
        (
            each.name,
            ", ".join(each.clients),
            "own sign-in" if each.auth == "native" else str(each.key),
            each.model or "",
            each.origin,
        )
        for each in body.profiles
    )
    print_table(("profile", "clients", "key", "model", "origin"), rows)


@click.command("list")
@answers(_show_all)
def list_() -> AllProfiles:
    """List all profiles: your own, the built-in ones and the presets."""
    loaded = load()
    tell_profiles(loaded)
    return list_profiles(loaded)


def _show(body: ProfileDetails) -> None:
    for key, value in msgspec.structs.asdict(body).items():
        if value not in (None, "", []):
            print_line(f"{key}: {', '.join(value) if isinstance(value, list) else value}")


@click.command()
@click.argument("name")
@answers(_show)
def show(name: str) -> ProfileDetails:
    """Print a profile, and where it is defined."""
    loaded = load()
    found = find_profile(loaded, name)
    tell_profiles(loaded)
    return details_of(found)
