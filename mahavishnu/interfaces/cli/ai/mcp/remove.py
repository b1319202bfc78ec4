"""`mahavishnu ai mcp remove`."""

import click

from mahavishnu.interfaces.cli.ai.mcp.install import (
    client_option,
    registration_scope_option,
    show_registrations,
)
from mahavishnu.interfaces.cli.ai.options import dry_run_option
from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.operations.ai.registering import Registrations, unregister


@click.command()
@client_option
@registration_scope_option
@dry_run_option
@answers(lambda body: show_registrations("removed", body))
def remove(client: str, scope: str, dry_run: bool) -> Registrations:
    """Remove this memory from the clients' settings."""
    return unregister(load_quietly(), client, scope, dry_run=dry_run, note=tell_note)
