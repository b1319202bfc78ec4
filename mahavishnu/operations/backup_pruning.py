"""The operation that removes backup sets."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from mahavishnu.operations.bodies import Body
from mahavishnu.operations.fitting import fit_list
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget


class PruneBackups(Request, frozen=True, kw_only=True):
    """Whether to remove what the setting does not keep, or to list it."""

    replaced: Annotated[
        bool, Meta(description="Also drop the database that the last restore replaced.")
    ] = False
    confirm: Annotated[bool, Meta(description="false only lists; true removes.")] = False
    max_tokens: Budget = DEFAULT_BUDGET


class JudgedBackup(Body, frozen=True, kw_only=True):
    """A set, and why it stays."""

    set: str
    created_at: datetime
    stays: Annotated[str | None, Meta(description="The reason; null where it goes.")] = None


class PrunedBackups(Body, frozen=True, kw_only=True):
    """All sets, newest first, and which of them went or would go."""

    confirmed: Annotated[bool, Meta(description="false: nothing was removed yet.")]
    count: Annotated[int, Meta(description="How many go or went.")]
    drops_replaced: Annotated[bool, Meta(description="The last restore can no longer be undone.")]
    sets: list[JudgedBackup]
    omitted: Annotated[int, Meta(description="Sets that did not fit max_tokens.")] = 0


async def prune_backups(call: Call, request: PruneBackups) -> PrunedBackups:
    """Remove the sets that the setting does not keep, or only list them."""
    pruned = await call.app.backups.prune(replaced=request.replaced, confirm=request.confirm)
    sets = [
        JudgedBackup(
            set=each.listed.stored.name,
            created_at=each.listed.stored.created_at,
            stays="in use" if each.listed.stored in pruned.in_use else each.stays,
        )
        for each in reversed(pruned.judged)
    ]
    answer = PrunedBackups(
        confirmed=request.confirm,
        count=sum(each.stays is None for each in sets),
        drops_replaced=pruned.drops_replaced,
        sets=sets,
    )
    return fit_list(answer, "sets", request.max_tokens)


PRUNE_BACKUPS: Operation[Any, Any] = Operation(
    name="prune_backups",
    title="Remove old backups",
    description="Remove backup sets that the setting backup.keep does not keep; the newest proven one "
    "stays. Without confirm=true nothing is removed: the answer shows what would go; show that to the "
    "user and confirm only when they agree.",
    request=PruneBackups,
    result=PrunedBackups,
    run=prune_backups,
    method="POST",
    path="/backups/prune",
    destructive=True,
)
