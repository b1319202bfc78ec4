"""`mahavishnu mcp`: serve, health, tools, config."""

import sys
from collections.abc import Mapping

import click

from mahavishnu.ai.clients.registration import SETUPS, describe_setup
from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import HOST, find_listening
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.sources import ENVIRONMENT, Loaded
from mahavishnu.interfaces.cli.options import asynchronous, json_option, load, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line, print_table
from mahavishnu.interfaces.mcp.probe import probe_stdio

# What says where the memory is.
PLACES = ("MAHAVISHNU_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


@click.group()
def mcp() -> None:
    """Memory for AI clients, over the Model Context Protocol."""


@mcp.command()
@click.option(
    "--transport",
    type=click.Choice(["stdio"]),
    default="stdio",
    show_default=True,
    help="HTTP is served by `mahavishnu up`.",
)
@asynchronous
async def serve(transport: str) -> None:  # noqa: ARG001 - there is one; clients' settings name it
    """
    Serve a client at stdin and stdout.

    Hands everything on to the daemon while one runs, and serves by itself while none does.
    """
    loaded = load()
    from mahavishnu.interfaces.stdio.bridge import serve_stdio  # noqa: PLC0415 - slow

    await serve_stdio(loaded)


@mcp.command()
@json_option
def health(as_json: bool) -> None:
    """
    Ask over MCP whether this memory answers; exit code 0 where it does.

    Asks the daemon; where none runs, a server over stdio, as clients start one.
    """
    loaded = load_quietly()
    if find_listening(loaded.locations.daemon_lock) is None:
        url, (server, tools, ms) = None, probe_stdio(loaded.environ)
    else:
        client = DaemonClient.find(loaded.locations.daemon_lock, loaded.locations.token)
        url, (server, tools, ms) = f"{client.record.url}/mcp", client.probe_mcp()
    if as_json:
        print_json(
            {"transport": "http" if url else "stdio", "url": url, "server": server, "tools": tools,
             "latency_ms": round(ms, 1)}
        )  # fmt: skip
    else:
        where = f"at {url}" if url else "over stdio (no daemon runs)"
        print_line(
            f"{server['name']} {server['version']} answers {where} with {len(tools)} tools in {ms:.0f} ms"
        )


@mcp.command()
@json_option
def tools(as_json: bool) -> None:
    """List the tools with what they are for; needs neither daemon nor database."""
    from mahavishnu.operations.table import OPERATIONS  # noqa: PLC0415 - slow

    if as_json:
        print_json(
            {
                "tools": [
                    {
                        "name": each.name,
                        "title": each.title,
                        "description": each.description,
                        "read_only": each.read_only,
                        "destructive": each.destructive,
                        "input_schema": each.input_schema,
                        "output_schema": each.output_schema,
                    }
                    for each in OPERATIONS
                ]
            }
        )
        return
    print_table(
        ("tool", "changes", "what for"),
        (
            (
                each.name,
                "deletes" if each.destructive else "no" if each.read_only else "adds",
                each.description.partition(". ")[0],
            )
            for each in OPERATIONS
        ),
    )


def find_address(loaded: Loaded, transport: str) -> str | None:
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
            "The port is any that is free, so there is no address to give.",
            hint="Set server.port, or start the daemon first: mahavishnu up --detach",
            code="mcp.no_address",
        )
    return f"http://{HOST}:{port}/mcp"


def find_places(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a server that a client starts finds this memory."""
    places = {name: environ[name] for name in PLACES if environ.get(name)}
    if "MAHAVISHNU_HOME" in places:
        return {"MAHAVISHNU_HOME": places["MAHAVISHNU_HOME"]}
    return places


def tell_what_stays_behind(environ: Mapping[str, str]) -> None:
    """Name what is set here and would not reach a server that a client starts."""
    names = sorted(name for name in ENVIRONMENT if environ.get(name))
    if names:
        sys.stderr.write(
            f"Note: set in this terminal, and not handed on by most clients: {', '.join(names)}. "
            "Put that into the settings file (mahavishnu config path).\n"
        )


@mcp.command()
@click.option(
    "--client",
    "client_name",
    type=click.Choice(SETUPS),
    help="Only for this one.",
)
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="stdio needs no token and no running daemon.",
)
@json_option
def config(client_name: str | None, transport: str, as_json: bool) -> None:
    """Print what to paste into a client, so that it uses this memory; changes nothing."""
    loaded = load_quietly()
    url, places = find_address(loaded, transport), find_places(loaded.environ)
    tell_what_stays_behind(loaded.environ)
    names = [client_name] if client_name else list(SETUPS)
    setups = [describe_setup(name, url=url, places=places) for name in names]
    if as_json:
        print_json(
            {"clients": [{"client": s.client, "how": s.how, "text": s.text} for s in setups]}
        )
        return
    for setup in setups:
        print_line(f"# {setup.client}: {setup.how}\n{setup.text}\n")
