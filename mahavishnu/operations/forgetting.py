"""Forgetting, restoring, and what is forgotten for its age: requests, results, and the way between."""

import asyncio
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from msgspec import Meta, field

from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.memory.checks import check_limit
from mahavishnu.memory.forgetting import NOT_REACHED, Tombstone
from mahavishnu.memory.store import MemoryStore
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.fitting import fit_forgotten, fit_list
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget, Id, Limit
from mahavishnu.operations.results import ForgetResult

_IDS = "Ids, whole or the 8 hex digits of the end."
type Since = Annotated[
    Annotated[str, Meta(max_length=64)] | None,
    Meta(description='What was forgotten from then on: "2h" ago, or an ISO date or time.'),
]


class ForgetMemory(Request, frozen=True, kw_only=True):
    """Which memories are to be forgotten, or deleted for good."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=100, description=_IDS)]
    confirm: Annotated[
        bool, Meta(description="false only says what would go; true forgets it.")
    ] = False
    purge: Annotated[
        bool,
        Meta(
            description="Delete for good, also what was forgotten before; nothing can be restored."
        ),
    ] = False
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse what is no id."""
        for reference in self.ids:
            parse_reference(reference)


class RestoreMemory(Request, frozen=True, kw_only=True):
    """Which forgotten memories are to be put back: by their ids, or since when."""

    ids: Annotated[list[Id], Meta(max_length=100, description=_IDS)] = field(default_factory=list)
    since: Since = None
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse what is no id, and what names nothing, or both."""
        for reference in self.ids:
            parse_reference(reference)
        parse_moment(self.since, what="since")
        if bool(self.ids) == (self.since is not None):
            raise UsageError(
                "Name ids, or since when, but not both.",
                hint="What can be restored: mahavishnu memory restore --list",
                code="memory.restore_what",
            )


class RestoreResult(Body, frozen=True, kw_only=True):
    """What was put back, older versions too."""

    count: Annotated[int, Meta(description="How many, also where not all ids are listed.")]
    ids: list[UUID]
    not_forgotten: Annotated[list[UUID], Meta(description="What was there all the time.")]
    replaced: Annotated[
        list[UUID], Meta(description="What is not back: another was stored in its place.")
    ] = field(default_factory=list)
    omitted: Annotated[int, Meta(description="Ids that did not fit max_tokens.")] = 0


class ListForgotten(Request, frozen=True, kw_only=True):
    """Which forgotten memories are to be listed."""

    since: Since = None
    limit: Limit = 20
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an invalid limit or time."""
        check_limit(self.limit)
        parse_moment(self.since, what="since")


class ForgottenMemories(Body, frozen=True, kw_only=True):
    """What can be restored, last forgotten first."""

    count: Annotated[int, Meta(description="How many there are, listed or not.")]
    memories: list[Tombstone]
    omitted: Annotated[int, Meta(description="Memories that did not fit max_tokens.")] = 0


class PruneMemories(Request, frozen=True, kw_only=True):
    """Whether to forget what is older than its type is kept, or to count it."""

    confirm: Annotated[
        bool, Meta(description="false only counts what would go; true forgets it.")
    ] = False


class PruneResult(Body, frozen=True, kw_only=True):
    """What was forgotten for its age, or would be."""

    confirmed: Annotated[bool, Meta(description="false: nothing was forgotten yet.")]
    count: int
    types: Annotated[
        dict[str, int], Meta(description="How many of each type that has a retention.")
    ]


async def forget_memory(call: Call, request: ForgetMemory) -> ForgetResult:
    """Forget memories, or only say which; what is not there is named, not an error."""
    memories, purge = call.app.memories, request.purge
    await call.app.writes.drain_if_any()  # an id that waits is found, too
    found: dict[str, UUID] = {}
    for reference in request.ids:
        with suppress(NotFound):
            found[reference] = await _resolve(memories, reference, purge=purge)
    gone = await memories.forget(list(found.values()), dry_run=True, purge=purge)
    foreign = []
    for identifier in sorted(set(found.values()) - set(gone)):
        with suppress(NotFound):
            foreign.append((await memories.get(identifier)).id)
    known = {*gone, *foreign}
    missing = [reference for reference in request.ids if found.get(reference) not in known]
    if request.confirm:
        gone = await memories.forget(gone, purge=purge)
    kept = memories.forgetting.rules.restorable_for
    told = ForgetResult(
        confirmed=request.confirm,
        count=len(gone),
        ids=gone,
        not_found=missing,
        not_own=foreign,
        restorable_for_s=0 if purge or not gone else int(kept.total_seconds()),
        not_reached=await _not_reached(call) if purge else [],
    )
    return fit_forgotten(told, request.max_tokens)


async def _not_reached(call: Call) -> list[str]:
    """Return where a purge leaves the text; targets of sync are named that any machine ever delivered to, too."""
    aside = await asyncio.to_thread(call.app.writes.spool.list_damaged)
    targets = [f"{each}, which was damaged and kept aside" for each in aside]
    targets += [f"older lines of {each.name}" for each in await call.app.outbox.status()]
    return [*NOT_REACHED, *targets]


async def _resolve(memories: MemoryStore, reference: str, *, purge: bool) -> UUID:
    try:
        return await memories.resolve(reference)
    except NotFound:
        if not purge:
            raise
        return await memories.forgetting.resolve(reference)


async def restore_memory(call: Call, request: RestoreMemory) -> RestoreResult:
    """Put back what was forgotten: by ids all or nothing, since a time what can be."""
    request.check()
    memories, named = call.app.memories, []
    if (since := parse_moment(request.since, what="since")) is not None:
        back, replaced = await memories.forgetting.restore_since(since)
        answer = RestoreResult(count=len(back), ids=back, not_forgotten=[], replaced=replaced)
        return fit_list(answer, "ids", request.max_tokens)
    for reference in request.ids:
        try:
            named.append(await memories.forgetting.resolve(reference))
        except NotFound as error:
            try:
                named.append(await memories.resolve(reference))
            except NotFound:
                raise error from None
    back = await memories.forgetting.restore(named)
    there = [each for each in dict.fromkeys(named) if each not in back]
    answer = RestoreResult(count=len(back), ids=back, not_forgotten=there)
    return fit_list(answer, "ids", request.max_tokens)


async def list_forgotten(call: Call, request: ListForgotten) -> ForgottenMemories:
    """List what can be restored."""
    since = parse_moment(request.since, what="since")
    found, total = await call.app.memories.forgetting.list_tombstones(
        since=since, limit=request.limit
    )
    return fit_list(ForgottenMemories(count=total, memories=found), "memories", request.max_tokens)


async def prune_memories(call: Call, request: PruneMemories) -> PruneResult:
    """Forget what is older than the retention of its type, or only count it."""
    forgetting = call.app.memories.forgetting
    counts = await forgetting.count_old()
    if request.confirm:
        await forgetting.prune()
    types = {name: counts.get(name, 0) for name in forgetting.rules.retention}
    return PruneResult(confirmed=request.confirm, count=sum(types.values()), types=types)


FORGETTING_OPERATIONS = (
    Operation(
        name="forget_memory",
        title="Forget memories",
        description="Forget memories, with the older versions they replaced: nothing finds them any more. "
        "restore_memory brings them back for some days; purge=true deletes them for good instead. Without "
        "confirm=true nothing is forgotten: the answer says what would go; show that to the user and "
        "confirm only when they agree. To correct a memory use supersede_memory instead.",
        request=ForgetMemory,
        result=ForgetResult,
        run=forget_memory,
        method="POST",
        path="/memories/forget",
        destructive=True,
    ),
    Operation(
        name="list_forgotten",
        title="List forgotten memories",
        description="List what was forgotten and can still be restored, the latest first, and until when.",
        request=ListForgotten,
        result=ForgottenMemories,
        run=list_forgotten,
        method="GET",
        path="/memories/forgotten",
        read_only=True,
    ),
    Operation(
        name="restore_memory",
        title="Restore forgotten memories",
        description="Put forgotten memories back as they were, with their older versions: by ids, all or "
        "nothing, or all that was forgotten since a time. Refused where the same text or another one of the "
        "same source was stored since. list_forgotten has the ids.",
        request=RestoreMemory,
        result=RestoreResult,
        run=restore_memory,
        method="POST",
        path="/memories/restore",
    ),
    Operation(
        name="prune_memories",
        title="Forget memories for their age",
        description="Forget memories that are older than the setting memory.retention keeps their type; "
        "restore_memory brings them back for some days. Without confirm=true they are only counted: "
        "show that to the user and confirm only when they agree.",
        request=PruneMemories,
        result=PruneResult,
        run=prune_memories,
        method="POST",
        path="/memories/prune",
        destructive=True,
    ),
)
