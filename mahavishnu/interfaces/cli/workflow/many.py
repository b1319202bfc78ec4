"""Run a command for each of several repositories, and show how they ended."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.extras import require_prefect
from mahavishnu.base.identifiers import new_id
from mahavishnu.interfaces.cli.options import load_quietly, opened_app
from mahavishnu.interfaces.cli.render import excerpt, print_table, printable
from mahavishnu.operations.runners import Ended, Job, held_lifeline, run_jobs

if TYPE_CHECKING:
    from mahavishnu.knowledge.repositories import Repository

AT_ONCE = 4
RUNNERS = ("local", "prefect")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ourselves() -> tuple[str, ...]:
    """Return the words that call this command again, with its `--set`."""
    flags = click.get_current_context().find_root().obj or {}
    words = (sys.executable, "-P", "-m", "mahavishnu")
    return (*words, *(word for item in flags.items() for word in ("--set", "=".join(item))))


async def select_repositories(names: Sequence[str], group: str | None) -> "list[Repository]":
    """Return the known repositories of these names and of the group; all where neither is given."""
    async with opened_app() as app:
        return await app.repositories.select(names=names, group=group)


async def run_for_each(
    workflow: str,
    repositories: "Sequence[Repository]",
    command: "Callable[[Repository], Sequence[str]]",
    *,
    runner: str,
    at_once: int = AT_ONCE,
    retries: int = 0,
) -> int:
    """
    Run for each repository what `command` gives: options of `workflow run`, `--` and a command.

    Returns 0 if all succeeded, 128 and the signal where one stopped them, else 1.
    """
    if runner == "prefect":
        require_prefect(enabled=load_quietly().settings.adapters.prefect)
    width = max((len(each.name) for each in repositories), default=0)
    with held_lifeline() as (lifeline, cut), _signals(cut) as received:
        ours = (*ourselves(), "workflow", "run", workflow, "--lifeline", str(lifeline))
        jobs = [
            Job(each.name, (*ours, "--label", each.name.ljust(width), "--repo", each.name,
                            "--id", str(new_id()), *command(each)), lifeline)
            for each in repositories
        ]  # fmt: skip
        ended = await run_jobs(workflow, jobs, runner=runner, at_once=at_once, retries=retries)
    print_table(["repository", "status", "exit code", "s"], list(map(_row, ended)))
    return _exit_code(received, succeeded=all(each.code == 0 for each in ended))


async def run_deployment(
    name: str, repositories: "Sequence[Repository]", *, project: str | None
) -> int:
    """Start a deployment of Prefect once for each repository; returns an exit code as `run_for_each`."""
    from mahavishnu.operations import prefect  # noqa: PLC0415 - loads the driver

    stop, names = asyncio.Event(), [each.name for each in repositories]
    async with opened_app() as app:
        with _signals(stop.set) as received:
            ended = await prefect.run_deployment(
                app, name, names, project=project, stop=stop, on_unavailable=print_not_recorded
            )
    rows = [
        [each, run.status, excerpt((run.error or "").rpartition("\n")[2]), run.metadata["run_name"]]
        for each, run in sorted(ended.items())
    ]
    print_table(["repository", "status", "error", "run"], rows)
    succeeded = all(name in ended and ended[name].status == "completed" for name in names)
    return _exit_code(received, succeeded=succeeded)


def print_not_recorded(error: Unavailable, prefix: str = "") -> None:
    """Say that a run is not recorded, and why."""
    click.echo(printable(f"{prefix}Not recorded: {error.message}"), err=True)


def _exit_code(received: list[int], *, succeeded: bool) -> int:
    return 128 + received[0] if received else int(not succeeded)


def _row(ended: Ended) -> list[str]:
    if ended.code is None:
        return [ended.name, "not started", "", ""]
    status = "cancelled" if ended.stopped else "failed" if ended.code else "completed"
    return [ended.name, status, str(ended.code), f"{ended.took_s:,.2f}"]


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Let signals call `stop`; yields those that came."""
    received: list[int] = []

    def note(number: int) -> None:
        received.append(number)
        stop()

    loop = asyncio.get_running_loop()
    for each in STOPPING:
        loop.add_signal_handler(each, note, each)
    try:
        yield received
    finally:
        for each in STOPPING:
            loop.remove_signal_handler(each)
