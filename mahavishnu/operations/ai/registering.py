"""This memory in the clients' lists of MCP servers: register it, remove it, and look where it is."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mahavishnu.ai.clients.mcp import Server
from mahavishnu.ai.clients.mcp_setup import SETUPS, describe_setup
from mahavishnu.ai.clients.places import Place, require_there
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.base.daemon.record import HOST, find_listening
from mahavishnu.base.errors import MahavishnuError, NotFound, UsageError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.clients import (
    chosen_clients,
    lock_folder,
    place_of,
    require_enabled,
    require_trusted,
)
from mahavishnu.operations.ai.results import Whole

# What says where the memory is.
PLACES = ("MAHAVISHNU_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
NO_SCOPE = "it has no servers of a project that are yours alone"


class RegistrationBody(Whole, frozen=True, kw_only=True):
    """What became of one client; `start` is what its shell must do first."""

    client: ClientName
    changed: bool = False
    would_change: bool = False
    unchanged_because: str | None = None
    start: str | None = None


class Registrations(Whole, frozen=True, kw_only=True):
    """What became of each client."""

    dry_run: bool
    clients: list[RegistrationBody]


class RegisteredBody(Whole, frozen=True, kw_only=True):
    """A client; `current`: it has this memory as it would be registered now."""

    client: ClientName
    there: bool
    registered: bool = False
    transport: str | None = None
    current: bool | None = None
    path: str | None = None


class Registered(Whole, frozen=True, kw_only=True):
    """The clients, and which of them have this memory."""

    scope: str
    clients: list[RegisteredBody]


class ClientSetup(Whole, frozen=True, kw_only=True):
    """What to paste into a client, and where."""

    client: str
    how: str
    text: str


class ClientSetups(Whole, frozen=True, kw_only=True):
    """What to paste, by client."""

    clients: list[ClientSetup]


type Note = Callable[[str], object]
type Act = Callable[[Place, bool], RegistrationBody]


def register(
    loaded: Loaded, client: str, transport: str, scope: str, *, dry_run: bool, note: Note
) -> Registrations:
    """Register this memory in one client, or in all that are there; `note` gets what users should know."""
    servers = {each: _server(loaded, each, transport, scope) for each in CLIENTS}

    def act(place: Place, dry: bool) -> RegistrationBody:
        server = servers[place.client]
        done = CLIENTS[place.client].mcp.install(server, dry_run=dry)
        for each in done.notes:
            note(each)
        return _done(place, done.changed, dry, start=server.setup.start or None)

    return _each(loaded, client, scope, dry_run, act)


def unregister(
    loaded: Loaded, client: str, scope: str, *, dry_run: bool, note: Note
) -> Registrations:
    """Remove this memory from one client, or from all that are there."""
    servers = {each: _server(loaded, each, "stdio", scope) for each in CLIENTS}

    def act(place: Place, dry: bool) -> RegistrationBody:
        done = CLIENTS[place.client].mcp.uninstall(servers[place.client], dry_run=dry)
        for each in done.notes:
            note(each)
        return _done(place, done.changed, dry)

    return _each(loaded, client, scope, dry_run, act)


def find_registrations(loaded: Loaded, scope: str) -> Registered:
    """Return which clients there are, which have this memory, and whether as it is reached now."""
    names = [client for client in CLIENTS if _has_scope(client, scope)]
    return Registered(scope=scope, clients=[_look(loaded, client, scope) for client in names])


def describe_setups(loaded: Loaded, client: str | None, transport: str) -> ClientSetups:
    """Return what to paste into one client, or into each."""
    url, places = _find_address(loaded, transport), _find_places(loaded.environ)
    names = [client] if client else list(SETUPS)
    setups = [describe_setup(name, url=url, places=places) for name in names]
    return ClientSetups(clients=[ClientSetup.like(each) for each in setups])


def _find_address(loaded: Loaded, transport: str) -> str | None:
    """
    Return where clients find the daemon's MCP; None for stdio, which needs no address.

    Raises:
        MahavishnuError: `mcp.no_address`.
    """
    if transport == "stdio":
        return None
    running = find_listening(loaded.locations.daemon_lock)
    port = running.port if running else loaded.settings.server.port
    if not port:
        raise MahavishnuError(
            "The daemon takes any free port, so it has no fixed address.",
            hint="Set server.port, or start the daemon first: mahavishnu up --detach",
            code="mcp.no_address",
        )
    return f"http://{HOST}:{port}/mcp"


def _find_places(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a server that a client starts finds this memory."""
    places = {name: environ[name] for name in PLACES if environ.get(name)}
    if "MAHAVISHNU_HOME" in places:
        return {"MAHAVISHNU_HOME": places["MAHAVISHNU_HOME"]}
    return places


def _server(loaded: Loaded, client: ClientName, transport: str, scope: str) -> Server:
    """Return the server as the client calls it."""
    words = "local" if scope == "project" else scope
    url, places = _find_address(loaded, transport), _find_places(loaded.environ)
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


def _done(place: Place, changes: bool, dry: bool, start: str | None = None) -> RegistrationBody:
    return RegistrationBody(
        client=place.client, changed=changes and not dry, would_change=changes, start=start
    )


def _has_scope(client: str, scope: str) -> bool:
    return scope == "user" or CLIENTS[client].mcp.project_scope


def _each(loaded: Loaded, client: str, scope: str, dry_run: bool, act: Act) -> Registrations:
    """Act on the one client that was named, or on all that are there; look at all before the first."""
    require_trusted(loaded)
    places = {name: place_of(loaded, name) for name in CLIENTS}
    if client != "all":
        [name] = (each for each in CLIENTS if each == client)
        _require(loaded, places[name], scope)
        return Registrations(dry_run=dry_run, clients=[act(places[name], dry_run)])
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
    outcomes = [
        acted.get(name) or RegistrationBody(client=name, unchanged_because=reason)
        for name, reason in reasons.items()
    ]
    return Registrations(dry_run=dry_run, clients=outcomes)


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


def _look(loaded: Loaded, client: ClientName, scope: str) -> RegisteredBody:
    place = place_of(loaded, client)
    server = _server(loaded, client, "stdio", scope)
    found = CLIENTS[client].mcp.find(server) if place.is_there else None
    if found is None:
        return RegisteredBody(client=client, there=place.is_there)
    return RegisteredBody(
        client=client,
        there=True,
        registered=True,
        transport=found.transport,
        current=found.says(_server(loaded, client, found.transport, scope).setup.entry),
        path=str(found.path),
    )
