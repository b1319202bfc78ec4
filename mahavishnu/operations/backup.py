"""The operations on backups: make, list, verify, drill, restore."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from mahavishnu.base.errors import UsageError
from mahavishnu.database.backup.manifest import BackupManifest
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.restore import PlannedRestore
from mahavishnu.database.backup.verify import LATEST, ListedSet
from mahavishnu.operations.ai.backed_up import collect_files
from mahavishnu.operations.backup_pruning import PRUNE_BACKUPS
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.fitting import fit_list
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget

REPORT_S = 0.5  # between two reports of how far the work is

type SetName = Annotated[
    str, Meta(max_length=100, description="A set by its number, name or token, or `latest`.")
]


class CreateBackup(Request, frozen=True, kw_only=True):
    """Nothing has to be said."""


class ListBackups(Request, frozen=True, kw_only=True):
    """How long the answer may be."""

    max_tokens: Budget = DEFAULT_BUDGET


class VerifyBackup(Request, frozen=True, kw_only=True):
    """Which set is to be read."""

    set: SetName = LATEST


class DrillBackup(Request, frozen=True, kw_only=True):
    """Which set is to be proven."""

    set: SetName = LATEST


class RestoreBackup(Request, frozen=True, kw_only=True):
    """Which set is to replace the database, or that the last restore is to be undone."""

    set: SetName = LATEST
    undo: Annotated[
        bool, Meta(description="Bring back the database that the last restore replaced.")
    ] = False
    confirm: Annotated[
        bool, Meta(description="false only shows the plan; true replaces the database.")
    ] = False

    def check(self) -> None:
        """Refuse a set that an undo would not read."""
        if self.undo and self.set != LATEST:
            raise UsageError(
                "undo brings back the database that the last restore replaced; it takes no set.",
                hint="Leave the set out, or restore it without undo.",
                code="backup.undo_set",
            )


class SetProblem(Struct, frozen=True, kw_only=True):
    """Why a set cannot be used."""

    code: str
    message: str


class BackupBody(Body, frozen=True, kw_only=True):
    """A set; a damaged one has only its number, name and problem."""

    number: int
    set: Annotated[str, Meta(description="Its name.")]
    created_at: datetime | None = None
    size_bytes: int | None = None
    memories: int | None = None
    rows: int | None = None
    tables: int | None = None
    revision: Annotated[str | None, Meta(description="Of the schema.")] = None
    postgresql: str | None = None
    product: str | None = None
    models: list[str] = field(default_factory=list)
    encrypted: bool = False
    proven_at: Annotated[datetime | None, Meta(description="When its last drill succeeded.")] = None
    drill_problem: Annotated[
        SetProblem | None, Meta(description="What its last drill or verify found wrong.")
    ] = None
    problem: SetProblem | None = None


class UnfinishedBackup(Body, frozen=True, kw_only=True):
    """What a command makes or deletes now, or left when it was killed."""

    token: str
    active: bool
    size_bytes: int


class BackupList(Body, frozen=True, kw_only=True):
    """All sets, newest first."""

    sets: list[BackupBody]
    unfinished: list[UnfinishedBackup]
    omitted: Annotated[int, Meta(description="Sets that did not fit max_tokens.")] = 0


class VerifiedBackup(Body, frozen=True, kw_only=True):
    """A set of which every byte is what was written."""

    set: str
    rows: int
    size_bytes: int


class DrilledBackup(Body, frozen=True, kw_only=True):
    """A set that was restored, compared and searched, and so is proven."""

    set: str
    proven_at: datetime
    rows: int
    tables: int
    text_searches: Annotated[int, Meta(description="Memories found by their own words.")]
    vector_searches: Annotated[int, Meta(description="Memories found by their own vectors.")]
    seconds: float


class RestorePlan(Body, frozen=True, kw_only=True):
    """What a restore does."""

    set: str
    created_at: datetime
    proven: bool
    memories: Annotated[int, Meta(description="In the set.")]
    memories_now: Annotated[int, Meta(description="In the database that it replaces.")]
    stored_since: Annotated[int, Meta(description="Memories stored after the set was made.")]
    migrates_to: Annotated[str | None, Meta(description="Schema of this release.")] = None
    connected: Annotated[
        list[str], Meta(description="Programs that have to end before the restore.")
    ]
    missing_roles: list[str] = field(default_factory=list)
    has_room: bool
    drops_kept: Annotated[bool, Meta(description="The last restore can no longer be undone.")] = (
        False
    )


class RestoredBackup(Body, frozen=True, kw_only=True):
    """The plan, and whether it was carried out; an undo has no plan."""

    confirmed: bool
    undo: bool = False
    plan: RestorePlan | None = None


async def create_backup(call: Call, _request: CreateBackup) -> BackupBody:
    """Make a set."""
    files = await asyncio.to_thread(collect_files, call.app.loaded.locations)
    async with _reported(call) as progress:
        return _body(await call.app.backups.create(files, progress))


async def list_backups(call: Call, request: ListBackups) -> BackupList:
    """List the sets; the database is not asked."""
    sets, unfinished = await call.app.backups.list_sets()
    answer = BackupList(
        sets=[_body(each) for each in reversed(sets)],
        unfinished=[UnfinishedBackup(**vars(each)) for each in unfinished],
    )
    return fit_list(answer, "sets", request.max_tokens)


async def verify_backup(call: Call, request: VerifyBackup) -> VerifiedBackup:
    """Read every byte of a set."""
    async with _reported(call) as progress:
        stored, manifest = await call.app.backups.verify(request.set, progress)
    return VerifiedBackup(set=stored.name, rows=manifest.rows, size_bytes=manifest.size_bytes)


async def drill_backup(call: Call, request: DrillBackup) -> DrilledBackup:
    """Restore a set into a scratch database, compare and search."""
    async with _reported(call) as progress:
        drilled = await call.app.backups.drill(request.set, progress)
    manifest, proof = drilled.manifest, drilled.proof
    assert manifest and proof
    return DrilledBackup(
        set=drilled.stored.name,
        proven_at=proof.at,
        rows=manifest.rows,
        tables=len(manifest.tables),
        text_searches=proof.text_searches,
        vector_searches=proof.vector_searches,
        seconds=proof.seconds,
    )


async def restore_backup(call: Call, request: RestoreBackup) -> RestoredBackup:
    """Replace the database by a set, or undo that; without confirmation only show what would be."""
    request.check()
    backups = call.app.backups
    if request.undo:
        if request.confirm:
            await backups.undo()
        return RestoredBackup(confirmed=request.confirm, undo=True)
    plan = await backups.plan(request.set)
    if request.confirm:
        async with _reported(call) as progress:
            await backups.restore(plan.stored.name, progress)
    return RestoredBackup(confirmed=request.confirm, plan=_plan_body(plan))


@asynccontextmanager
async def _reported(call: Call) -> AsyncIterator[Progress]:
    """Give what a command counts in, and report it while the block runs."""
    progress = Progress()

    async def report() -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            done = progress.done_bytes
            await call.report(done, None, f"{progress.step}, {done / 1e6:,.0f} MB")

    reporting = asyncio.create_task(report())
    try:
        yield progress
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)


def _body(listed: ListedSet) -> BackupBody:
    stored, proof, problem = listed.stored, listed.proof, listed.problem
    return BackupBody(
        number=stored.number,
        set=stored.name,
        **(_manifest_fields(listed.manifest) if listed.manifest else {}),
        proven_at=listed.proven_at,
        drill_problem=SetProblem(code=proof.code, message=proof.message or "")
        if proof and proof.code
        else None,
        problem=SetProblem(code=problem.code, message=problem.message) if problem else None,
    )


def _manifest_fields(manifest: BackupManifest) -> dict[str, Any]:
    same = (
        "created_at", "size_bytes", "memories", "rows", "revision", "postgresql", "product", "encrypted",
    )  # fmt: skip
    return {name: getattr(manifest, name) for name in same} | {
        "tables": len(manifest.tables),
        "models": [model.name for model in manifest.models],
    }


def _plan_body(plan: PlannedRestore) -> RestorePlan:
    return RestorePlan(
        set=plan.stored.name,
        created_at=plan.manifest.created_at,
        proven=plan.proven,
        memories=plan.manifest.memories,
        memories_now=plan.present.memories,
        stored_since=plan.present.since,
        migrates_to=plan.migrates_to,
        connected=[str(each) for each in plan.sessions],
        missing_roles=list(plan.missing_roles),
        has_room=plan.has_room,
        drops_kept=plan.drops_kept,
    )


BACKUP_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="create_backup",
        title="Make a backup",
        description="Make a backup set of the database, the settings and the profiles (without "
        "keys) and the journal of switches. Others may go on writing. It counts as proven only "
        "after drill_backup.",
        request=CreateBackup,
        result=BackupBody,
        run=create_backup,
        method="POST",
        path="/backups",
        idempotent=False,
    ),
    Operation(
        name="list_backups",
        title="List backups",
        description="All backup sets, newest first: age, size, rows, schema, and when a drill last "
        "proved each; damaged and unfinished ones too.",
        request=ListBackups,
        result=BackupList,
        run=list_backups,
        method="GET",
        path="/backups",
        read_only=True,
    ),
    Operation(
        name="verify_backup",
        title="Verify a backup",
        description="Read every byte of a backup set and compare it with what was written; damage is "
        "recorded, and the set is not proven any more. That it can be restored is what drill_backup proves.",
        request=VerifyBackup,
        result=VerifiedBackup,
        run=verify_backup,
        method="POST",
        path="/backups/verify",
    ),
    Operation(
        name="drill_backup",
        title="Prove a backup",
        description="Restore a backup set into a scratch database, compare every row, search in it, "
        "and record that the set is proven. The database in use is not changed.",
        request=DrillBackup,
        result=DrilledBackup,
        run=drill_backup,
        method="POST",
        path="/backups/drill",
    ),
    Operation(
        name="restore_backup",
        title="Restore a backup",
        description="Replace the database by a backup set; all memories stored since then leave the "
        "database. The replaced database is kept until the next restore, and undo=true brings it "
        "back. Without confirm=true nothing is changed: the answer shows the plan; show that to "
        "the user and confirm only when they agree.",
        request=RestoreBackup,
        result=RestoredBackup,
        run=restore_backup,
        method="POST",
        path="/backups/restore",
        destructive=True,
        idempotent=False,
    ),
    PRUNE_BACKUPS,
)
