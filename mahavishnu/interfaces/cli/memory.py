"""`mahavishnu memory`: store, list, show, supersede, forget, embed, stats; and its other commands."""

import sys
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.base.errors import Forbidden, UsageError
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask, opened_call, prepare
from mahavishnu.interfaces.cli.lazy import LaterGroup
from mahavishnu.interfaces.cli.memory_import import import_
from mahavishnu.interfaces.cli.memory_options import TYPES, filter_options, name_options
from mahavishnu.interfaces.cli.memory_search import search
from mahavishnu.interfaces.cli.options import (
    answers,
    confirm,
    metadata_option,
    parameter,
    read_text,
)
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table
from mahavishnu.memory.checks import no_memory

if TYPE_CHECKING:
    from mahavishnu.operations.results import (
        Embedded,
        ForgetResult,
        MemoryPage,
        MemoryPart,
        Stats,
        StoreResult,
        SupersedeResult,
    )


@click.group(cls=LaterGroup, later=("restore", "export"))
def memory() -> None:
    """Store, search, correct and forget memories."""


memory.add_command(search)
memory.add_command(import_)


def _show_stored(stored: "StoreResult") -> None:
    print_line(f"{'Stored' if stored.created else 'Already stored as'} {shown(stored.id)}")
    if stored.not_kept:
        print_line(f"Not kept, as it says otherwise: {', '.join(stored.not_kept)}.")
    if not stored.embedded:
        print_line("It waits for its vector; words find it meanwhile (mahavishnu model status).")


@memory.command()
@click.argument("text", required=False)
@click.option(
    "--type",
    "memory_type",
    default="agent",
    show_default=True,
    metavar="TYPE",
    help=f"{TYPES}.",
)
@click.option(
    "--collection", metavar="NAME", help="Kind within the type; its usual one by default."
)
@click.option(
    "--source",
    "source_system",
    default="cli",
    show_default=True,
    metavar="NAME",
    help="Source system.",
)
@metadata_option
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@name_options
@click.option("--occurred-at", metavar="WHEN", help="When it happened; now by default.")
@click.option("--shared", is_flag=True, help="Let everyone who uses this database see it.")
@answers(_show_stored)
async def store(text: str | None, shared: bool, **fields: Any) -> Struct:
    """
    Remember TEXT (or what is piped in).

    The same text again gives the id it already has; what else is given with it is not kept.
    """
    visibility = "shared" if shared else "private"
    return await ask("store_memory", content=read_text(text), visibility=visibility, **fields)


def _show_page(page: "MemoryPage") -> None:
    print_table(
        ("id", "when", "type", "project", "content"),
        (
            (shown(m.id), local_time(m.occurred_at), m.memory_type, m.project or "", excerpt(m.content))
            for m in page.memories
        ),
    )  # fmt: skip


@memory.command("list")
@click.option("--limit", default=20, show_default=True)
@click.option("--offset", default=0, show_default=True)
@click.option("--cursor", metavar="TEXT", help="next_cursor of the page before (--json).")
@filter_options
@answers(_show_page)
async def list_memories(**fields: Any) -> Struct:
    """List memories, newest first."""
    return await ask("list_memories", max_tokens=None, **fields)


def _show_memory(found: "MemoryPart") -> None:
    names = found.__struct_fields__
    for name in names[: names.index("char_start")]:
        value = getattr(found, name)
        if value not in (None, "", {}) and name != "content":
            print_line(f"{name}: {local_time(value) if hasattr(value, 'astimezone') else value}")
    print_line(f"\n{found.content}")


@memory.command()
@click.argument("reference", metavar="ID")
@answers(_show_memory)
async def show(reference: str) -> Struct:
    """Show one memory whole."""
    return await ask("get_memory", id=reference, max_tokens=None)


def _show_superseded(done: "SupersedeResult") -> None:
    print_line(f"{shown(done.supersedes)} is superseded by {shown(done.id)}")


@memory.command()
@click.argument("reference", metavar="ID")
@click.argument("text", required=False)
@answers(_show_superseded)
async def supersede(reference: str, text: str | None) -> Struct:
    """Replace the text of memory ID; the old version is kept but no longer found."""
    return await ask("supersede_memory", id=reference, content=read_text(text))


def _show_forgotten(told: "ForgetResult | None") -> None:
    if told is None:
        print_line("Nothing was forgotten.")
        return
    dry_run = parameter("dry_run")
    print_line(f"{'Would forget' if dry_run else 'Forgot'} {told.count} memories")
    for identifier in told.ids[:20] if dry_run else []:
        print_line(f"  {shown(identifier)}")


@memory.command()
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask before forgetting by filter.")
@filter_options
@answers(_show_forgotten)
async def forget(
    references: tuple[str, ...], dry_run: bool, yes: bool, **narrowing: Any
) -> "ForgetResult | None":
    """Delete memories by ID, or all that pass a filter; older versions go with them."""
    by_filter = any(value not in (None, ()) for value in narrowing.values())
    if bool(references) == by_filter:
        raise UsageError(
            "Name ids, or a filter, but not both.",
            hint="For example: mahavishnu memory forget --project old --dry-run",
            code="memory.forget_what",
        )
    if by_filter and not (dry_run or yes) and (parameter("as_json") or not sys.stdin.isatty()):
        raise UsageError(
            "Forgetting by filter needs --yes.",
            hint="See first what it would be: --dry-run",
            code="memory.unconfirmed",
        )
    selected = prepare("select_memories", **narrowing)
    async with opened_call() as call:
        ids = [str(each) for each in (await selected(call)).ids] if by_filter else references
        told: ForgetResult = await prepare("forget_memory", ids=ids, max_tokens=None)(call)
        if references:
            _require_all(told)
        elif not (dry_run or yes or confirm(f"Forget {told.count} memories?")):
            return None
        if not dry_run:
            sure = prepare("forget_memory", ids=ids, max_tokens=None, confirm=True)
            told = await sure(call)
    return told


def _require_all(told: "ForgetResult") -> None:
    """Refuse to forget some of what was named, where others are not there or not the caller's."""
    if told.not_found:
        raise no_memory(told.not_found[0])
    if told.not_own:
        raise Forbidden(
            f"{', '.join(map(shown, told.not_own))}: not yours to forget.",
            hint="Only who stored a memory can forget it.",
            code="memory.not_own",
        )


def _show_stats(counted: "Stats") -> None:
    print_table(
        ("type", "collection", "project", "memories", "newest"),
        (
            (g.memory_type, g.collection, g.project or "", f"{g.memories:,}",
             local_time(g.newest) if g.newest else "")
            for g in counted.groups
        ),
    )  # fmt: skip
    totals = counted.totals
    print_line(
        f"{totals.live:,} memories, {totals.superseded:,} superseded, "
        f"{totals.waiting:,} waiting for vectors, {totals.size_bytes / 1e6:,.0f} MB, "
        f"model: {counted.model or 'none yet'}"
    )


@memory.command()
@answers(_show_stats)
async def stats() -> Struct:
    """Count memories by type, collection and project."""
    return await ask("memory_stats", max_tokens=None)


def _show_embedded(done: "Embedded") -> None:
    print_line(f"Embedded {done.embedded} memories; {done.waiting} wait")


@memory.command()
@click.option("--limit", default=0, help="Most memories; all by default.")
@answers(_show_embedded)
async def embed(limit: int) -> Struct:
    """Give vectors to the memories that wait for them."""
    return await ask("embed_waiting", bar="Embedding", limit=limit)
