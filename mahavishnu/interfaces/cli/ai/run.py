"""`mahavishnu ai run`."""

import os
import shlex
import sys

import click

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.switching.launch import Launch
from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.interfaces.cli.options import load
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.launching import launch_body, plan_run
from mahavishnu.operations.ai.site import Environments


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("profile", required=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- PROGRAM ...")
@click.option("--bound", is_flag=True, help="Use the profile that this directory is bound to.")
@click.option(
    "--client",
    type=click.Choice(list(CLIENTS)),
    help="Which client the program is, if not by name.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be started; start nothing.")
@click.option(
    "--json", "as_json", is_flag=True, help="As --dry-run, in JSON (schema 1): nothing is started."
)
def run(
    profile: str | None,
    words: tuple[str, ...],
    bound: bool,
    client: ClientName | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Start PROGRAM, a client, on PROFILE: this session alone, and no file is changed.

    For example: mahavishnu ai run deepseek -- claude --continue; in a directory that is bound to a profile,
    where no other is used: mahavishnu ai run --bound -- claude

    The program takes the place of this one. Variables of other providers are taken out of its
    environment; the key is not among its words.
    """
    if bound and profile is not None:
        words, profile = (profile, *words), None
    words = words[words[:1] == ("--",) :]
    if not words or (profile is None and not bound):
        raise UsageError(
            "No program is named.",
            hint="Write the client's program after --.",
            code="ai.no_program",
        )
    environments = Environments(load())
    chosen, launch = plan_run(environments, profile, client, words)
    if as_json:
        print_json(launch_body(launch))
    elif dry_run:
        print_line(shlex.join((str(launch.program), *launch.words[1:])))
        for name in launch.taken_out:
            print_line(f"without {name}")
    else:
        environments.accept(chosen)
        _become(launch)


def _become(launch: Launch) -> None:
    """Let the program take the place of this process, with its terminal and its pid."""
    sys.stdout.flush()
    try:
        os.execve(launch.program, launch.words, launch.environ)  # noqa: S606 - that is its purpose
    except OSError as error:
        raise Unavailable(
            f"{launch.program} cannot be started ({error.strerror}).",
            hint="Start it without mahavishnu to see why.",
            code="ai.not_started",
        ) from error
