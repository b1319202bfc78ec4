"""`mahavishnu workflow record` where not one run is recorded but all that a program reports."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from mahavishnu.cli.options import asynchronous, load_quietly, opened_app
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.errors import UsageError

# What describes one run, by the option or argument that gives it.
NEEDED = {
    "execution_id": "EXECUTION", "workflow_id": "--workflow", "adapter": "--adapter",
    "status": "--status", "started_at": "--started-at",
}  # fmt: skip


def lines_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options for what a program reports."""
    options = [
        click.option("--lines", is_flag=True, help="Record runs reported on stdin, a JSON object a line."),
        click.option("--crashed-at-end", is_flag=True,
                     help="With --lines: at the end of stdin, runs that have not ended have crashed."),
        click.option("--log", "to_log", is_flag=True,
                     help="With --lines: write notes to recorder.log in the state folder, not to stderr."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def one_or_lines(one: Callable[..., None]) -> Callable[..., None]:
    """Record lines where that is asked for, else the `one` run, which needs its options then."""

    @functools.wraps(one)
    def run(lines: bool, crashed_at_end: bool, to_log: bool, **fields: Any) -> None:
        if lines:
            _refuse_others(fields)
            record_all(crashed_at_end, to_log, as_json=fields["as_json"])
            return
        missing = [said for name, said in NEEDED.items() if fields.get(name) is None]
        if missing:
            raise UsageError(
                f"A run needs {', '.join(missing)}.",
                hint="See: mahavishnu workflow record --help",
            )
        one(**fields)

    return run


def _refuse_others(fields: dict[str, Any]) -> None:
    given = [name for name, value in fields.items() if value and name != "as_json"]
    if given:
        raise UsageError(
            f"With --lines a run is described on its line; leave out {', '.join(sorted(given))}."
        )


@asynchronous
async def record_all(crashed_at_end: bool, to_log: bool, *, as_json: bool) -> None:
    """Record all lines of stdin."""
    if to_log:
        from mahavishnu.server.log_file import open_log  # noqa: PLC0415 - only here

        os.dup2(open_log(load_quietly().locations.recorder_log), sys.stderr.fileno())
    from mahavishnu.operations.record_lines import Lines, record_lines  # noqa: PLC0415 - after option errors

    done = await record_lines(Lines(sys.stdin.buffer, crashed_at_end=crashed_at_end), opened_app)
    if as_json:
        print_json(done)
    else:
        print_line(f"Recorded {done.recorded}; {done.crashed} crashed, {done.failed} refused.")
