"""`mahavishnu memory`: store, list, show, supersede, forget, embed, stats; and its other commands."""

import sys
from typing import Any

import click

from mahavishnu.cli.memory_import import import_
from mahavishnu.cli.memory_search import search
from mahavishnu.cli.options import (
    METADATA_HELP,
    asynchronous,
    build_filter,
    confirm,
    filter_options,
    json_option,
    opened_app,
    parse_metadata,
    read_text,
)
from mahavishnu.cli.render import (
    every_key,
    excerpt,
    local_time,
    print_json,
    print_line,
    print_table,
    progress,
)
from mahavishnu.errors import Forbidden, UsageError
from mahavishnu.identifiers import shown
from mahavishnu.operations.moments import parse_moment


@click.group()
def memory() -> None:
    """Store, search, correct and forget memories."""


memory.add_command(search)
memory.add_command(import_)


@memory.command()
@click.argument("text", required=False)
@click.option(
    "--type",
    "memory_type",
    default="agent",
    show_default=True,
    metavar="TYPE",
    help="agent, rag, workflow or insight.",
)
@click.option(
    "--collection", metavar="NAME", help="Kind within the type; its usual one by default."
)
@click.option("--source", default="cli", show_default=True, metavar="NAME", help="Source system.")
@click.option("--metadata", multiple=True, metavar="K=V|JSON", help=f"Repeatable. {METADATA_HELP}")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@click.option("--agent", metavar="ID", help="Agent it comes from.")
@click.option("--workflow", metavar="ID", help="Workflow it belongs to.")
@click.option("--repo", metavar="ID", help="Repository it is about.")
@click.option("--session", metavar="ID", help="Session it comes from.")
@click.option("--occurred-at", metavar="WHEN", help="When it happened; now by default.")
@click.option("--shared", is_flag=True, help="Let everyone who uses this database see it.")
@json_option
@asynchronous
async def store(
    text: str | None,
    memory_type: str,
    collection: str | None,
    source: str,
    metadata: tuple[str, ...],
    project: str | None,
    agent: str | None,
    workflow: str | None,
    repo: str | None,
    session: str | None,
    occurred_at: str | None,
    shared: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """
    Remember TEXT (or what is piped in).

    The same text again gives the id it already has; what else is given with it is not kept.
    """
    from mahavishnu.memory.models import (  # noqa: PLC0415
        NewMemory,
        check_new_memory,
        choose_collection,
    )

    new = NewMemory(
        content=read_text(text),
        collection=choose_collection(memory_type, collection),
        source_system=source,
        metadata=parse_metadata(metadata),
        project=project,
        agent_id=agent,
        workflow_id=workflow,
        repo_id=repo,
        session_id=session,
        occurred_at=parse_moment(occurred_at, what="--occurred-at"),
        visibility="shared" if shared else "private",
    )
    check_new_memory(new)
    async with opened_app() as app:
        stored = await app.memories.store(new)
    if as_json:
        from mahavishnu.operations.bodies import LOCATIONS  # noqa: PLC0415

        print_json(
            {"id": stored.id, "created": stored.created, "locations": LOCATIONS,
             "embedded": stored.embedded, "not_kept": list(stored.not_kept)}
        )  # fmt: skip
        return
    print_line(f"{'Stored' if stored.created else 'Already stored as'} {shown(stored.id)}")
    if stored.not_kept:
        print_line(f"Not kept, as it says otherwise: {', '.join(stored.not_kept)}.")
    if not stored.embedded:
        print_line("It waits for its vector; words find it meanwhile (mahavishnu model status).")


@memory.command("list")
@click.option("--limit", default=20, show_default=True)
@click.option("--offset", default=0, show_default=True)
@filter_options
@json_option
@asynchronous
async def list_memories(limit: int, offset: int, as_json: bool, **narrowing: Any) -> None:
    """List memories, newest first."""
    from mahavishnu.memory.checks import check_limit, check_offset  # noqa: PLC0415

    check_limit(limit)
    check_offset(offset)
    wanted = build_filter(**narrowing)
    async with opened_app() as app:
        memories = await app.memories.list_memories(wanted, limit=limit, offset=offset)
    if as_json:
        from mahavishnu.operations.bodies import memory_body  # noqa: PLC0415

        print_json({"memories": [every_key(memory_body(item)) for item in memories]})
        return
    print_table(
        ("id", "when", "type", "project", "content"),
        (
            (
                shown(m.id),
                local_time(m.occurred_at),
                m.memory_type,
                m.project or "",
                excerpt(m.content),
            )
            for m in memories
        ),
    )


@memory.command()
@click.argument("reference", metavar="ID")
@json_option
@asynchronous
async def show(reference: str, as_json: bool) -> None:
    """Show one memory whole."""
    async with opened_app() as app:
        found = await app.memories.get(await app.memories.resolve(reference))
    from mahavishnu.operations.bodies import memory_body  # noqa: PLC0415

    body = every_key(memory_body(found))
    if as_json:
        print_json({"memory": body})
        return
    for name, value in body.items():
        if value not in (None, "", {}) and name != "content":
            print_line(f"{name}: {local_time(value) if hasattr(value, 'astimezone') else value}")
    print_line(f"\n{found.content}")


@memory.command()
@click.argument("reference", metavar="ID")
@click.argument("text", required=False)
@json_option
@asynchronous
async def supersede(reference: str, text: str | None, as_json: bool) -> None:
    """Replace the text of memory ID; the old version is kept but no longer found."""
    content = read_text(text)
    async with opened_app() as app:
        old = await app.memories.resolve(reference)
        stored = await app.memories.supersede(old, content)
    if as_json:
        from mahavishnu.operations.bodies import LOCATIONS  # noqa: PLC0415

        print_json(
            {"id": stored.id, "created": stored.created, "supersedes": old, "locations": LOCATIONS}
        )
    else:
        print_line(f"{shown(old)} is superseded by {shown(stored.id)}")


@memory.command()
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask before forgetting by filter.")
@filter_options
@json_option
@asynchronous
async def forget(
    references: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool, **narrowing: Any
) -> None:
    """Delete memories by ID, or all that pass a filter; older versions go with them."""
    from mahavishnu.memory.models import MemoryFilter  # noqa: PLC0415 - after option errors

    wanted = build_filter(**narrowing)
    by_filter = wanted != MemoryFilter()
    if bool(references) == by_filter:
        raise UsageError(
            "Name ids, or a filter, but not both.",
            hint="For example: mahavishnu memory forget --project old --dry-run",
            code="memory.forget_what",
        )
    if by_filter and not (dry_run or yes) and (as_json or not sys.stdin.isatty()):
        raise UsageError(
            "Forgetting by filter needs --yes.",
            hint="See first what it would be: --dry-run",
            code="memory.unconfirmed",
        )
    async with opened_app() as app:
        if references:
            ids = [await app.memories.resolve(reference) for reference in references]
        else:
            ids = await app.memories.select_ids(wanted)
            if not (dry_run or yes or confirm(f"Forget {len(ids)} memories?")):
                print_line("Nothing was forgotten.")
                return
        gone = await app.memories.forget(ids, dry_run=True)
        missed = sorted(set(ids) - set(gone))
        for identifier in missed if references else []:
            await app.memories.get(identifier)  # what is not there is nobody's: NotFound
        if missed and references:
            raise Forbidden(
                f"{', '.join(shown(m) for m in missed)}: not yours to forget.",
                hint="Only who stored a memory can forget it.",
                code="memory.not_own",
            )
        if not dry_run:
            gone = await app.memories.forget(ids)
    if as_json:
        print_json({"dry_run": dry_run, "count": len(gone), "ids": gone})
    else:
        print_line(f"{'Would forget' if dry_run else 'Forgot'} {len(gone)} memories")
        for identifier in gone[:20] if dry_run else []:
            print_line(f"  {shown(identifier)}")


@memory.command()
@json_option
@asynchronous
async def stats(as_json: bool) -> None:
    """Count memories by type, collection and project."""
    async with opened_app() as app:
        groups, totals = await app.memories.stats()
        active = await app.space.active()
    model = active[1].name if active else None
    if as_json:
        print_json({"totals": totals, "model": model, "groups": groups})
        return
    print_table(
        ("type", "collection", "project", "memories", "newest"),
        (
            (g["memory_type"], g["collection"], g["project"] or "", f"{g['memories']:,}",
             local_time(g["newest"]))
            for g in groups
        ),
    )  # fmt: skip
    print_line(
        f"{totals['live']:,} memories, {totals['superseded']:,} superseded, "
        f"{totals['waiting']:,} waiting for vectors, {totals['size_bytes'] / 1e6:,.0f} MB, "
        f"model: {model or 'none yet'}"
    )


@memory.command()
@click.option("--limit", default=0, help="Most memories; all by default.")
@json_option
@asynchronous
async def embed(limit: int, as_json: bool) -> None:
    """Give vectors to the memories that wait for them."""
    if limit < 0:
        raise UsageError(
            "limit must be at least 0, which means all.",
            hint="Leave it out to embed all that wait.",
            code="input.limit",
        )
    done = 0
    async with opened_app() as app:
        with progress("Embedding", quiet=as_json) as advance:
            while not limit or done < limit:
                count = await app.memories.embed_waiting(
                    limit=min(64, limit - done) if limit else 64
                )
                if not count:
                    break
                done += count
                advance(count)
        waiting = await app.memories.count_waiting()
    if as_json:
        print_json({"embedded": done, "waiting": waiting})
    else:
        print_line(f"Embedded {done} memories; {waiting} wait")
