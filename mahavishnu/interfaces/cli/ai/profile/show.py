"""`mahavishnu ai profile show`."""

import click
import msgspec

from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import ProfileDetails, details_of
from mahavishnu.operations.ai.profiles import find_profile


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
