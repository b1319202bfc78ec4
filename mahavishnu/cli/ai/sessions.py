"""`mahavishnu ai`: sessions, restart."""

import sys
from collections.abc import Sequence
from typing import Any

import click
from msgspec.structs import asdict

from mahavishnu.ai_env.following.desktop import require_macos, restart_app
from mahavishnu.ai_env.following.restarting import END_TIMEOUT_S, How, follow_switch
from mahavishnu.ai_env.profiles import SPOKEN, ClientName
from mahavishnu.ai_env.site import Site
from mahavishnu.cli.ai.sessions_output import lines_of, show_restarts, show_sessions
from mahavishnu.cli.ai.telling import tell_profiles
from mahavishnu.cli.options import json_option, load
from mahavishnu.environments.profiles import known_profiles
from mahavishnu.environments.site import open_site
from mahavishnu.errors import Conflict
from mahavishnu.operations.sessions import (
    MAX_TIMEOUT_S,
    RestartSessions,
    look,
    restart_wanted,
    restarted_body,
)
from mahavishnu.settings.sources import Loaded

client_option = click.option(
    "--client",
    "clients",
    multiple=True,
    type=click.Choice([*SPOKEN]),
    help="Only sessions of this client; repeatable.",
)


@click.command()
@client_option
@json_option
def sessions(clients: tuple[ClientName, ...], as_json: bool) -> None:
    """
    List the running sessions, the profile that each one really uses, and what a switch does to it.

    live: it follows a switch by itself; thread: a new thread does; restart: only when it is started
    again; own: it was started on a profile of its own.
    """
    loaded = load()
    tell_profiles(loaded)
    show_sessions(look(open_site(loaded), known_profiles(loaded), clients), as_json=as_json)


@click.command()
@click.argument("session", nargs=-1)
@client_option
@click.option("--all", "everywhere", is_flag=True, help="Also busy ones, in any terminal.")
@click.option("--kill", is_flag=True, help="Kill what does not end when asked.")
@click.option("--app", is_flag=True, help="Also Claude's desktop app (macOS).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, MAX_TIMEOUT_S, min_open=True),
    default=END_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a session to end.",
)
@json_option
def restart(
    session: tuple[str, ...],
    clients: tuple[ClientName, ...],
    everywhere: bool,
    kill: bool,
    app: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """
    Restart sessions so that they follow a switch, and resume them where they were.

    SESSION is an id as `ai sessions` shows it, or a pid. Without any: those that a switch has not
    reached, that are idle, and whose terminal (tmux) can resume them; of the others the
    command that does so is printed. The session that this is called from is never restarted.
    """
    if app:
        require_macos()
    request = RestartSessions(
        sessions=list(session),
        clients=list(clients),
        everywhere=everywhere,
        kill=kill,
        timeout_s=timeout_s,
    )
    loaded = load()
    done = restart_wanted(open_site(loaded), known_profiles(loaded), request)
    restarted = restart_app() if app else None
    show_restarts(done, app=restarted, as_json=as_json)
    if any(each.outcome == "stays" or (session and each.outcome == "left") for each in done):
        sys.exit(Conflict.exit_code)


def follow(
    loaded: Loaded, site: Site, clients: Sequence[ClientName], *, how: How
) -> tuple[list[dict[str, Any]], list[str]]:
    """Restart what a switch has not reached; return that and what else does not follow it, for JSON and people."""
    profiles = known_profiles(loaded)
    done = follow_switch(
        site, look(site, profiles, clients), how, lambda: look(site, profiles, clients)
    )
    return [asdict(restarted_body(each)) for each in done], lines_of(done)
