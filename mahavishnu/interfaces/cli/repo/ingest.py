"""`mahavishnu repo ingest`."""

import sys
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.interfaces.cli.asking import ask, shown_progress
from mahavishnu.interfaces.cli.options import answers, parameter
from mahavishnu.interfaces.cli.render import print_line, printable
from mahavishnu.interfaces.cli.repo.status import reasons_of
from mahavishnu.interfaces.cli.workflow.many import (
    RUNNERS,
    ourselves,
    run_for_each,
    select_repositories,
)

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import IngestedRepository


def _print(done: "IngestedRepository") -> None:
    print_line(
        f"{done.name}: {done.documents_processed:,} files with {done.chunks_stored:,} chunks,"
        f" {done.new:,} of them new; {done.changed:,} files changed, {done.removed:,} gone"
    )
    if done.skipped:
        print_line(f"  not read: {reasons_of(done.skipped)}")
    if done.waiting:
        print_line(f"  without vectors: {done.waiting:,} chunks; run: mahavishnu memory embed")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are known.")
@click.option("--group", metavar="NAME", help="Those of a group.")
@click.option("--runner", type=click.Choice(RUNNERS),
              help="Run several at once, each in a process and recorded: here, or as tasks of Prefect.")  # fmt: skip
@answers(lambda _: None)
async def ingest(
    names: tuple[str, ...], everything: bool, group: str | None, runner: str | None
) -> tuple[Struct, int]:
    """Read repositories: store what changed, forget what is gone. One that fails stops no other."""
    if everything == bool(names or group):
        raise UsageError("Give names, --group or --all.", code="cli.arguments")
    as_json = parameter("as_json")
    if runner is not None:
        sys.exit(await _ingest_by(runner, names, group, as_json=as_json))
    failed: list[tuple[str, MahavishnuError]] = []
    body = await ask(
        "ingest_repositories",
        names=names,
        group=group,
        showing=lambda call, name: shown_progress(call, f"Reading {name}", about=True),
        on_ingested=(lambda _: None) if as_json else _print,
        on_failed=lambda *each: failed.append(each),
    )
    for name, problem in failed:
        click.echo(printable(f"{name}: {problem.message} {problem.hint or ''}".rstrip()), err=True)
    return body, failed[0][1].exit_code if failed else 0


async def _ingest_by(
    runner: str, names: tuple[str, ...], group: str | None, *, as_json: bool
) -> int:
    """Ingest each repository in a process of its own; returns an exit code as `run_for_each`."""
    if as_json:
        raise UsageError(
            "--json goes without --runner.",
            hint="Ask afterwards: mahavishnu repo status --json",
        )
    repositories = await select_repositories(names, group)
    command = ("--", *ourselves(), "repo", "ingest")
    return await run_for_each(
        "repo-ingest", repositories, lambda each: (*command, each.name), runner=runner
    )
