"""`mahavishnu ai profile list`."""

import click

from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.profile_changes import AllProfiles, list_profiles


def _show(body: AllProfiles) -> None:
    rows = (
        (each.name, ", ".join(each.clients),
         "own sign-in" if each.auth == "native" else str(each.key), each.model or "", each.origin)
        for each in body.profiles
    )  # fmt: skip
    print_table(("profile", "clients", "key", "model", "origin"), rows)


@click.command("list")
@answers(_show)
def list_() -> AllProfiles:
    """List all profiles: your own, the built-in ones and the presets."""
    loaded = load()
    tell_profiles(loaded)
    return list_profiles(loaded)
