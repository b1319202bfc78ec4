"""`mahavishnu mcp config`."""

import sys
from collections.abc import Mapping

import click

from mahavishnu.ai.clients.mcp_setup import SETUPS
from mahavishnu.base.settings.sources import ENVIRONMENT
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.registering import ClientSetups, describe_setups

transport_option = click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="stdio needs no token and no running daemon.",
)


def tell_what_stays_behind(environ: Mapping[str, str]) -> None:
    """Name what is set here and would not reach a server that a client starts."""
    names = sorted(name for name in ENVIRONMENT if environ.get(name))
    if names:
        sys.stderr.write(
            f"Note: set in this terminal, and not handed on by most clients: {', '.join(names)}. "
            "Put that into the settings file (mahavishnu config path).\n"
        )


def _show(body: ClientSetups) -> None:
    for each in body.clients:
        print_line(f"# {each.client}: {each.how}\n{each.text}\n")


@click.command()
@click.option("--client", "client_name", type=click.Choice(SETUPS), help="Only for this one.")
@transport_option
@answers(_show)
def config(client_name: str | None, transport: str) -> ClientSetups:
    """Print what to paste into a client, so that it uses this memory; changes nothing."""
    loaded = load_quietly()
    body = describe_setups(loaded, client_name, transport)
    tell_what_stays_behind(loaded.environ)
    return body
