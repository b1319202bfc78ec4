"""`mahavishnu ai profile add`."""

from typing import Any

import click

from mahavishnu.interfaces.cli.ai.profile.options import entry_options, read_entry, show_written
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.operations.ai.profile_changes import ProfileDetails, add_profile


@click.command()
@click.argument("name")
@entry_options
@answers(show_written)
def add(name: str, **said: Any) -> ProfileDetails:
    """Add a profile NAME: at least an address and a key."""
    return add_profile(load_quietly(), name, read_entry(said))
