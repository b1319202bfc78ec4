"""`mahavishnu workflow record` where many runs are recorded: those that a program reports, or a server ran."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.options import add_options
from mahavishnu.interfaces.cli.render import print_line, print_recorded

# What describes one run, by the option or argument that gives it.
NEEDED = {
    "execution_id": "EXECUTION", "workflow_id": "--workflow", "adapter": "--adapter",
    "status": "--status", "started_at": "--started-at",
}  # fmt: skip
OF_ALL = ("repositories", "project")  # what can be said of all runs of a server


def many_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options for many runs."""
    return add_options(
        function,
        click.option("--lines", is_flag=True, help="Record runs reported on stdin, a JSON object a line."),
        click.option("--crashed-at-end", is_flag=True,
                     help="With --lines: at the end of stdin, runs that have not ended have crashed."),
        click.option("--log", "to_log", is_flag=True,
                     help="With --lines: write notes to recorder.log in the state folder, not to stderr."),
        click.option("--server", metavar="URL", help="Record the flow runs of this Prefect server."),
        click.option("--since", default="7d", show_default=True, metavar="WHEN",
                     help="With --server: those that ended since then, or run now."),
        click.option("--follow", is_flag=True,
                     help="With --server: go on with what happens there, until interrupted."),
    )  # fmt: skip


def one_or_many(
    one: Callable[..., Coroutine[Any, Any, Struct]],
) -> Callable[..., Coroutine[Any, Any, Struct]]:
    """Record many runs where that is asked for, else the `one` run, which needs its options then."""

    @functools.wraps(one)
    async def run(
        lines: bool, crashed_at_end: bool, to_log: bool, server: str | None, since: str, follow: bool,
        **fields: Any,
    ) -> Struct:  # fmt: skip
        if server is None and not lines:
            missing = [said for name, said in NEEDED.items() if fields.get(name) is None]
            if missing:
                raise UsageError(
                    f"A run needs {', '.join(missing)}.",
                    hint="See: mahavishnu workflow record --help",
                )
            return await one(**fields)
        _refuse_others(fields, "--lines" if server is None else "--server", server is not None)
        from mahavishnu.interfaces.cli import workflow_reports  # noqa: PLC0415 - after option errors

        if server is None:
            return await workflow_reports.record_stdin(crashed_at_end, to_log)
        of_all = {name: fields[name] for name in OF_ALL}
        return await workflow_reports.record_server_runs(server, since, follow, **of_all)

    return run


def _refuse_others(fields: dict[str, Any], option: str, many: bool) -> None:
    given = [name for name, value in fields.items() if value and not (many and name in OF_ALL)]
    if given:
        raise UsageError(f"With {option} no single run is described: leave out {', '.join(given)}.")


def print_done(done: Any) -> None:
    """Print what was recorded: a run, lines, or the runs of a server."""
    if hasattr(done, "id"):
        print_recorded(done)
    elif hasattr(done, "crashed"):
        print_line(f"Recorded {done.recorded}; {done.crashed} crashed, {done.failed} refused.")
    else:
        print_line(f"Recorded {done.recorded}; {done.known} were known.")
