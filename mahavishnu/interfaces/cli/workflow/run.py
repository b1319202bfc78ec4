"""`mahavishnu workflow run`: a command, recorded as one execution, or as one for each of several repositories."""

import contextlib
import functools
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.interfaces.cli.options import (
    asynchronous,
    metadata_option,
    opened_app,
    project_option,
)
from mahavishnu.interfaces.cli.workflow.command import Command
from mahavishnu.interfaces.cli.workflow.many import (
    AT_ONCE,
    RUNNERS,
    print_not_recorded,
    run_deployment,
    run_for_each,
    select_repositories,
)

if TYPE_CHECKING:
    from mahavishnu.memory.records import ExecutionStatus

ADAPTER = "command"


class Wrapper(click.Command):
    """A command whose words after `--` are a command of the user's, in `context.obj`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what is before the first `--`."""
        end = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Name the command in the line of usage."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


@click.command(cls=Wrapper)
@click.argument("name", required=False)
@click.option("--repo", "repositories", multiple=True, metavar="ID",
              help="Repository it works on; repeatable.")  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path), help="Folder to run it in.")
@click.option("--id", "execution_id", metavar="ID",
              help="Record it as this execution; the same again is another attempt.")  # fmt: skip
@click.option("--repos", "names", metavar="A,B", help="Run it in each of these known repositories.")
@click.option("--group", metavar="NAME", help="Run it in each repository of a group.")
@click.option("--runner", type=click.Choice(RUNNERS), default="local", show_default=True,
              help="With --repos or --group: what runs several at once.")  # fmt: skip
@click.option("--jobs", "at_once", type=click.IntRange(1, 1000), default=AT_ONCE, show_default=True,
              help="With --repos or --group: most at once.")  # fmt: skip
@click.option("--retries", type=click.IntRange(0, 100), default=0,
              help="With --runner prefect: how often one that fails is run again.")  # fmt: skip
@click.option("--deployment", metavar="FLOW/NAME",
              help="Instead of a command: start this deployment of Prefect for each repository.")  # fmt: skip
@project_option
@metadata_option
@click.option("--label", hidden=True, default="")
@click.option("--lifeline", hidden=True, type=click.Path(path_type=Path))
@click.pass_obj
def run(
    words: tuple[str, ...], /, name: str | None, names: str | None, group: str | None,
    deployment: str | None, **fields: Any,
) -> None:  # fmt: skip
    """
    Run COMMAND and record it as an execution of the workflow NAME, by default its program's name.

    For example: mahavishnu workflow run nightly --repo shop -- make report

    It has this terminal, and its exit code is that of this command. Of what it says on stderr the end is
    recorded if it fails. While the database cannot be reached it runs all the same, and its record waits in the spool.

    With --repos or --group it runs in the folder of each repository, several at once, each recorded for
    itself: mahavishnu workflow run tests --group backend -- make test
    """
    runner = {each: fields.pop(each) for each in ("runner", "at_once", "retries")}
    several = names is not None or group is not None
    _check(words, fields, runner, several=several, deployment=deployment)
    if several:
        sys.exit(_run_several(words, name, names or "", group, deployment, fields, runner))
    sys.exit(_run(words, name or Path(words[0]).name, **fields))


def _check(
    words: tuple[str, ...], fields: dict[str, Any], runner: dict[str, Any], *, several: bool,
    deployment: str | None,
) -> None:  # fmt: skip
    if deployment and (words or not several or fields["metadata"] or runner["runner"] != "local"):
        raise UsageError("--deployment goes with --repos or --group and --project alone.")
    if not (words or deployment):
        raise UsageError("No command is named.", hint="For example: -- make report")
    if several and (fields["repositories"] or fields["folder"] or fields["execution_id"]):
        raise UsageError("--repo, --folder and --id go with one run, without --repos and --group.")
    if runner["runner"] == "prefect" and not several:
        raise UsageError("--runner prefect goes with --repos or --group.")
    if runner["retries"] and runner["runner"] != "prefect":
        raise UsageError("Only Prefect runs a command again.", hint="Add --runner prefect.")


@asynchronous
async def _run_several(
    words: tuple[str, ...], name: str | None, names: str, group: str | None, deployment: str | None,
    fields: dict[str, Any], runner: dict[str, Any],
) -> int:  # fmt: skip
    wanted = [each.strip() for each in names.split(",") if each.strip()]
    if not wanted and group is None:
        raise UsageError("--repos names no repository.", hint="For example: --repos api,shop")
    repositories = await select_repositories(wanted, group)
    if deployment:
        return await run_deployment(deployment, repositories, project=fields["project"])
    project = ("--project", fields["project"]) if fields["project"] else ()
    metadata = ("--metadata", msgspec.json.encode(fields["metadata"]).decode())
    return await run_for_each(
        name or Path(words[0]).name, repositories,
        lambda each: ("--folder", str(each.path), *project, *metadata, "--", *words), **runner,
    )  # fmt: skip


@asynchronous
async def _run(
    words: tuple[str, ...], workflow: str, *, folder: Path | None, label: str, lifeline: Path | None,
    **fields: Any,
) -> int:  # fmt: skip
    from mahavishnu.memory.recording import Recording, record_run  # noqa: PLC0415 - loads the driver

    prefix = f"{label} | " if label else ""
    say_not_recorded = functools.partial(print_not_recorded, prefix=prefix)
    recording = Recording(execution_id="")
    async with contextlib.AsyncExitStack() as stack:
        try:
            app = await stack.enter_async_context(opened_app(required=False))
            fields |= {"adapter": ADAPTER, "on_unavailable": say_not_recorded}
            recording = await stack.enter_async_context(record_run(app.writes, workflow, **fields))
        except Unavailable as error:
            say_not_recorded(error)
        command = Command(words, folder=folder, prefix=prefix, lifeline=lifeline)
        code, tail = await command.run()
        recording.result = {"exit_code": code}
        if code:
            recording.status = _status_of(code, stopped=command.is_asked_to_end)
            recording.error = tail.strip() or f"It ended with exit code {code}."
    return code if code >= 0 else 128 - code


def _status_of(code: int, *, stopped: bool) -> "ExecutionStatus":
    if stopped or code in (-signal.SIGINT, -signal.SIGTERM):
        return "cancelled"
    return "crashed" if code < 0 else "failed"
