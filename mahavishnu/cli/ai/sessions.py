"""`mahavishnu ai`: sessions, restart."""

import sys
from collections.abc import Sequence
from typing import Any, cast

import click

from mahavishnu.ai_env.following.desktop import require_macos, restart_app
from mahavishnu.ai_env.following.restarting import END_TIMEOUT_S, How, Wish, choose, follow_switch
from mahavishnu.ai_env.following.restarting import restart as restart_sessions
from mahavishnu.ai_env.following.standing import Standing, find_standings
from mahavishnu.ai_env.profiles import SPOKEN, ClientName
from mahavishnu.ai_env.site import Site
from mahavishnu.cli.ai.sessions_output import lines_of, restart_row, show_restarts, show_sessions
from mahavishnu.cli.ai.telling import tell_profiles
from mahavishnu.cli.options import json_option, load
from mahavishnu.environments.here import open_site
from mahavishnu.environments.known import known_profiles
from mahavishnu.errors import Conflict, NotFound, UsageError
from mahavishnu.settings.sources import Loaded

_LEAST_DIGITS = 4
_MAX_TIMEOUT_S = 600.0

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
    List the sessions that run, the profile that each is really on, and what a switch does to it.

    live: it follows a switch by itself; thread: a new thread does; restart: only when it is started
    again; own: it was started on a profile of its own.
    """
    loaded = load()
    tell_profiles(loaded)
    show_sessions(look(loaded, open_site(loaded), clients), as_json=as_json)


@click.command()
@click.argument("session", nargs=-1)
@client_option
@click.option("--all", "everywhere", is_flag=True, help="Busy ones too, and those in any terminal.")
@click.option("--kill", is_flag=True, help="Kill what does not end when it is asked to.")
@click.option("--app", is_flag=True, help="The desktop app of Claude too (macOS).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, _MAX_TIMEOUT_S, min_open=True),
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
    reached, that are idle, and whose terminal (tmux) can be told to resume them; of the others the
    command that does so is printed. The session that this is called from is never restarted.
    """
    if app:
        require_macos()
    loaded = load()
    site = open_site(loaded)
    found = look(loaded, site, clients)
    named = dict.fromkeys(_pick(word, found) for word in session)
    chosen = list(named) if session else choose(found)
    wish = Wish(
        busy=everywhere, anywhere=everywhere or bool(session), kill=kill, timeout_s=timeout_s
    )
    done = restart_sessions(site, chosen, wish, lambda: look(loaded, site, clients))
    restarted = restart_app() if app else None
    show_restarts(done, app=restarted, as_json=as_json)
    if any(each.outcome == "stays" or (session and each.outcome == "left") for each in done):
        sys.exit(Conflict.exit_code)


def look(loaded: Loaded, site: Site, clients: Sequence[ClientName] = ()) -> tuple[Standing, ...]:
    """Return where the sessions stand now."""
    wanted = clients or cast(tuple[ClientName, ...], tuple(SPOKEN))
    return find_standings(site, known_profiles(loaded), site.journal.read(), wanted)


def follow(
    loaded: Loaded, site: Site, clients: Sequence[ClientName], *, how: How
) -> tuple[list[dict[str, Any]], list[str]]:
    """Restart what a switch has not reached; return that and what else does not follow it, for JSON and people."""
    done = follow_switch(
        site, look(loaded, site, clients), how, lambda: look(loaded, site, clients)
    )
    return [restart_row(each) for each in done], lines_of(done)


def _pick(word: str, found: Sequence[Standing]) -> Standing:
    """
    Return the session that a word means.

    Raises:
        NotFound: `ai.no_session`.
        UsageError: `ai.session_ambiguous`.
    """
    text = word.strip().lower()
    fits = [each for each in found if _has_pid(text, each)]
    fits = fits or [each for each in found if _has_id(text, each)]
    if not fits:
        raise NotFound(
            f"There is no session {word!r} that runs.",
            hint="List them with: mahavishnu ai sessions",
            code="ai.no_session",
        )
    if len(fits) > 1:
        raise UsageError(
            f"{word!r} means more than one session.",
            hint="Write more of its id, or its pid.",
            code="ai.session_ambiguous",
        )
    return fits[0]


def _has_pid(text: str, standing: Standing) -> bool:
    found = standing.session
    return not found.shared and text == str(found.process.pid)


def _has_id(text: str, standing: Standing) -> bool:
    known = standing.session.id
    return len(text) >= _LEAST_DIGITS and (known.endswith(text) or known.startswith(text))
