"""`mahavishnu repo`: which repositories there are, what is known of them, and what they answer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from mahavishnu.cli.options import asynchronous, json_option, opened_app
from mahavishnu.cli.render import (
    excerpt,
    local_time,
    print_json,
    print_line,
    print_table,
    printable,
    progress,
)
from mahavishnu.errors import MahavishnuError, UsageError

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.knowledge.repositories import Repository
    from mahavishnu.operations.repository_requests import (
        IngestedRepository,
        KnowledgeAnswer,
        RepositoryList,
    )


@click.group()
def repo() -> None:
    """Ingest repositories, and ask their code and documents."""


@repo.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--name", metavar="NAME", help="What to call it; the project's name by default.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="FILE",
    help="Add what a repos.yaml lists, with groups and dependencies.",
)  # fmt: skip
@json_option
@asynchronous
async def add(folder: Path | None, name: str | None, source: Path | None, as_json: bool) -> None:
    """Register the repository in FOLDER, or those of a file; reads no file yet."""
    from mahavishnu.knowledge.repos_file import read_repos_file  # noqa: PLC0415

    if (folder is None) == (source is None) or (source and name):
        raise UsageError(
            "Give a FOLDER, or a file with --from; --name goes with a FOLDER.", code="cli.arguments"
        )
    async with opened_app() as app:
        if source is not None:
            known = [each.name for each in await app.repositories.list_all()]
            home = Path(app.loaded.environ.get("HOME", "/"))
            added = await app.repositories.add_entries(
                read_repos_file(source, home=home, known=known)
            )
        elif folder is not None:
            added = [await app.repositories.add(folder, name=name)]
        body = await _describe(app, added)
    _print_repositories(body, as_json=as_json)
    if added and not as_json:
        print_line(f"To read them: mahavishnu repo ingest {' '.join(each.name for each in added)}")


@repo.command("list")
@json_option
@asynchronous
async def list_(as_json: bool) -> None:
    """List the repositories that are known."""
    async with opened_app() as app:
        body = await _describe(app, await app.repositories.list_all())
    _print_repositories(body, as_json=as_json)


@repo.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@asynchronous
async def status(names: tuple[str, ...], as_json: bool) -> None:
    """Show how much is stored of repositories, and how their latest runs went."""
    async with opened_app() as app:
        body = await _describe(app, await app.repositories.select(names=names))
    if as_json:
        print_json(body)
        return
    for each in body.repositories:
        print_line(f"{each.name}  {each.path}")
        print_line(
            f"  {each.files:,} files, {each.chunks:,} chunks, {each.waiting:,} without vectors"
        )
        if each.last_run is None:
            print_line(f"  never read: mahavishnu repo ingest {each.name}")
            continue
        run = each.last_run
        ended = f", ended {local_time(run.finished_at)}" if run.finished_at else ""
        print_line(f"  {run.status}, begun {local_time(run.started_at)}{ended}")
        if run.error:
            print_line(f"  {run.error}")
        if run.skipped:
            print_line(f"  not read: {_reasons(run.skipped)}")


@repo.command()
@click.argument("name")
@json_option
@asynchronous
async def remove(name: str, as_json: bool) -> None:
    """Forget a repository and its chunks; its files stay, and can be read again."""
    async with opened_app() as app:
        repository = await app.repositories.find(name)
        chunks = await app.repository_ingestion.remove(repository)
    if as_json:
        print_json({"name": repository.name, "repo_id": repository.repo_id, "chunks": chunks})
    else:
        print_line(f"{repository.name} is removed, with {chunks:,} chunks.")


@repo.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid"]),
    default="mermaid",
    show_default=True,
    expose_value=False,
)
@asynchronous
async def graph() -> None:
    """Print which repositories depend on which."""
    from mahavishnu.knowledge.dependencies import draw_mermaid, find_cycle  # noqa: PLC0415

    async with opened_app() as app:
        known = await app.repositories.list_all()
    graph = {each.name: each.depends_on for each in known}
    print_line(draw_mermaid(graph).rstrip("\n"))
    _report_cycle(find_cycle(graph))


@repo.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are known.")
@click.option("--group", metavar="NAME", help="Those of a group.")
@json_option
@asynchronous
async def ingest(
    names: tuple[str, ...], everything: bool, group: str | None, as_json: bool
) -> None:
    """Read repositories: store what changed, forget what is gone. One that fails stops no other."""
    if everything == bool(names or group):
        raise UsageError("Give names, --group or --all.", code="cli.arguments")
    done: list[IngestedRepository] = []
    failed: list[tuple[str, MahavishnuError]] = []
    async with opened_app() as app:
        for each in await app.repositories.select(names=names, group=group):
            try:
                done.append(await _ingest(app, each, quiet=as_json))
            except MahavishnuError as error:
                failed.append((each.name, error))
                continue
            if not as_json:
                _print_ingested(done[-1])
    if as_json:
        print_json({
            "repositories": msgspec.to_builtins(done),
            "failed": [
                {"name": name, "code": each.code, "message": each.message, "hint": each.hint}
                for name, each in failed
            ],
        })  # fmt: skip
    for name, problem in failed:
        click.echo(printable(f"{name}: {problem.message} {problem.hint or ''}".rstrip()), err=True)
    if failed:
        sys.exit(failed[0][1].exit_code)


@repo.command()
@click.argument("query", metavar="TEXT")
@click.option("--repo", "repo_id", metavar="NAME", help="Only this repository.")
@click.option("--group", metavar="NAME", help="Only repositories of this group.")
@click.option("--limit", "top_k", default=5, show_default=True, help="Most passages.")
@click.option("--explain", is_flag=True, help="Show how they were found.")
@json_option
@asynchronous
async def query(as_json: bool, **fields: Any) -> None:
    """Find the passages of code and documents that answer TEXT, best first."""
    from mahavishnu.operations.operation import Call  # noqa: PLC0415
    from mahavishnu.operations.repositories import query_knowledge_base  # noqa: PLC0415
    from mahavishnu.operations.repository_requests import QueryKnowledgeBase  # noqa: PLC0415

    request = msgspec.convert(fields | {"max_tokens": None}, QueryKnowledgeBase)
    async with opened_app() as app:
        answer = await query_knowledge_base(Call(app, "cli"), request)
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer, explain=fields["explain"])


async def _describe(app: "App", repositories: "list[Repository]") -> "RepositoryList":
    from mahavishnu.operations.repositories import describe  # noqa: PLC0415

    return await describe(app, repositories)


async def _ingest(app: "App", repository: "Repository", *, quiet: bool) -> "IngestedRepository":
    from mahavishnu.operations.operation import Call  # noqa: PLC0415
    from mahavishnu.operations.repositories import ingest_repository  # noqa: PLC0415
    from mahavishnu.operations.repository_requests import IngestRepository  # noqa: PLC0415

    with progress(f"Reading {repository.name}", quiet=quiet, about=True) as advance:
        files = 0

        async def report(done: float, total: float | None, message: str) -> None:
            nonlocal files
            advance(int(done) - files, total, message)
            files = int(done)

        request = IngestRepository(repo_path=str(repository.path))
        return await ingest_repository(Call(app, "cli", report), request)


def _print_repositories(body: "RepositoryList", *, as_json: bool) -> None:
    if as_json:
        print_json(body)
        return
    if not body.repositories:
        print_line("There is no repository. Add one: mahavishnu repo add FOLDER")
        return
    rows = [
        (
            each.name, each.path, ", ".join(each.groups), ", ".join(each.depends_on),
            f"{each.chunks:,}", each.last_run.status if each.last_run else "",
        )
        for each in body.repositories
    ]  # fmt: skip
    print_table(("name", "path", "groups", "depends on", "chunks", "last run"), rows)
    _report_cycle(body.cycle)


def _report_cycle(cycle: list[str]) -> None:
    if cycle:
        click.echo(
            printable(f"They depend on each other in a circle: {' -> '.join(cycle)}"), err=True
        )


def _print_ingested(done: "IngestedRepository") -> None:
    print_line(
        f"{done.name}: {done.documents_processed:,} files with {done.chunks_stored:,} chunks,"
        f" {done.new:,} of them new; {done.changed:,} files changed, {done.removed:,} gone"
    )
    if done.skipped:
        print_line(f"  not read: {_reasons(done.skipped)}")
    if done.waiting:
        print_line(f"  without vectors: {done.waiting:,} chunks; run: mahavishnu memory embed")


def _print_answer(answer: "KnowledgeAnswer", *, explain: bool) -> None:
    for part in answer.degraded:
        click.echo(printable(f"Degraded ({part.part}): {part.reason}"), err=True)
    if not answer.hits:
        print_line("Nothing found.")
        return
    rows = []
    for hit in answer.hits:
        lines = f":{hit.start_line}-{hit.end_line}" if hit.start_line else ""
        row = [
            f"{hit.score:.3f}", hit.project or "", f"{hit.path or ''}{lines}", (hit.commit or "")[:8],
            excerpt(hit.content, start=hit.char_start or 0),
        ]  # fmt: skip
        if explain:
            row.append("\n".join(
                f"{name} #{arm.rank or '-'} {arm.score:.3f} → {arm.contribution:.3f}"
                for name, arm in hit.arms.items()
            ))  # fmt: skip
        rows.append(row)
    print_table(
        ["score", "project", "lines", "commit", "content", *(["arms"] if explain else [])], rows
    )
    for name, value in (answer.explanation or {}).items():
        print_line(f"{name}: {' '.join(value) if isinstance(value, list) else value}")


def _reasons(skipped: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
