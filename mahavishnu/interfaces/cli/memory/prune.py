"""`mahavishnu memory prune`."""

import click

from mahavishnu.interfaces.cli.asking import opened_call, prepare
from mahavishnu.interfaces.cli.memory.forget import require_yes
from mahavishnu.interfaces.cli.options import answers, confirm
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.forgetting import PruneResult


def _show(done: PruneResult | None) -> None:
    if done is None:
        print_line("Nothing was forgotten.")
        return
    if not done.types:
        print_line("No retention is set. For example, in settings: memory.retention.agent: 90d")
        return
    print_table(("type", "memories"), ((name, f"{n:,}") for name, n in done.types.items()))
    print_line(f"{'Forgot' if done.confirmed else 'Would forget'} {done.count:,} memories")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@answers(_show)
async def prune(dry_run: bool, yes: bool) -> PruneResult | None:
    """
    Forget memories that are older than the setting memory.retention keeps their type.

    A daemon does so every ten minutes.
    """
    require_yes(given=dry_run or yes, what="Forgetting for age")
    async with opened_call() as call:
        done: PruneResult = await prepare("prune_memories")(call)
        if dry_run:
            return done
        if done.count and not (yes or confirm(f"Forget {done.count} memories?")):
            return None
        sure: PruneResult = await prepare("prune_memories", confirm=True)(call)
        return sure
