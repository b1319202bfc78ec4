"""`mahavishnu service add`."""

import shlex
from typing import Any

import click

from mahavishnu.base.settings.services import ServiceHealthSettings, ServiceSettings
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import show_file
from mahavishnu.operations.service_bodies import ServiceFile
from mahavishnu.operations.services import add_service

KINDS = ("http", "tcp", "mcp", "sql")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--env",
    "environment",
    multiple=True,
    metavar="NAME=REFERENCE",
    help="Repeatable: NAME=VALUE, or where a key is.",
)
@click.option(
    "--folder", "working_directory", metavar="PATH", help="Working directory; your home by default."
)
@click.option(
    "--after",
    "depends_on",
    multiple=True,
    metavar="NAME",
    help="Repeatable: a service that is started before.",
)
@click.option(
    "--restart",
    type=click.Choice(["always", "on-failure", "never"]),
    default="on-failure",
    show_default=True,
    help="When it is started again.",
)
@click.option("--stop-command", metavar="WORDS", help="What ends it; SIGTERM by default.")
@click.option(
    "--grace",
    type=float,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to end in.",
)
@click.option("--http", metavar="URL", help="Health check: answers below 400.")
@click.option("--tcp", metavar="HOST:PORT", help="Health check: takes connections.")
@click.option("--mcp", metavar="URL", help="Health check: speaks MCP.")
@click.option("--sql", metavar="STATEMENT", help="Health check: PostgreSQL runs it.")
@click.option("--check", metavar="WORDS", help="Health check: a command that ends with status 0.")
@click.option(
    "--interval",
    type=float,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two checks.",
)
@click.option("--disabled", is_flag=True, help="Do not start it with the daemon.")
@click.option("--detached", is_flag=True, help="Let it go on when the daemon ends.")
@answers(show_file)
def add(
    name: str,
    check: str | None,
    interval: float,
    stop_command: str | None,
    *,
    disabled: bool,
    **given: Any,
) -> ServiceFile:
    """
    Add a service that runs COMMAND, for example: service add docs -- python -m http.server 8000

    It is written into a file of its own, with references to keys and never the keys themselves.
    """
    health = {kind: given.pop(kind) for kind in KINDS}
    said = ServiceSettings(
        **given,
        stop_command=tuple(shlex.split(stop_command or "")),
        enabled=not disabled,
        health=ServiceHealthSettings(
            **health, command=tuple(shlex.split(check or "")), interval=interval
        ),
    )
    return add_service(load(), name, said)
