"""`mahavishnu memory search`: the question, its bounds, and the hits."""

from typing import TYPE_CHECKING, Any

import click

from mahavishnu.cli.options import (
    asynchronous,
    filter_options,
    json_option,
    opened_app,
)
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
    from mahavishnu.memory.models import SearchResult


@click.command()
@click.argument("query")
@click.option("--mode", default="hybrid", show_default=True, help="hybrid, vector or text.")
@click.option("--limit", default=10, show_default=True, help="Most hits.")
@click.option("--threshold", type=float, help="Least cosine similarity of the vector arm.")
@click.option("--max-tokens", type=int, help="Bound on all contents together.")
@click.option("--tier", "tiers", multiple=True, help="cold (the default), hot, development or all.")
@click.option("--explain", is_flag=True, help="Show each arm's score and rank.")
@filter_options
@json_option
@asynchronous
async def search(
    query: str,
    mode: str,
    limit: int,
    threshold: float | None,
    max_tokens: int | None,
    tiers: tuple[str, ...],
    explain: bool,
    as_json: bool,
    **narrowing: Any,
) -> None:
    """Find the memories that answer QUERY, best first."""
    from mahavishnu.memory.checks import unknown_value  # noqa: PLC0415
    from mahavishnu.memory.models import MODES  # noqa: PLC0415
    from mahavishnu.memory.search import TIERS, SearchRequest, check_request  # noqa: PLC0415
    from mahavishnu.operations.requests import Where  # noqa: PLC0415

    if mode not in MODES:
        raise unknown_value("mode", mode, MODES)
    for tier in tiers:
        if tier not in TIERS:
            raise unknown_value("tier", tier, TIERS)
    request = SearchRequest(
        query=query,
        mode=mode,  # type: ignore[arg-type]
        wanted=Where(**narrowing).filter(),
        limit=limit,
        threshold=threshold,
        max_tokens=max_tokens,
        tiers=tiers,
    )
    check_request(request)
    async with opened_app() as app:
        result = await app.search(request)
    if as_json:
        print_json(_result_body(result, explain=explain))
    else:
        _print_result(result, explain=explain)


def _result_body(result: "SearchResult", *, explain: bool) -> dict[str, Any]:
    from mahavishnu.operations.bodies import hit_body  # noqa: PLC0415

    body: dict[str, Any] = {
        "query": result.query,
        "mode": result.mode,
        "degraded": [{"part": d.part, "reason": d.reason} for d in result.degraded],
        "hits": [hit_body(hit) for hit in result.hits],
    }
    if explain:
        body["explanation"] = dict(result.explanation)
    return body


def _print_result(result: "SearchResult", *, explain: bool) -> None:
    for part in result.degraded:
        click.echo(printable(f"Degraded ({part.part}): {part.reason}"), err=True)
    if not result.hits:
        print_line("Nothing found.")
        return
    columns = ["id", "score", "type", "project", "when", "content"]
    if explain:
        columns.insert(2, "arms")
    rows = []
    for hit in result.hits:
        found = hit.memory
        row = [
            shown(found.id), f"{hit.score:.3f}", found.memory_type, found.project or "",
            local_time(found.occurred_at), excerpt(found.content, start=hit.char_start or 0),
        ]  # fmt: skip
        if explain:
            row.insert(
                2,
                "\n".join(
                    f"{name} #{arm.rank or '-'} {arm.score:.3f} → {arm.contribution:.3f}"
                    for name, arm in hit.arms.items()
                ),
            )
        rows.append(row)
    print_table(columns, rows)
    if explain:
        for name, value in result.explanation.items():
            print_line(f"{name}: {' '.join(value) if isinstance(value, list) else value}")
