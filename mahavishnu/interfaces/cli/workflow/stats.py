"""`mahavishnu workflow stats`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.options import since_option
from mahavishnu.interfaces.cli.render import local_time, print_table
from mahavishnu.interfaces.cli.workflow.runs import NOTHING, spell_seconds

if TYPE_CHECKING:
    from mahavishnu.operations.workflow_requests import WorkflowCountsAnswer


def _show(answer: "WorkflowCountsAnswer") -> None:
    columns = ["workflow", "adapter", "runs", "completed", "failed", "cancelled", "crashed",
               "median s", "p95 s", "last"]  # fmt: skip
    rows = [
        [each.workflow_id, each.adapter, *map(str, (each.runs, each.completed, each.failed,
         each.cancelled, each.crashed)), spell_seconds(each.median_s), spell_seconds(each.p95_s),
         f"{each.last_status}, {local_time(each.last_started_at)}"]
        for each in answer.workflows
    ]  # fmt: skip
    print_table(columns, rows, empty=NOTHING)


@click.command()
@since_option
@click.option("--limit", default=100, show_default=True, help="Most workflows.")
@asks("workflow_stats", _show, max_tokens=None)
def stats() -> None:
    """Count runs by workflow: how they ended, and how long they took."""
