"""`mahavishnu ai profile remove`."""

import click

from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import RemovedProfile, remove_profile


@click.command()
@click.argument("name")
@answers(lambda body: print_line(f"Removed: {body.path}"))
def remove(name: str) -> RemovedProfile:
    """Remove your own profile NAME; a shipped one of that name is back as it was. No key is touched."""
    body, notes = remove_profile(load_quietly(), name)
    for note in notes:
        tell_note(note)
    return body
