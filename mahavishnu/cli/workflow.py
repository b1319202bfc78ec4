"""`mahavishnu workflow`: runs of workflows."""

import click

from mahavishnu.cli.options import (
    METADATA_HELP,
    asynchronous,
    json_option,
    opened_app,
    parse_metadata,
    parse_object,
)
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.identifiers import shown
from mahavishnu.operations.moments import parse_moment, read_moment


@click.group()
def workflow() -> None:
    """Record runs of workflows."""


@workflow.command()
@click.argument("execution_id", metavar="EXECUTION")
@click.option("--workflow", "workflow_id", required=True, metavar="ID", help="Workflow that runs.")
@click.option("--adapter", required=True, metavar="NAME", help="What runs it, such as prefect.")
@click.option(
    "--status",
    required=True,
    metavar="STATUS",
    help="pending, running, completed, failed, cancelled or crashed.",
)
@click.option("--started-at", required=True, metavar="WHEN", help="When; a retry starts later.")
@click.option("--finished-at", metavar="WHEN", help="When it ended.")
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="ID",
    help="Repository it worked on; repeatable.",
)
@click.option("--result", metavar="JSON", help="What it gave, as a JSON object.")
@click.option("--error", metavar="TEXT", help="What went wrong.")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@click.option("--metadata", multiple=True, metavar="K=V|JSON", help=f"Repeatable. {METADATA_HELP}")
@json_option
@asynchronous
async def record(
    execution_id: str,
    workflow_id: str,
    adapter: str,
    status: str,
    started_at: str,
    finished_at: str | None,
    repositories: tuple[str, ...],
    result: str | None,
    error: str | None,
    project: str | None,
    metadata: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """
    Record the run EXECUTION of a workflow, or what became of it.

    Record it again whenever its status changes. One that has ended is found by `memory search`.
    """
    from mahavishnu.memory.records import NewExecution  # noqa: PLC0415 - after option errors

    new = NewExecution(
        execution_id=execution_id,
        workflow_id=workflow_id,
        adapter=adapter,
        status=status,  # type: ignore[arg-type]  # checked where it is recorded
        started_at=read_moment(started_at, what="--started-at"),
        finished_at=parse_moment(finished_at, what="--finished-at"),
        repositories=repositories,
        result=None if result is None else parse_object(result, option="--result"),
        error=error,
        project=project,
        metadata=parse_metadata(metadata),
    )
    async with opened_app() as app:
        identifier = await app.records.record_execution(new)
    if as_json:
        print_json({"id": identifier})
        return
    print_line(f"Recorded {shown(identifier)}")
