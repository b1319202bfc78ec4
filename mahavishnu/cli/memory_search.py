"""`mahavishnu memory search`: the question, its bounds, and the hits."""

from typing import TYPE_CHECKING, Any

import click

from mahavishnu.cli.asking import ask
from mahavishnu.cli.options import asynchronous, filter_options, json_option
from mahavishnu.cli.render import (
    excerpt,
    local_time,
    print_json,
    print_line,
    print_table,
    printable,
)
from mahavishnu.identifiers import shown

if TYPE_CHECKING:
    from mahavishnu.operations.results import SearchAnswer


@click.command()
@click.argument("query")
@click.option("--mode", default="hybrid", show_default=True, help="hybrid, vector or text.")
@click.option("--limit", default=10, show_default=True, help="Most hits.")
@click.option("--threshold", type=float, help="Least cosine similarity of the vector arm.")
@click.option("--max-tokens", type=int, help="Bound on the whole answer, 800 or more.")
@click.option("--tier", "tiers", multiple=True, help="cold (the default), hot, development or all.")
@click.option("--explain", is_flag=True, help="Show each arm's score and rank.")
@filter_options
@json_option
@asynchronous
async def search(as_json: bool, **fields: Any) -> None:
    """Find the memories that answer QUERY, best first."""
    answer: SearchAnswer = await ask("search", **fields)
    if as_json:
        print_json(answer)
    else:
        print_answer(answer)


def print_answer(answer: "SearchAnswer") -> None:
    """Print hits for people, and what was missing."""
    for part in answer.degraded:
        advice = "; run: mahavishnu memory embed" if part.waiting else ""
        click.echo(printable(f"Degraded ({part.part}): {part.reason}{advice}"), err=True)
    if answer.omitted:
        click.echo(f"{answer.omitted} more did not fit --max-tokens.", err=True)
    if not answer.hits:
        print_line("Nothing found.")
        return
    explanation = answer.explanation
    columns = ["id", "score", "type", "project", "when", "content"]
    if explanation is not None:
        columns.insert(2, "arms")
    rows = []
    for hit in answer.hits:
        row = [
            shown(hit.id), f"{hit.score:.3f}", hit.memory_type, hit.project or "",
            local_time(hit.occurred_at), excerpt(hit.content, start=hit.char_start or 0),
        ]  # fmt: skip
        if explanation is not None:
            row.insert(
                2,
                "\n".join(
                    f"{name} #{arm.rank or '-'} {arm.score:.3f} → {arm.contribution:.3f}"
                    for name, arm in hit.arms.items()
                ),
            )
        rows.append(row)
    print_table(columns, rows)
    for name, value in (explanation or {}).items():
        print_line(f"{name}: {' '.join(value) if isinstance(value, list) else value}")
