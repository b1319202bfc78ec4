"""`mahavishnu ai profile edit`."""

from dataclasses import fields
from typing import Any

import click

from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.profile.options import entry_options, read_entry, show_written
from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.operations.ai.clients import require_trusted
from mahavishnu.operations.ai.profile_changes import ProfileDetails, edit_profile

_KEYS = [item.name for item in fields(ProfileEntry)]


@click.command()
@click.argument("name")
@entry_options
@click.option("--unset", multiple=True, type=click.Choice(_KEYS), help="Forget a key; repeatable.")
@answers(show_written)
def edit(name: str, unset: tuple[str, ...], **said: Any) -> ProfileDetails:
    """
    Change what is named of the profile NAME.

    Of one that is shipped, a file of yours then holds what differs; an address in there takes the place
    of all its addresses, and at another host of its models, since they belong together.
    """
    loaded = load_quietly()
    require_trusted(loaded)
    changes = read_entry(said)
    if not changes.said() and not unset:
        raise UsageError(
            "Nothing is named that is to change.",
            hint="See: mahavishnu ai profile edit --help",
            code="ai.profile_nothing",
        )
    body, notes = edit_profile(loaded, name, changes, unset)
    for note in notes:
        tell_note(note)
    return body
