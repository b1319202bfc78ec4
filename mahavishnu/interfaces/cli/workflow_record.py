"""`mahavishnu workflow record` where many runs are recorded: those that a program reports, or a server ran."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.interfaces.cli.options import asynchronous, load_quietly, opened_app
from mahavishnu.interfaces.cli.render import local_time, print_json, print_line, printable
from mahavishnu.operations.moments import read_moment

if TYPE_CHECKING:
    from mahavishnu.memory.records import NewExecution

# What describes one run, by the option or argument that gives it.
NEEDED = {
    "execution_id": "EXECUTION", "workflow_id": "--workflow", "adapter": "--adapter",
    "status": "--status", "started_at": "--started-at",
}  # fmt: skip
OF_ALL = {"repositories", "project", "as_json"}  # what can be said of all runs of a server


def many_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options for many runs."""
    options = [
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
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def one_or_many(one: Callable[..., None]) -> Callable[..., None]:
    """Record many runs where that is asked for, else the `one` run, which needs its options then."""

    @functools.wraps(one)
    def run(
        lines: bool, crashed_at_end: bool, to_log: bool, server: str | None, since: str, follow: bool,
        **fields: Any,
    ) -> None:  # fmt: skip
        if server is not None:
            _refuse_others(fields, "--server", OF_ALL)
            of_all = {name: fields[name] for name in OF_ALL}
            record_server_runs(server, since=since, follow=follow, **of_all)
        elif lines:
            _refuse_others(fields, "--lines", {"as_json"})
            record_all_lines(crashed_at_end, to_log, as_json=fields["as_json"])
        else:
            missing = [said for name, said in NEEDED.items() if fields.get(name) is None]
            if missing:
                raise UsageError(
                    f"A run needs {', '.join(missing)}.",
                    hint="See: mahavishnu workflow record --help",
                )
            one(**fields)

    return run


def _refuse_others(fields: dict[str, Any], option: str, allowed: set[str]) -> None:
    given = [name for name, value in fields.items() if value and name not in allowed]
    if given:
        raise UsageError(f"With {option} no single run is described: leave out {', '.join(given)}.")


@asynchronous
async def record_all_lines(crashed_at_end: bool, to_log: bool, *, as_json: bool) -> None:
    """Record all lines of stdin."""
    if to_log:
        from mahavishnu.services.daemon.log_file import open_log  # noqa: PLC0415 - only here

        log = load_quietly().locations.recorder_log
        with contextlib.suppress(OSError):  # a full disk: runs are recorded all the same
            os.dup2(open_log(log), sys.stderr.fileno())
    from mahavishnu.operations.record_lines import Lines, record_lines  # noqa: PLC0415 - after option errors

    done = await record_lines(Lines(sys.stdin.buffer, crashed_at_end=crashed_at_end), opened_app)
    if as_json:
        print_json(done)
    else:
        print_line(f"Recorded {done.recorded}; {done.crashed} crashed, {done.failed} refused.")


@asynchronous
async def record_server_runs(
    url: str, *, since: str, follow: bool, repositories: tuple[str, ...], project: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Record what a Prefect server ran; each run is a line where they are followed."""
    if follow and as_json:
        raise UsageError("--follow does not end, so it has no JSON.", hint="Leave out one of them.")
    begin = read_moment(since, what="--since")
    from mahavishnu.operations.prefect import record_server, require_prefect  # noqa: PLC0415

    require_prefect(enabled=load_quietly().settings.adapters.prefect)  # before a database is opened
    async with opened_app() as app:
        done = await record_server(
            app, url, since=begin, follow=follow, project=project, repositories=repositories,
            on_recorded=_print_recorded if follow else lambda _: None, on_lost=_print_lost,
        )  # fmt: skip
    if as_json:
        print_json(done)
    else:
        print_line(f"Recorded {done.recorded}; {done.known} were known.")


def _print_recorded(new: "NewExecution") -> None:
    when = local_time(new.finished_at or new.started_at)
    print_line(f"{when}  {new.workflow_id}  {new.status}")
    sys.stdout.flush()


def _print_lost(error: MahavishnuError) -> None:
    click.echo(printable(f"{error.message} Trying again."), err=True)
