"""`mahavishnu ai mcp`: install, remove, list."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mahavishnu.ai.clients.mcp import Done, Registered, Server
from mahavishnu.ai.clients.places import Place, require_there
from mahavishnu.ai.clients.registration import describe_setup
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.ai.claude_file import dry_run_option
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.mcp import find_address, find_places, tell_what_stays_behind
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line, print_table
from mahavishnu.operations.ai.clients import (
    chosen_clients,
    lock_folder,
    place_of,
    require_enabled,
    require_trusted,
)

client_option = click.option(
    "--client", type=click.Choice([*CLIENTS, "all"]), default="all", help="Only this one."
)
transport_option = click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="stdio needs no token and no running daemon.",
)
scope_option = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="project: for you alone in this project; Claude Code only.",
)
NO_SCOPE = "it has no servers of a project that are yours alone"


@dataclass(frozen=True)
class Outcome:
    """What became of one client; `why` says why nothing did, `start` what its shell must do first."""

    client: str
    changed: bool = False
    why: str | None = None
    start: str | None = None


@click.group()
def mcp() -> None:
    """Register this memory with Claude Code, Codex and Qwen Code."""


@mcp.command("install")
@client_option
@transport_option
@scope_option
@dry_run_option
@json_option
def install_(client: str, transport: str, scope: str, dry_run: bool, as_json: bool) -> None:
    """Register this memory in the clients that you have; update existing entries."""
    loaded = load_quietly()
    servers = {each: _server(loaded, each, transport, scope) for each in CLIENTS}

    def act(place: Place, dry: bool) -> Outcome:
        server = servers[place.client]
        done = CLIENTS[place.client].mcp.install(server, dry_run=dry)
        return _outcome(place, done, start=server.setup.start or None)

    outcomes = _each(loaded, client, scope, dry_run, act)
    tell_what_stays_behind(loaded.environ)
    _tell(outcomes, "registered", dry_run, as_json)


@mcp.command("remove")
@client_option
@scope_option
@dry_run_option
@json_option
def remove(client: str, scope: str, dry_run: bool, as_json: bool) -> None:
    """Remove this memory from the clients' settings."""
    loaded = load_quietly()
    servers = {each: _server(loaded, each, "stdio", scope) for each in CLIENTS}

    def act(place: Place, dry: bool) -> Outcome:
        server = servers[place.client]
        return _outcome(place, CLIENTS[place.client].mcp.uninstall(server, dry_run=dry))

    _tell(_each(loaded, client, scope, dry_run, act), "removed", dry_run, as_json)


@mcp.command("list")
@scope_option
@json_option
def list_(scope: str, as_json: bool) -> None:
    """Print which clients there are, which know this memory, and whether as it is reached now."""
    loaded = load_quietly()
    rows = [_describe(loaded, client, scope) for client in CLIENTS if _has_scope(client, scope)]
    if as_json:
        print_json({"scope": scope, "clients": rows})
        return
    print_table(
        ("client", "there", "registered", "current", "in"),
        (
            (
                row["client"],
                "yes" if row["there"] else "no",
                row["transport"] or "no",
                {True: "yes", False: "no", None: ""}[row["current"]],
                row["path"] or "",
            )
            for row in rows
        ),
    )


def _server(loaded: Loaded, client: ClientName, transport: str, scope: str) -> Server:
    """Return the server as the client calls it."""
    words = "local" if scope == "project" else scope
    url, places = find_address(loaded, transport), find_places(loaded.environ)
    place = place_of(loaded, client)
    return Server(
        setup=describe_setup(client, url=url, places=places, scope=words),
        scope=words,
        settings=place.settings,
        program=place.program,
        environ=loaded.environ,
        folder=Path.cwd(),
        locks=lock_folder(loaded),
    )


def _outcome(place: Place, done: Done, *, start: str | None = None) -> Outcome:
    for each in done.notes:
        tell_note(each)
    return Outcome(place.client, done.changed, start=start)


def _has_scope(client: str, scope: str) -> bool:
    return scope == "user" or CLIENTS[client].mcp.project_scope


def _each(
    loaded: Loaded, client: str, scope: str, dry_run: bool, act: Callable[[Place, bool], Outcome]
) -> list[Outcome]:
    """Act on the one client that was named, or on all that are there; look at all before the first."""
    require_trusted(loaded)
    places = {name: place_of(loaded, name) for name in CLIENTS}
    if client != "all":
        [name] = (each for each in CLIENTS if each == client)
        _require(loaded, places[name], scope)
        return [act(places[name], dry_run)]
    reasons = {name: _why_not(loaded, place, scope) for name, place in places.items()}
    chosen = [name for name, reason in reasons.items() if reason is None]
    if not chosen:
        raise NotFound(
            "There is no client to change: "
            + "; ".join(f"{CLIENTS[name].title}: {reason}" for name, reason in reasons.items()),
            hint="Install one and start it once.",
            code="ai.no_client",
        )
    for name in chosen:
        act(places[name], True)
    acted = {name: act(places[name], dry_run) for name in chosen}
    return [acted.get(name) or Outcome(name, why=reason) for name, reason in reasons.items()]


def _require(loaded: Loaded, place: Place, scope: str) -> None:
    require_enabled(loaded, place.client)
    require_there(place)
    if not _has_scope(place.client, scope):
        raise UsageError(
            f"{CLIENTS[place.client].title} is not changed: {NO_SCOPE}.",
            hint="Leave out --scope project.",
            code="ai_mcp.no_scope",
        )


def _why_not(loaded: Loaded, place: Place, scope: str) -> str | None:
    if not chosen_clients(loaded)[place.client].enabled:
        return "it is switched off in the settings"
    if not place.is_there:
        return "it is not there"
    return None if _has_scope(place.client, scope) else NO_SCOPE


def _tell(outcomes: list[Outcome], verb: str, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "client": each.client,
                "changed": each.changed and not dry_run,
                "would_change": each.changed,
                "unchanged_because": each.why,
                "start": each.start,
            }
            for each in outcomes
        ]
        print_json({"dry_run": dry_run, "clients": rows})
        return
    for line in _lines(outcomes, verb, dry_run):
        print_line(line)


def _lines(outcomes: list[Outcome], verb: str, dry_run: bool) -> Iterator[str]:
    for each in outcomes:
        if each.why is not None:
            yield f"{each.client}: unchanged, {each.why}"
        elif each.changed:
            yield f"{each.client}: {'would be ' if dry_run else ''}{verb}"
        else:
            yield f"{each.client}: nothing to change"
        if each.start:
            yield f"  start it after: {each.start}"


def _describe(loaded: Loaded, client: ClientName, scope: str) -> dict[str, Any]:
    place = place_of(loaded, client)
    server = _server(loaded, client, "stdio", scope)
    found = CLIENTS[client].mcp.find(server) if place.is_there else None
    return {
        "client": client,
        "there": place.is_there,
        "registered": found is not None,
        "transport": found.transport if found else None,
        "current": _is_current(loaded, client, found, scope),
        "path": str(found.path) if found else None,
    }


def _is_current(
    loaded: Loaded, client: ClientName, found: Registered | None, scope: str
) -> bool | None:
    """Tell whether what is registered is what would be now; None where nothing is."""
    if found is None:
        return None
    return found.says(_server(loaded, client, found.transport, scope).setup.entry)
