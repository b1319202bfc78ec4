"""`mahavishnu memory import`: documents and histories."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers, confirm, parameter
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.imports import Imported

MAX_NAMED = 5  # skipped files of one reason; --json names all


@click.group("import")
def import_() -> None:
    """Import documents and histories; each run stores only what changed."""


def _show(outcome: "Imported") -> None:
    print_line(
        f"{outcome.project}: {outcome.stored} new, {outcome.changed} changed, "
        f"{outcome.removed} removed, {outcome.unchanged} unchanged"
    )
    for reason, count in outcome.skipped.items():
        paths = [file.path for file in outcome.skipped_files if file.reason == reason]
        more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
        print_line(f"  skipped {count}: {reason} ({', '.join(paths[:MAX_NAMED])}{more})")
    if outcome.waiting:
        print_line(f"  {outcome.waiting} wait for vectors: mahavishnu memory embed")


@import_.command("markdown")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--project", metavar="NAME", help="The repository's, or the folder's name by default."
)
@click.option("--yes", is_flag=True, help="Do not ask before forgetting most of a source.")
@answers(_show)
async def import_markdown(yes: bool, **fields: Any) -> Struct:
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


@import_.command("git")
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="The repository's own by default.")
@answers(_show)
async def import_git(**fields: Any) -> Struct:
    """Remember the commits of REPOSITORY that are not remembered yet."""
    return await ask("import_git", bar="Importing commits", **fields)
