"""A bar on stderr that shows how far work is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LEFT = (TextColumn("{task.fields[about]}"), TimeRemainingColumn(), TextColumn("left"))


@contextmanager
def opened_bar(label: str, *, in_bytes: bool, about: bool) -> Iterator[Callable[..., None]]:
    """Show the bar; yields what advances it, as `render.progress` does."""
    done = () if about else (DownloadColumn() if in_bytes else MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *done, TimeElapsedColumn())
    with Progress(
        *columns, *(_LEFT if about else ()), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(label, total=None, about="")
        yield lambda count, total=None, about="": bar.update(
            task, advance=count, total=total, about=about
        )
