"""`mahavishnu memory import`: documents and histories."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mahavishnu.cli.options import asynchronous, confirm, json_option, opened_app
from mahavishnu.cli.render import print_json, print_line, progress
from mahavishnu.errors import UsageError

if TYPE_CHECKING:
    from mahavishnu.knowledge.ingest import Ingested

MAX_NAMED = 5  # skipped files of one reason; --json names all


@click.group("import")
def import_() -> None:
    """Bring documents and histories in; again and again, storing only what changed."""


@import_.command("markdown")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--project", metavar="NAME", help="The repository's, or the folder's name by default."
)
@click.option("--yes", is_flag=True, help="Do not ask before forgetting most of a source.")
@json_option
@asynchronous
async def import_markdown(folder: Path, project: str | None, yes: bool, as_json: bool) -> None:
    """Remember the sections of all Markdown files below FOLDER."""
    async with opened_app() as app:

        async def bring_in(*, forget_most: bool) -> "Ingested":
            with progress("Importing sections", quiet=as_json) as advance:
                return await app.ingestion.import_markdown(
                    folder, project=project, forget_most=forget_most, progress=advance
                )

        try:
            outcome = await bring_in(forget_most=yes)
        except UsageError as error:
            may_ask = sys.stdin.isatty() and not as_json
            if error.code != "import.forgets_most" or not may_ask:
                raise
            if not confirm(f"{error.message} Forget them?"):
                raise
            outcome = await bring_in(forget_most=True)
    _print_ingested(outcome, as_json=as_json)


@import_.command("git")
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="The repository's own by default.")
@json_option
@asynchronous
async def import_git(repository: Path, project: str | None, as_json: bool) -> None:
    """Remember the commits of REPOSITORY that are not remembered yet."""
    async with opened_app() as app:
        with progress("Importing commits", quiet=as_json) as advance:
            outcome = await app.ingestion.import_history(
                repository, project=project, progress=advance
            )
    _print_ingested(outcome, as_json=as_json)


def _print_ingested(outcome: "Ingested", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"source": outcome.source, "project": outcome.project, "seen": outcome.seen,
             "stored": outcome.stored, "changed": outcome.changed, "removed": outcome.removed,
             "unchanged": outcome.unchanged, "waiting": outcome.waiting,
             "skipped": dict(outcome.skipped),
             "skipped_files": [{"path": f.path, "reason": f.reason} for f in outcome.skipped_files]}
        )  # fmt: skip
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
