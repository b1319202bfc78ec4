"""`mahavishnu ai bind`."""

from pathlib import Path

import click

from mahavishnu.ai.bindings.settings import PROJECT_CLIENT
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.directories import bind_directory
from mahavishnu.operations.ai.site import Environments

directory_argument = click.argument("directory", type=click.Path(path_type=Path), default=Path())


@click.command()
@click.argument("profile")
@directory_argument
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def bind(profile: str, directory: Path, overwrite: bool, as_json: bool) -> None:
    """
    Let sessions that are started in DIRECTORY (here by default) use PROFILE and no other.

    Below it too, by links and in its worktrees of git. Each client is given a guard in its settings, which
    stops a session there that uses something else.
    """
    environments = Environments(load_quietly())
    body, row = bind_directory(environments, profile, directory, overwrite=overwrite)
    if as_json:
        print_json(body)
        return
    print_line(f"{body.directory} is bound to {body.profile}.")
    if body.settings:
        print_line(f"{CLIENTS[PROJECT_CLIENT].title} uses it there: {body.settings}")
    for name in body.guarded:
        if not (name == PROJECT_CLIENT and body.settings) and name in row.clients:
            print_line(f"{name}: mahavishnu ai run --bound -- {CLIENTS[name].program}")
    for text in body.notes:
        tell_note(text)
