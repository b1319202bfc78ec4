"""`mahavishnu workflow`: runs of workflows."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers, metadata_option, read_object, read_time
from mahavishnu.interfaces.cli.workflow_record import many_options, one_or_many, print_done
from mahavishnu.interfaces.cli.workflow_run import run
from mahavishnu.interfaces.cli.workflow_show import list_runs, search, show, stats


@click.group()
def workflow() -> None:
    """Record and find runs of workflows."""


for command in (run, list_runs, search, show, stats):
    workflow.add_command(command)


@workflow.command()
@click.argument("execution_id", metavar="[EXECUTION]", required=False)
@many_options
@click.option("--workflow", "workflow_id", metavar="ID", help="Workflow that runs.")
@click.option("--adapter", metavar="NAME", help="What runs it, such as prefect.")
@click.option(
    "--status", metavar="STATUS", help="pending, running, completed, failed, cancelled or crashed."
)
@click.option("--started-at", metavar="WHEN", callback=read_time,
              help="When; a retry starts later.")  # fmt: skip
@click.option("--finished-at", metavar="WHEN", callback=read_time, help="When it ended.")
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="ID",
    help="Repository it worked on; repeatable.",
)
@click.option("--result", metavar="JSON", callback=read_object,
              help="What it gave, as a JSON object.")  # fmt: skip
@click.option("--error", metavar="TEXT", help="What went wrong.")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@metadata_option
@answers(print_done)
@one_or_many
async def record(**fields: Any) -> Struct:
    """
    Record the run EXECUTION of a workflow, or what became of it.

    Record it again whenever its status changes. One that has ended is found by `memory search`. It needs
    --workflow, --adapter, --status and --started-at.

    With --lines, record what a program reports on stdin: on each line an object with the fields of
    the operation `record_execution`. With --server, record the flow runs of a Prefect server; --repo and
    --project count for all of them.
    """
    return await ask("record_execution", **fields)
