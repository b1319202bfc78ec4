"""`mahavishnu memory import markdown`."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.imported import show_imported
from mahavishnu.interfaces.cli.options import answers, confirm, parameter


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--project", metavar="NAME", help="The repository's, or the folder's name by default."
)
@click.option("--yes", is_flag=True, help="Do not ask before forgetting most of a source.")
@answers(show_imported)
async def markdown(yes: bool, **fields: Any) -> Struct:
    """Remember the sections of all Markdown files below FOLDER."""
    bring_in = partial(ask, "import_markdown", bar="Importing sections", **fields)
    try:
        return await bring_in(forget_most=yes)
    except UsageError as error:
        may_ask = sys.stdin.isatty() and not parameter("as_json")
        if error.code != "import.forgets_most" or not may_ask:
            raise
        if not confirm(f"{error.message} Go on?"):
            raise
        return await bring_in(forget_most=True)
