"""`mahavishnu ai restart`."""

from typing import Any

import click
from msgspec.structs import replace

from mahavishnu.ai.clients.claude_code.desktop import require_macos, restart_app
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.sessions.restarting import END_TIMEOUT_S
from mahavishnu.base.errors import Conflict
from mahavishnu.interfaces.cli.ai.sessions import client_option
from mahavishnu.interfaces.cli.ai.sessions_output import lines_of
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import RestartResult
from mahavishnu.operations.ai.sessions import MAX_TIMEOUT_S, RestartSessions
from mahavishnu.operations.ai.sessions import restart as restart_sessions
from mahavishnu.operations.ai.site import Environments


def _show(body: RestartResult) -> None:
    if not body.sessions and body.app_restarted is None:
        print_line("No session needs a restart.")
    for line in lines_of(body.sessions):
        print_line(line)
    if body.app_restarted is not None:
        told = "was restarted" if body.app_restarted else "does not run"
        print_line(f"The desktop app {told}.")


def _code(body: RestartResult) -> int:
    named = click.get_current_context().params["session"]
    unmet = ("stays", "left") if named else ("stays",)
    return Conflict.exit_code if any(each.outcome in unmet for each in body.sessions) else 0


@click.command()
@click.argument("session", nargs=-1)
@client_option
@click.option("--all", "everywhere", is_flag=True, help="Busy ones too, and those in any terminal.")
@click.option("--kill", is_flag=True, help="Kill what does not end when it is asked to.")
@click.option("--app", is_flag=True, help="The desktop app of Claude too (macOS).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, MAX_TIMEOUT_S, min_open=True),
    default=END_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a session to end.",
)
@answers(_show, code=_code)
def restart(
    session: tuple[str, ...], clients: tuple[ClientName, ...], app: bool, **wished: Any
) -> RestartResult:
    """
    Restart sessions so that they follow a switch, and resume them where they were.

    SESSION is an id as `ai sessions` shows it, or a pid. Without any: those that a switch has not
    reached, that are idle, and whose terminal (tmux) can be told to resume them; of the others the
    command that does so is printed. The session that this is called from is never restarted.
    """
    if app:
        require_macos()
    request = RestartSessions(sessions=list(session), clients=list(clients), **wished)
    done = restart_sessions(Environments(load()), request)
    return replace(done, app_restarted=restart_app()) if app else done
