"""`mahavishnu ai mcp install`."""

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.options import dry_run_option, scope_option
from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.mcp.config import tell_what_stays_behind, transport_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.registering import Registrations, register

client_option = click.option(
    "--client", type=click.Choice([*CLIENTS, "all"]), default="all", help="Only this one."
)
registration_scope_option = scope_option(
    "project: for you alone in this project; Claude Code only."
)


def show_registrations(verb: str, body: Registrations) -> None:
    """Print what became of each client's entry: `verb`, or nothing."""
    for each in body.clients:
        if each.unchanged_because is not None:
            print_line(f"{each.client}: unchanged, {each.unchanged_because}")
        elif each.would_change:
            print_line(f"{each.client}: {'would be ' if body.dry_run else ''}{verb}")
        else:
            print_line(f"{each.client}: nothing to change")
        if each.start:
            print_line(f"  start it after: {each.start}")


@click.command()
@client_option
@transport_option
@registration_scope_option
@dry_run_option
@answers(lambda body: show_registrations("registered", body))
def install(client: str, transport: str, scope: str, dry_run: bool) -> Registrations:
    """Register this memory in the clients that you have; update existing entries."""
    loaded = load_quietly()
    done = register(loaded, client, transport, scope, dry_run=dry_run, note=tell_note)
    tell_what_stays_behind(loaded.environ)
    return done
