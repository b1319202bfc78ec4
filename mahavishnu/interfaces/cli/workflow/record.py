"""`mahavishnu workflow record`: one run, or many that a program reports or a server ran."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import (
    answers,
    metadata_option,
    project_option,
    read_object,
    read_time,
)
from mahavishnu.interfaces.cli.render import print_line, print_recorded

# What describes one run, by the option or argument that gives it.
NEEDED = {
    "execution_id": "EXECUTION", "workflow_id": "--workflow", "adapter": "--adapter",
    "status": "--status", "started_at": "--started-at",
}  # fmt: skip
OF_ALL = ("repositories", "project")  # what can be said of all runs of a server


def _show(done: Any) -> None:
    """Print what was recorded: a run, lines, or the runs of a server."""
    if hasattr(done, "id"):
        print_recorded(done)
    elif hasattr(done, "crashed"):
        print_line(f"Recorded {done.recorded}; {done.crashed} crashed, {done.failed} refused.")
    else:
        print_line(f"Recorded {done.recorded}; {done.known} were known.")


@click.command()
@click.argument("execution_id", metavar="[EXECUTION]", required=False)
@click.option("--lines", is_flag=True, help="Record runs reported on stdin, a JSON object a line.")
@click.option("--crashed-at-end", is_flag=True,
              help="With --lines: at the end of stdin, runs that have not ended have crashed.")  # fmt: skip
@click.option("--log", "to_log", is_flag=True,
              help="With --lines: write notes to recorder.log in the state folder, not to stderr.")  # fmt: skip
@click.option("--server", metavar="URL", help="Record the flow runs of this Prefect server.")
@click.option("--since", default="7d", show_default=True, metavar="WHEN",
              help="With --server: those that ended since then, or run now.")  # fmt: skip
@click.option("--follow", is_flag=True,
              help="With --server: go on with what happens there, until interrupted.")  # fmt: skip
@click.option("--workflow", "workflow_id", metavar="ID", help="Workflow that runs.")
@click.option("--adapter", metavar="NAME", help="What runs it, such as prefect.")
@click.option(
    "--status", metavar="STATUS", help="pending, running, completed, failed, cancelled or crashed."
)
@click.option("--started-at", metavar="WHEN", callback=read_time,
              help="When; a retry starts later.")  # fmt: skip
@click.option("--finished-at", metavar="WHEN", callback=read_time, help="When it ended.")
@click.option("--repo", "repositories", multiple=True, metavar="ID",
              help="Repository it worked on; repeatable.")  # fmt: skip
@click.option("--result", metavar="JSON", callback=read_object,
              help="What it gave, as a JSON object.")  # fmt: skip
@click.option("--error", metavar="TEXT", help="What went wrong.")
@project_option
@metadata_option
@answers(_show)
async def record(
    lines: bool, crashed_at_end: bool, to_log: bool, server: str | None, since: str, follow: bool,
    **fields: Any,
) -> Struct:  # fmt: skip
    """
    Record the run EXECUTION of a workflow, or what became of it.

    Record it again whenever its status changes. One that has ended is found by `memory search`. It needs
    --workflow, --adapter, --status and --started-at.

    With --lines, record what a program reports on stdin: on each line an object with the fields of
    the operation `record_execution`. With --server, record the flow runs of a Prefect server; --repo and
    --project count for all of them.
    """
    if server is None and not lines:
        missing = [said for name, said in NEEDED.items() if fields.get(name) is None]
        if missing:
            raise UsageError(
                f"A run needs {', '.join(missing)}.", hint="See: mahavishnu workflow record --help"
            )
        return await ask("record_execution", **fields)
    _refuse_others(fields, "--lines" if server is None else "--server", server is not None)
    from mahavishnu.interfaces.cli.workflow import reports  # noqa: PLC0415 - after option errors

    if server is None:
        return await reports.record_stdin(crashed_at_end, to_log)
    of_all = {name: fields[name] for name in OF_ALL}
    return await reports.record_server_runs(server, since, follow, **of_all)


def _refuse_others(fields: dict[str, Any], option: str, many: bool) -> None:
    given = [name for name, value in fields.items() if value and not (many and name in OF_ALL)]
    if given:
        raise UsageError(f"With {option} no single run is described: leave out {', '.join(given)}.")
