"""`mahavishnu memory import`: documents and histories."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import asynchronous, confirm, json_option
from mahavishnu.interfaces.cli.render import print_json, print_line

if TYPE_CHECKING:
    from mahavishnu.operations.imports import Imported

MAX_NAMED = 5  # skipped files of one reason; --json names all


@click.group("import")
def import_() -> None:
    """Import documents and histories; each run stores only what changed."""


@import_.command("markdown")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--project", metavar="NAME", help="The repository's, or the folder's name by default."
)
@click.option("--yes", is_flag=True, help="Do not ask before forgetting most of a source.")
@json_option
@asynchronous
async def import_markdown(yes: bool, as_json: bool, **fields: Any) -> None:
    """Remember the sections of all Markdown files below FOLDER."""
    bring_in = partial(
        ask, "import_markdown", bar=None if as_json else "Importing sections", **fields
    )
    try:
        outcome = await bring_in(forget_most=yes)
    except UsageError as error:
        may_ask = sys.stdin.isatty() and not as_json
        if error.code != "import.forgets_most" or not may_ask:
            raise
        if not confirm(f"{error.message} Go on?"):
            raise
        outcome = await bring_in(forget_most=True)
    _print_imported(outcome, as_json=as_json)


@import_.command("git")
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="The repository's own by default.")
@json_option
@asynchronous
async def import_git(as_json: bool, **fields: Any) -> None:
    """Remember the commits of REPOSITORY that are not remembered yet."""
    bar = None if as_json else "Importing commits"
    _print_imported(await ask("import_git", bar=bar, **fields), as_json=as_json)


def _print_imported(outcome: "Imported", *, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
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
