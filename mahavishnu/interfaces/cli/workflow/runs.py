"""Which runs are meant, and how they are shown."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from mahavishnu.base.durations import spell_duration
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.options import add_options, parameter, since_option, until_option
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table, printable

if TYPE_CHECKING:
    from mahavishnu.operations.workflow_requests import (
        FoundExecution,
        RelatedMemory,
        WorkflowAnswer,
    )


NOTHING = "Nothing found."


def narrowing[F: Callable[..., Any]](function: F) -> F:
    """Add the options that say which runs are meant."""
    return add_options(
        function,
        click.option("--workflow", "workflow_id", metavar="ID", help="Only this workflow."),
        click.option("--repo", "repository", metavar="ID", help="Only runs on this repository."),
        click.option("--status", metavar="STATUS", help="Only runs that are or ended so, such as failed."),
        click.option("--adapter", metavar="NAME", help="Only of this adapter, such as prefect."),
        click.option("--project", metavar="NAME", help="Only of this project."),
        since_option,
        until_option,
        click.option("--limit", default=10, show_default=True, help="Most runs."),
        click.option("--with-context", is_flag=True,
                     help="Add what was said and committed about each run afterwards."),
    )  # fmt: skip


def show_runs(answer: "WorkflowAnswer") -> None:
    """Print runs as a table, or with what is known since, each as a paragraph."""
    for part in answer.degraded:
        click.echo(printable(f"Degraded ({part.part}): {part.reason}"), err=True)
    if parameter("with_context") and answer.executions:
        print_line("\n\n".join(map(_describe, answer.executions)))
        return
    rows = [
        [shown(each.id), local_time(each.finished_at or each.started_at), each.workflow_id,
         each.status, ", ".join(each.repositories), spell_seconds(each.duration_s),
         excerpt(each.error or "")]
        for each in answer.executions
    ]  # fmt: skip
    columns = ("id", "when", "workflow", "status", "repositories", "s", "error")
    print_table(columns, rows, empty=NOTHING)


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


def spell_seconds(value: float | None) -> str:
    """Return a duration in seconds, if it is known."""
    return "" if value is None else f"{value:,.2f}"
