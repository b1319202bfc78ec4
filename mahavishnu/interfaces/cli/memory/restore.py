"""`mahavishnu memory restore`."""

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table
from mahavishnu.operations.forgetting import ForgottenMemories, RestoreResult


def _show(answer: ForgottenMemories | RestoreResult) -> None:
    if isinstance(answer, RestoreResult):
        print_line(f"Restored {answer.count} memories")
        for each in answer.not_forgotten:
            print_line(f"{shown(each)} had not been forgotten.")
        if answer.replaced:
            there = ", ".join(map(shown, answer.replaced[:20]))
            print_line(f"Not restored, as others were stored in their place: {there}")
        return
    print_table(
        ("id", "forgotten", "until", "collection", "project", "content"),
        (
            (shown(m.id), local_time(m.forgotten_at), local_time(m.restorable_until), m.collection,
             m.project or "", excerpt(m.beginning))
            for m in answer.memories
        ),
    )  # fmt: skip
    if answer.count > len(answer.memories):
        print_line(f"{len(answer.memories)} of {answer.count:,}; more with --limit.")


@click.command()
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--list", "list_", is_flag=True, help="List what can be restored, and until when.")
@click.option(
    "--since", metavar="WHEN", help="All that was forgotten from then on: 2h ago, or a time."
)
@click.option("--limit", default=20, show_default=True, help="Most to list.")
@answers(_show)
async def restore(
    references: tuple[str, ...], list_: bool, since: str | None, limit: int
) -> Struct:
    """Put forgotten memories back, by ID or --since, with their older versions."""
    if not list_:
        return await ask("restore_memory", ids=references, since=since, max_tokens=None)
    if references:
        raise UsageError("Name ids, or --list, but not both.", code="memory.restore_what")
    return await ask("list_forgotten", since=since, limit=limit, max_tokens=None)
