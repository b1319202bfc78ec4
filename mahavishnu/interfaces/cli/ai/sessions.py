"""`mahavishnu ai sessions`."""

import click

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.interfaces.cli.ai.sessions_output import show_sessions
from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.operations.ai.results import Sessions
from mahavishnu.operations.ai.sessions import FindSessions, find_sessions
from mahavishnu.operations.ai.site import Environments

client_option = click.option(
    "--client",
    "clients",
    multiple=True,
    type=click.Choice([*CLIENTS]),
    help="Only sessions of this client; repeatable.",
)


@click.command()
@client_option
@answers(show_sessions)
def sessions(clients: tuple[ClientName, ...]) -> Sessions:
    """
    List the running sessions, the profile that each one really uses, and what a switch does to it.

    live: it follows a switch by itself; thread: a new thread does; restart: only when it is started
    again; own: it was started on a profile of its own.
    """
    loaded = load()
    tell_profiles(loaded)
    return find_sessions(Environments(loaded), FindSessions(clients=list(clients)))
