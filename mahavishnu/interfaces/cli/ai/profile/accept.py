"""`mahavishnu ai profile accept`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import AcceptedProfile, accept_profile


def _show(body: AcceptedProfile) -> None:
    print_line(f"Accepted: {body.accepted} takes {body.key} to {', '.join(body.addresses)}")


@click.command()
@click.argument("name")
@answers(_show)
def accept(name: str) -> AcceptedProfile:
    """Accept the shared profile NAME as it is now, after its key or address changed."""
    return accept_profile(load_quietly(), name)
