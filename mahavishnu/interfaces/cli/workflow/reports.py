"""Record many runs: those that a program reports on stdin, or that a Prefect server ran."""

import contextlib
import os
import sys

import click

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.extras import require_prefect
from mahavishnu.daemon.log_file import open_log
from mahavishnu.interfaces.cli.options import load_quietly, opened_app, parameter
from mahavishnu.interfaces.cli.render import local_time, print_line, printable
from mahavishnu.memory.records import NewExecution
from mahavishnu.operations.moments import read_moment
from mahavishnu.operations.prefect import RecordedRuns, record_server
from mahavishnu.operations.record_lines import Lines, RecordedLines, record_lines


async def record_stdin(crashed_at_end: bool, to_log: bool) -> RecordedLines:
    """Record all lines of stdin; `to_log` writes notes to the log of the recorder."""
    if to_log:
        log = load_quietly().locations.recorder_log
        with contextlib.suppress(OSError):  # a full disk: runs are recorded all the same
            os.dup2(open_log(log), sys.stderr.fileno())
    lines = Lines(sys.stdin.buffer, crashed_at_end=crashed_at_end)
    return await record_lines(lines, lambda: opened_app(required=False))


async def record_server_runs(
    url: str, since: str, follow: bool, *, repositories: tuple[str, ...], project: str | None
) -> RecordedRuns:
    """Record what a Prefect server ran; each run is a line where they are followed."""
    if follow and parameter("as_json"):
        raise UsageError("--follow does not end, so it has no JSON.", hint="Leave out one of them.")
    begin = read_moment(since, what="--since")
    require_prefect(enabled=load_quietly().settings.adapters.prefect)  # before a database is opened
    async with opened_app() as app:
        return await record_server(
            app, url, since=begin, follow=follow, project=project, repositories=repositories,
            on_recorded=_print_recorded if follow else lambda _: None, on_lost=_print_lost,
        )  # fmt: skip


def _print_recorded(new: NewExecution) -> None:
    when = local_time(new.finished_at or new.started_at)
    print_line(f"{when}  {new.workflow_id}  {new.status}")
    sys.stdout.flush()


def _print_lost(error: MahavishnuError) -> None:
    click.echo(printable(f"{error.message} Trying again."), err=True)
