"""Hits of a search, for people."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.render import (
    excerpt,
    local_time,
    print_line,
    print_table,
    printable,
)
from mahavishnu.operations.results import SearchAnswer


def print_answer(answer: SearchAnswer) -> None:
    """Print hits for people, and what was missing."""
    print_hits(
        answer,
        ("id", "score", "type", "project", "when", "content"),
        lambda hit: (
            shown(hit.id), f"{hit.score:.3f}", hit.memory_type, hit.project or "",
            local_time(hit.occurred_at), excerpt(hit.content, start=hit.char_start or 0),
        ),
    )  # fmt: skip


def print_hits(
    answer: SearchAnswer, columns: Sequence[str], row: Callable[[Any], Sequence[str]]
) -> None:
    """Print a table of hits, with each arm's part behind the score where that was asked for."""
    for part in answer.degraded:
        advice = "; run: mahavishnu memory embed" if part.waiting else ""
        click.echo(printable(f"Degraded ({part.part}): {part.reason}{advice}"), err=True)
    if answer.omitted:
        click.echo(f"{answer.omitted} more did not fit --max-tokens.", err=True)
    if not answer.hits:
        print_line("Nothing found.")
        return
    rows = [list(row(hit)) for hit in answer.hits]
    columns = list(columns)
    if answer.explanation is not None:
        place = columns.index("score") + 1
        columns.insert(place, "arms")
        for hit, cells in zip(answer.hits, rows, strict=True):
            arms = [
                f"{name} #{arm.rank or '-'} {arm.score:.3f} → {arm.contribution:.3f}"
                for name, arm in hit.arms.items()
            ]
            cells.insert(place, "\n".join(arms))
    print_table(columns, rows)
    for name, value in (answer.explanation or {}).items():
        print_line(f"{name}: {' '.join(value) if isinstance(value, list) else value}")
