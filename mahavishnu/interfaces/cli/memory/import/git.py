"""`mahavishnu memory import git`."""

from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.imported import show_imported
from mahavishnu.interfaces.cli.options import answers


@click.command()
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="The repository's own by default.")
@answers(show_imported)
async def git(**fields: Any) -> Struct:
    """Remember the commits of REPOSITORY that are not remembered yet."""
    return await ask("import_git", bar="Importing commits", **fields)
