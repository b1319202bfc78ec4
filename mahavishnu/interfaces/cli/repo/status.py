"""`mahavishnu repo status`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import local_time, print_line

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import RepositoryList


def _show(found: "RepositoryList") -> None:
    for each in found.repositories:
        print_line(f"{each.name}  {each.path}")
        counts = f"{each.files:,} files, {each.chunks:,} chunks, {each.waiting:,} without vectors"
        print_line(f"  {counts}")
        run = each.last_run
        if run is None:
            print_line(f"  never read: mahavishnu repo ingest {each.name}")
            continue
        ended = f", ended {local_time(run.finished_at)}" if run.finished_at else ""
        print_line(f"  {run.status}, begun {local_time(run.started_at)}{ended}")
        if run.error:
            print_line(f"  {run.error}")
        if run.skipped:
            print_line(f"  not read: {reasons_of(run.skipped)}")


def reasons_of(skipped: dict[str, int]) -> str:
    """Return how many files were not read, by reason."""
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--group", metavar="NAME", help="Those of a group.")
@asks("list_repositories", _show, max_tokens=None)
def status() -> None:
    """Show how much is stored of repositories, and how their latest runs went."""
