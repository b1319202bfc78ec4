"""`mahavishnu ai unbind`."""

from pathlib import Path

import click

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.bind import directory_argument
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.directories import unbind_directories
from mahavishnu.operations.ai.site import Environments


@click.command()
@directory_argument
@click.option("--all", "whole", is_flag=True, help="All directories, even unreadable ones.")
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def unbind(directory: Path, whole: bool, overwrite: bool, as_json: bool) -> None:
    """End the binding of DIRECTORY (here by default), and restore its settings."""
    if whole and directory != Path():
        raise UsageError("--all and a directory are two things.", code="ai.unbind_all")
    environments = Environments(load_quietly())
    place = None if whole else directory
    body, rows = unbind_directories(environments, place, overwrite=overwrite)
    if as_json:
        print_json(body)
        return
    for each in rows:
        print_line(f"{each.folder.path} is no longer bound to {each.profile}.")
    if not rows:
        print_line("Nothing is bound, and no client runs the guard.")
