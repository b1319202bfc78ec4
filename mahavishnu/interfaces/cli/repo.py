"""`mahavishnu repo`: which repositories there are, what is known of them, and what they answer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.interfaces.cli.asking import ask, shown_progress
from mahavishnu.interfaces.cli.memory.hits import print_hits
from mahavishnu.interfaces.cli.options import answers, parameter
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table, printable
from mahavishnu.interfaces.cli.workflow_many import ingest_by, runner_option
from mahavishnu.knowledge.dependencies import draw_mermaid

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import (
        IngestedRepository,
        KnowledgeAnswer,
        RepositoryBody,
        RepositoryList,
    )


@click.group()
def repo() -> None:
    """Ingest repositories, and ask their code and documents."""


def _show_added(added: "RepositoryList") -> None:
    _show_list(added)
    if added.repositories:
        names = " ".join(each.name for each in added.repositories)
        print_line(f"To read them: mahavishnu repo ingest {names}")


def _show_list(found: "RepositoryList") -> None:
    if not found.repositories:
        print_line("There is no repository. Add one: mahavishnu repo add FOLDER")
        return
    rows = [
        (
            each.name, each.path, ", ".join(each.groups), ", ".join(each.depends_on),
            f"{each.chunks:,}", each.last_run.status if each.last_run else "",
        )
        for each in found.repositories
    ]  # fmt: skip
    print_table(("name", "path", "groups", "depends on", "chunks", "last run"), rows)
    _report_cycle(found.cycle)


def _report_cycle(cycle: list[str]) -> None:
    if cycle:
        told = f"They depend on each other in a circle: {' -> '.join(cycle)}"
        click.echo(printable(told), err=True)


def _show_graph(found: "RepositoryList") -> None:
    graph = {each.name: each.depends_on for each in found.repositories}
    print_line(draw_mermaid(graph).rstrip("\n"))
    _report_cycle(found.cycle)


def _show_status(found: "RepositoryList") -> None:
    for each in found.repositories:
        _print_status(each)


def _print_status(each: "RepositoryBody") -> None:
    print_line(f"{each.name}  {each.path}")
    print_line(f"  {each.files:,} files, {each.chunks:,} chunks, {each.waiting:,} without vectors")
    run = each.last_run
    if run is None:
        print_line(f"  never read: mahavishnu repo ingest {each.name}")
        return
    ended = f", ended {local_time(run.finished_at)}" if run.finished_at else ""
    print_line(f"  {run.status}, begun {local_time(run.started_at)}{ended}")
    if run.error:
        print_line(f"  {run.error}")
    if run.skipped:
        print_line(f"  not read: {_reasons(run.skipped)}")


def _print_ingested(done: "IngestedRepository") -> None:
    print_line(
        f"{done.name}: {done.documents_processed:,} files with {done.chunks_stored:,} chunks,"
        f" {done.new:,} of them new; {done.changed:,} files changed, {done.removed:,} gone"
    )
    if done.skipped:
        print_line(f"  not read: {_reasons(done.skipped)}")
    if done.waiting:
        print_line(f"  without vectors: {done.waiting:,} chunks; run: mahavishnu memory embed")


def _reasons(skipped: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))


def _show_passages(answer: "KnowledgeAnswer") -> None:
    print_hits(
        answer,
        ("score", "project", "lines", "commit", "content"),
        lambda hit: (
            f"{hit.score:.3f}", hit.project or "",
            f"{hit.path or ''}{f':{hit.start_line}-{hit.end_line}' if hit.start_line else ''}",
            (hit.commit or "")[:8], excerpt(hit.content, start=hit.char_start or 0),
        ),
    )  # fmt: skip


@repo.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--name", metavar="NAME", help="What to call it; the project's name by default.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="FILE",
    help="Add what a repos.yaml lists, with groups and dependencies.",
)  # fmt: skip
@answers(_show_added)
async def add(**fields: Any) -> Struct:
    """Make the repository in FOLDER known, or those of a file; nothing is read yet."""
    return await ask("add_repositories", **fields)


@repo.command("list")
@answers(_show_list)
async def list_() -> Struct:
    """List the repositories that are known."""
    return await ask("list_repositories", max_tokens=None)


@repo.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--group", metavar="NAME", help="Those of a group.")
@answers(_show_status)
async def status(**wanted: Any) -> Struct:
    """Show how much is stored of repositories, and how their latest runs went."""
    return await ask("list_repositories", max_tokens=None, **wanted)


@repo.command()
@click.argument("name")
@answers(lambda done: print_line(f"{done.name} is removed, with {done.chunks:,} chunks."))
async def remove(name: str) -> Struct:
    """Forget a repository and its chunks; its files stay, and can be read again."""
    return await ask("remove_repository", name=name)


@repo.command()
@click.option(
    "--format", type=click.Choice(["mermaid"]), default="mermaid", show_default=True,
    expose_value=False,
)  # fmt: skip
@answers(_show_graph)
async def graph() -> Struct:
    """Print which repositories depend on which."""
    return await ask("list_repositories", max_tokens=None)


@repo.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are known.")
@click.option("--group", metavar="NAME", help="Those of a group.")
@runner_option
@answers(lambda _: None)
async def ingest(
    names: tuple[str, ...], everything: bool, group: str | None, runner: str | None
) -> tuple[Struct, int]:
    """Read repositories: store what changed, forget what is gone. One that fails stops no other."""
    if everything == bool(names or group):
        raise UsageError("Give names, --group or --all.", code="cli.arguments")
    as_json = parameter("as_json")
    if runner is not None:
        sys.exit(await ingest_by(runner, names, group, as_json=as_json))
    failed: list[tuple[str, MahavishnuError]] = []
    body = await ask(
        "ingest_repositories",
        names=names,
        group=group,
        showing=lambda call, name: shown_progress(call, f"Reading {name}", about=True),
        on_ingested=(lambda _: None) if as_json else _print_ingested,
        on_failed=lambda *each: failed.append(each),
    )
    for name, problem in failed:
        click.echo(printable(f"{name}: {problem.message} {problem.hint or ''}".rstrip()), err=True)
    return body, failed[0][1].exit_code if failed else 0


@repo.command()
@click.argument("query", metavar="TEXT")
@click.option("--repo", "repo_id", metavar="NAME", help="Only this repository.")
@click.option("--group", metavar="NAME", help="Only repositories of this group.")
@click.option("--limit", "top_k", default=5, show_default=True, help="Most passages.")
@click.option("--explain", is_flag=True, help="Show how they were found.")
@answers(_show_passages)
async def query(**fields: Any) -> Struct:
    """Find the passages of code and documents that answer TEXT, best first."""
    return await ask("query_knowledge_base", max_tokens=None, **fields)
