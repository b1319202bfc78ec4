"""`mahavishnu workflow list`, `search`, `show` and `stats`: runs that were recorded."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from mahavishnu.cli.asking import ask
from mahavishnu.cli.options import asynchronous, json_option
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
    from mahavishnu.operations.workflow_requests import (
        ExecutionDetails,
        WorkflowAnswer,
        WorkflowCountsAnswer,
    )


def narrowing[F: Callable[..., Any]](function: F) -> F:
    """Add the options that say which runs are meant."""
    options = [
        click.option("--workflow", "workflow_id", metavar="ID", help="Only this workflow."),
        click.option("--repo", "repository", metavar="ID", help="Only runs on this repository."),
        click.option("--status", metavar="STATUS", help="Only runs that are or ended so, such as failed."),
        click.option("--adapter", metavar="NAME", help="Only of this adapter, such as prefect."),
        click.option("--project", metavar="NAME", help="Only of this project."),
        click.option("--since", metavar="WHEN", help="7d, 12h, 2w, or a date."),
        click.option("--until", metavar="WHEN", help="Before this; as --since."),
        click.option("--limit", default=10, show_default=True, help="Most runs."),
        click.option("--with-context", is_flag=True,
                     help="Add what was said and committed about each run afterwards."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command(name="list")
@narrowing
@json_option
@asynchronous
async def list_runs(as_json: bool, **wanted: Any) -> None:
    """List runs, the newest first."""
    _print_answer(await ask("search_workflows", max_tokens=None, **wanted), as_json=as_json)


@click.command()
@click.argument("query")
@narrowing
@json_option
@asynchronous
async def search(query: str, as_json: bool, **wanted: Any) -> None:
    """
    Find the runs that QUERY is about, best first.

    For example: mahavishnu workflow search "why do deployments fail" --repo shop --since 7d --with-context
    """
    _print_answer(
        await ask("search_workflows", max_tokens=None, query=query, **wanted), as_json=as_json
    )


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
@asynchronous
async def show(run_id: str, as_json: bool) -> None:
    """Show everything about RUN, by its id here or in its adapter."""
    found: ExecutionDetails = await ask("get_execution", id=run_id, max_tokens=None)
    if as_json:
        print_json(found)
        return
    for name, value in msgspec.to_builtins(found).items():
        print_line(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


@click.command()
@click.option("--since", metavar="WHEN", help="7d, 12h, 2w, or a date.")
@click.option("--limit", default=100, show_default=True, help="Most workflows.")
@json_option
@asynchronous
async def stats(as_json: bool, **wanted: Any) -> None:
    """Count runs by workflow: how they ended, and how long they took."""
    answer: WorkflowCountsAnswer = await ask("workflow_stats", max_tokens=None, **wanted)
    if as_json:
        print_json(answer)
        return
    columns = ["workflow", "adapter", "runs", "completed", "failed", "cancelled", "crashed",
               "median s", "p95 s", "last"]  # fmt: skip
    rows = [
        [each.workflow_id, each.adapter, *map(str, (each.runs, each.completed, each.failed,
         each.cancelled, each.crashed)), _seconds(each.median_s), _seconds(each.p95_s),
         f"{each.last_status}, {local_time(each.last_started_at)}"]
        for each in answer.workflows
    ]  # fmt: skip
    _print_rows(columns, rows)


def _print_answer(answer: "WorkflowAnswer", *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    for part in answer.degraded:
        click.echo(printable(f"Degraded ({part.part}): {part.reason}"), err=True)
    rows = []
    for each in answer.executions:
        rows.append(
            [shown(each.id), local_time(each.finished_at or each.started_at), each.workflow_id,
             each.status, ", ".join(each.repositories), _seconds(each.duration_s),
             excerpt(each.error or "")]
        )  # fmt: skip
        for said in each.context:
            about = f"{said.source_system} {(said.commit or said.session_id or '')[:8]}".strip()
            rows.append([f"  {shown(said.id)}", local_time(said.occurred_at), f"  {about}", "", "", "",
                         excerpt(said.content)])  # fmt: skip
    _print_rows(["id", "when", "workflow", "status", "repositories", "s", "error, context"], rows)


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print_table(columns, rows)
    else:
        print_line("Nothing found.")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
