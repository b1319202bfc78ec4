"""`mahavishnu workflow list`, `search`, `show` and `stats`: runs that were recorded."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from mahavishnu.base.durations import spell_duration
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import add_options, answers, parameter
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table, printable

if TYPE_CHECKING:
    from mahavishnu.operations.workflow_requests import (
        FoundExecution,
        RelatedMemory,
        WorkflowAnswer,
        WorkflowCountsAnswer,
    )


def narrowing[F: Callable[..., Any]](function: F) -> F:
    """Add the options that say which runs are meant."""
    return add_options(
        function,
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
    )  # fmt: skip


def _show_runs(answer: "WorkflowAnswer") -> None:
    for part in answer.degraded:
        click.echo(printable(f"Degraded ({part.part}): {part.reason}"), err=True)
    if parameter("with_context") and answer.executions:
        print_line("\n\n".join(map(_describe, answer.executions)))
        return
    rows = [
        [shown(each.id), local_time(each.finished_at or each.started_at), each.workflow_id,
         each.status, ", ".join(each.repositories), _seconds(each.duration_s),
         excerpt(each.error or "")]
        for each in answer.executions
    ]  # fmt: skip
    _print_rows(["id", "when", "workflow", "status", "repositories", "s", "error"], rows)


@click.command(name="list")
@narrowing
@answers(_show_runs)
async def list_runs(**wanted: Any) -> Struct:
    """List runs, the newest first."""
    return await ask("search_workflows", max_tokens=None, **wanted)


@click.command()
@click.argument("query")
@narrowing
@answers(_show_runs)
async def search(query: str, **wanted: Any) -> Struct:
    """
    Find the runs that QUERY is about, best first.

    For example: mahavishnu workflow search "why do deployments fail" --repo shop --since 7d --with-context
    """
    return await ask("search_workflows", max_tokens=None, query=query, **wanted)


def _show_details(found: Struct) -> None:
    for name, value in msgspec.to_builtins(found).items():
        print_line(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


@click.command()
@click.argument("run_id", metavar="RUN")
@answers(_show_details)
async def show(run_id: str) -> Struct:
    """Show everything about RUN, by its id here or in its adapter."""
    return await ask("get_execution", id=run_id, max_tokens=None)


def _show_stats(answer: "WorkflowCountsAnswer") -> None:
    columns = ["workflow", "adapter", "runs", "completed", "failed", "cancelled", "crashed",
               "median s", "p95 s", "last"]  # fmt: skip
    rows = [
        [each.workflow_id, each.adapter, *map(str, (each.runs, each.completed, each.failed,
         each.cancelled, each.crashed)), _seconds(each.median_s), _seconds(each.p95_s),
         f"{each.last_status}, {local_time(each.last_started_at)}"]
        for each in answer.workflows
    ]  # fmt: skip
    _print_rows(columns, rows)


@click.command()
@click.option("--since", metavar="WHEN", help="7d, 12h, 2w, or a date.")
@click.option("--limit", default=100, show_default=True, help="Most workflows.")
@answers(_show_stats)
async def stats(**wanted: Any) -> Struct:
    """Count runs by workflow: how they ended, and how long they took."""
    return await ask("workflow_stats", max_tokens=None, **wanted)


def _describe(run: "FoundExecution") -> str:
    """Return a run as a paragraph: what became of it, why, and what was said and committed since."""
    took = (
        ""
        if run.duration_s is None
        else f" after {spell_duration(timedelta(seconds=run.duration_s))}"
    )
    on = f" on {', '.join(run.repositories)}" if run.repositories else ""
    when = local_time(run.finished_at or run.started_at)
    lines = [f"{when}  {run.workflow_id} ({run.adapter}) {run.status}{took}{on}  [{shown(run.id)}]"]
    if run.error:
        lines.append(f"  {excerpt(run.error)}")
    since = [
        f"    {local_time(each.occurred_at)}  {_origin(each)}: {_opening(each)}  [{shown(each.id)}]"
        for each in run.context
    ]
    return "\n".join(
        [*lines, "  Since then:" if since else "  Nothing about it since then.", *since]
    )


def _opening(related: "RelatedMemory") -> str:
    """Return a line of what was said; of a commit its subject, without the paths."""
    said = related.content.partition("\n\n")[0] if related.commit else related.content
    return excerpt(said, width=100)


def _origin(related: "RelatedMemory") -> str:
    """Return where a memory is from: a commit, a session, or the system that stored it."""
    if related.commit:
        place = f"commit {related.commit[:10]}"
    elif related.collection == "conversation":
        place = f"session {related.session_id}"
    else:
        place = f"{related.collection} of {related.source_system}"
    return f"{place}, {related.speaker}" if related.speaker else place


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print_table(columns, rows)
    else:
        print_line("Nothing found.")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
