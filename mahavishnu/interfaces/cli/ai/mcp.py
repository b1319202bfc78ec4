"""`mahavishnu ai mcp`: install, remove, list."""

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.claude_file import dry_run_option
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.mcp.config import tell_what_stays_behind, transport_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.registering import (
    Registered,
    Registrations,
    find_registrations,
    register,
    unregister,
)

client_option = click.option(
    "--client", type=click.Choice([*CLIENTS, "all"]), default="all", help="Only this one."
)
scope_option = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="project: for you alone in this project; Claude Code only.",
)


@click.group()
def mcp() -> None:
    """Register this memory with Claude Code, Codex and Qwen Code."""


def _show(body: Registrations) -> None:
    verb = "registered" if click.get_current_context().command is install else "removed"
    for each in body.clients:
        if each.unchanged_because is not None:
            print_line(f"{each.client}: unchanged, {each.unchanged_because}")
        elif each.would_change:
            print_line(f"{each.client}: {'would be ' if body.dry_run else ''}{verb}")
        else:
            print_line(f"{each.client}: nothing to change")
        if each.start:
            print_line(f"  start it after: {each.start}")


@mcp.command()
@client_option
@transport_option
@scope_option
@dry_run_option
@answers(_show)
def install(client: str, transport: str, scope: str, dry_run: bool) -> Registrations:
    """Register this memory in the clients that you have; update existing entries."""
    loaded = load_quietly()
    done = register(loaded, client, transport, scope, dry_run=dry_run, note=tell_note)
    tell_what_stays_behind(loaded.environ)
    return done


@mcp.command()
@client_option
@scope_option
@dry_run_option
@answers(_show)
def remove(client: str, scope: str, dry_run: bool) -> Registrations:
    """Remove this memory from the clients' settings."""
    return unregister(load_quietly(), client, scope, dry_run=dry_run, note=tell_note)


def _show_list(body: Registered) -> None:
    rows = (
        (
            each.client,
            "yes" if each.there else "no",
            each.transport or "no",
            {True: "yes", False: "no", None: ""}[each.current],
            each.path or "",
        )
        for each in body.clients
    )
    print_table(("client", "there", "registered", "current", "in"), rows)


@mcp.command("list")
@scope_option
@answers(_show_list)
def list_(scope: str) -> Registered:
    """Print which clients there are, which know this memory, and whether as it is reached now."""
    return find_registrations(load_quietly(), scope)
