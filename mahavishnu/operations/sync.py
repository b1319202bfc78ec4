"""The operations on the outbox: how far its targets are, deliver now, try again, give up."""

from typing import Annotated

from msgspec import Meta, field

from mahavishnu.base.identifiers import parse_reference
from mahavishnu.memory.checks import check_limit, check_text
from mahavishnu.memory.outbox.runs import SyncRun
from mahavishnu.memory.outbox.states import DeadLetter, Ran, TargetState
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import Id


class SyncStatus(Request, frozen=True, kw_only=True):
    """All targets are meant."""


class RunSync(Request, frozen=True, kw_only=True):
    """All targets of the settings are meant."""


class RetrySync(Request, frozen=True, kw_only=True):
    """Which dead letters are tried again."""

    ids: Annotated[
        list[Id], Meta(max_length=100, description="The memories of some; everything if empty.")
    ] = field(default_factory=list)

    def check(self) -> None:
        """Refuse what is no id."""
        for reference in self.ids:
            parse_reference(reference)


class DropSync(RetrySync, frozen=True, kw_only=True):
    """Which dead letters of a target are given up, or the whole target."""

    target: Annotated[
        str, Meta(min_length=1, max_length=500, description="Its name, as sync_status has it.")
    ]
    confirm: Annotated[
        bool, Meta(description="false only says what would be given up; true does it.")
    ] = False


class ListSyncRuns(Request, frozen=True, kw_only=True):
    """Which runs are meant."""

    target: Annotated[
        Annotated[str, Meta(max_length=500)] | None,
        Meta(description="A target, as sync_status has it; else all."),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Most runs of one answer.")] = 20

    def check(self) -> None:
        """Refuse what is out of bounds."""
        check_limit(self.limit)
        if self.target is not None:
            check_text(self.target, what="target")


class SyncRunList(Body, frozen=True, kw_only=True):
    """Runs that were due, asked for, or made at a checkpoint."""

    runs: Annotated[list[SyncRun], Meta(description="Newest first; kept for 90 days.")]


class SyncState(Body, frozen=True, kw_only=True):
    """How far each target is, and what was refused."""

    targets: list[TargetState]
    dead_letters: Annotated[list[DeadLetter], Meta(description="At most 100, oldest first.")]


class SyncRuns(Body, frozen=True, kw_only=True):
    """What was done for each target."""

    runs: list[Ran]


class SyncDropped(Body, frozen=True, kw_only=True):
    """What was given up, or would be."""

    confirmed: Annotated[bool, Meta(description="false: nothing was given up yet.")]
    target: str
    whole: Annotated[bool, Meta(description="The target too, with how far it was.")]
    dead_letters: list[DeadLetter]


async def sync_status(call: Call, _request: SyncStatus) -> SyncState:
    """Say how far each target is."""
    outbox = call.app.outbox
    return SyncState(targets=await outbox.status(), dead_letters=await outbox.list_dead())


async def run_sync(call: Call, _request: RunSync) -> SyncRuns:
    """Deliver what is lacking, also where the next attempt is not due."""
    return SyncRuns(runs=await call.app.sync_runs.run("manual"))


async def list_sync_runs(call: Call, request: ListSyncRuns) -> SyncRunList:
    """List what became of runs."""
    return SyncRunList(runs=await call.app.sync_runs.find(request.target, limit=request.limit))


async def retry_sync(call: Call, request: RetrySync) -> SyncRuns:
    """Deliver dead letters once more."""
    return SyncRuns(runs=await call.app.outbox.retry(request.ids))


async def drop_sync(call: Call, request: DropSync) -> SyncDropped:
    """Give up dead letters or a target, or only say which."""
    letters = await call.app.outbox.drop(request.target, request.ids, dry_run=not request.confirm)
    return SyncDropped(
        confirmed=request.confirm,
        target=request.target,
        whole=not request.ids,
        dead_letters=letters,
    )


SYNC_OPERATIONS = (
    Operation(
        name="sync_status",
        title="How far the targets of sync are",
        description="Where changes of memories are delivered to (a mirror that the user switched "
        "on), how many each target lacks, its last error, and the dead letters: changes that it "
        "refused for good.",
        request=SyncStatus,
        result=SyncState,
        run=sync_status,
        method="GET",
        path="/sync",
        read_only=True,
    ),
    Operation(
        name="run_sync",
        title="Deliver changes now",
        description="Deliver to each target of sync what it lacks, without waiting for its next "
        "attempt. The daemon does so by itself; only call this when the user asks for it.",
        request=RunSync,
        result=SyncRuns,
        run=run_sync,
        method="POST",
        path="/sync/run",
    ),
    Operation(
        name="list_sync_runs",
        title="Runs of sync",
        description="The runs of sync: periodic ones of the daemon, those that caught up after an "
        "absence, at a checkpoint, and those that somebody asked for; when, for which target, how "
        "many changes it took, refused and still lacked, and the error.",
        request=ListSyncRuns,
        result=SyncRunList,
        run=list_sync_runs,
        method="GET",
        path="/sync/runs",
        read_only=True,
    ),
    Operation(
        name="retry_sync",
        title="Deliver dead letters again",
        description="Try dead letters of sync_status once more, with their memories as they are "
        "now; what is taken is no dead letter any more.",
        request=RetrySync,
        result=SyncRuns,
        run=retry_sync,
        method="POST",
        path="/sync/retry",
    ),
    Operation(
        name="drop_sync",
        title="Give up dead letters",
        description="Give up dead letters of a target, or a target that is not used any more; one "
        "that is still in the settings starts over with all changes. No memory is deleted. "
        "Without confirm=true nothing happens: the answer says what would be given up; show that "
        "to the user and confirm only when they agree.",
        request=DropSync,
        result=SyncDropped,
        run=drop_sync,
        method="POST",
        path="/sync/drop",
        destructive=True,
    ),
)
