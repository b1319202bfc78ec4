"""
Restore a set: plan, a new database beside the present one, comparison, one transaction that renames both.

Until then the present database stays as it is. Afterwards it is kept whole under another name, as the safety
copy that `undo` brings back, until the next restore or prune.
"""

import asyncio
import time
from collections.abc import Callable, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import asyncpg

from mahavishnu.base.errors import Conflict, NotFound
from mahavishnu.database.backup.create import in_thread
from mahavishnu.database.backup.encryption import Decryption
from mahavishnu.database.backup.load import load, require_known
from mahavishnu.database.backup.manifest import PROOF, BackupManifest, parse_proof
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.room import DATABASE_FLOOR_BYTES, has_room, keeping_room
from mahavishnu.database.backup.server import (
    BackupServer,
    DatabaseSession,
    drop_database,
    find_databases,
    find_sessions,
    locked,
    rename_database,
    require_nobody,
    scratch_database,
)
from mahavishnu.database.backup.storage.port import Storage, StoredSet
from mahavishnu.database.backup.verify import read_set
from mahavishnu.database.migrate import HEAD
from mahavishnu.database.pool import DriverConnection
from mahavishnu.database.queries import load_queries

_QUERIES = load_queries("backup")
SWAPS = 5  # the server itself, as autovacuum, seldom writes between a look and a swap
OWN_END_S = 5.0  # as long as PostgreSQL itself waits before a rename

# Closes this process's own connections to the database, and gives their server processes, which may end a
# moment later.
type Disconnected = Callable[[], AbstractAsyncContextManager[Set[int]]]


@dataclass(frozen=True)
class Present:
    """
    The database that a restore would replace. `since` counts memories stored after the set was made.

    Every write moves `written`, where the server counts them (`track_counts`); that of a memory `last_change`, too.
    """

    memories: int
    since: int
    last_change: int
    written: str


@dataclass(frozen=True)
class PlannedRestore:
    """
    What a restore would do. `missing_roles` may read rows of the set, and this server does not have them.

    `drops_kept` says that the database which the last restore kept would be dropped.
    """

    stored: StoredSet
    manifest: BackupManifest
    proven: bool
    present: Present
    sessions: tuple[DatabaseSession, ...]
    missing_roles: tuple[str, ...]
    drops_kept: bool
    has_room: bool

    @property
    def migrates_to(self) -> str | None:
        """The schema that an older set is brought to."""
        return HEAD if self.manifest.revision < HEAD else None


async def plan(
    server: BackupServer, storage: Storage, stored: StoredSet, *, own: Set[int]
) -> PlannedRestore:
    """
    Look at both sides; nothing is changed. `own` are server processes of connections that the restore closes.

    Raises:
        Corrupt: the set is damaged, as far as that can be seen without reading it.
        Conflict: `backup.newer`.
    """
    manifest = await asyncio.to_thread(read_set, storage, stored)
    require_known(manifest)
    proof = parse_proof(await asyncio.to_thread(storage.read_note, stored, PROOF), manifest)
    async with server.maintain() as connection:
        members = list(manifest.members)
        known = await connection.fetch(_QUERIES["find_restored_members"], members)
        return PlannedRestore(
            stored=stored,
            manifest=manifest,
            proven=bool(proof and proof.proven),
            present=await _look(server, manifest),
            sessions=await _find_others(connection, server, own),
            missing_roles=tuple(sorted({*members} - {row["role"] for row in known})),
            drops_kept=await has_kept(connection, server),
            has_room=has_room(server.disk, DATABASE_FLOOR_BYTES),
        )


async def restore(
    server: BackupServer,
    storage: Storage,
    stored: StoredSet,
    *,
    decryption: Decryption,
    disconnected: Disconnected,
    progress: Progress,
) -> BackupManifest:
    """
    Replace the database by a set. Killed at any point, the database is the old or the new one, whole.

    Raises:
        Conflict: `backup.connected`, `backup.restoring`, or `backup.changed` where somebody stored
            anything meanwhile, in whichever table.
        Corrupt, Forbidden, Unavailable: the database is as it was.
    """
    async with in_thread(storage.use(stored)), disconnected() as own:
        manifest = await asyncio.to_thread(read_set, storage, stored)
        require_known(manifest)
        async with server.maintain() as connection, locked(connection, server):
            await _require_alone(connection, server, own)
            before = await _look(server, manifest)
            async with (
                keeping_room(server.disk, DATABASE_FLOOR_BYTES),
                scratch_database(connection, server) as database,
            ):
                await load(
                    server, database, storage, stored, manifest,
                    major=connection.get_server_version().major, decryption=decryption,
                    progress=progress,
                )  # fmt: skip
                await _replace(connection, server, manifest, before, database, progress)
    return manifest


async def undo(server: BackupServer, *, disconnected: Disconnected) -> None:
    """
    Bring back the database that the last restore replaced; the present one is kept instead of it.

    Raises:
        NotFound: `backup.nothing_to_undo`.
        Conflict: `backup.connected`, `backup.restoring`.
    """
    async with (
        disconnected() as own,
        server.maintain() as connection,
        locked(connection, server),
    ):
        require_nobody(await _find_others(connection, server, own), server.database)
        if not await has_kept(connection, server):
            raise NotFound(
                "No restore kept a database that could be brought back.",
                hint="Restore a backup instead: mahavishnu backup list",
                code="backup.nothing_to_undo",
            )
        await _swap(connection, server, server.kept)


async def has_kept(connection: DriverConnection, server: BackupServer) -> bool:
    """Tell whether the last restore can be undone."""
    return server.kept in await find_databases(connection, server.kept)


async def drop_kept(server: BackupServer, *, confirm: bool) -> bool:
    """Tell whether the last restore kept a database; with `confirm` drop it, and what killed ones left."""
    async with server.maintain() as connection:
        existed = await has_kept(connection, server)
        if confirm:
            async with locked(connection, server):
                await drop_database(connection, server.kept)
    return existed


async def _find_others(
    connection: DriverConnection, server: BackupServer, own: Set[int]
) -> tuple[DatabaseSession, ...]:
    sessions = await find_sessions(connection, server.database)
    return tuple(each for each in sessions if each.pid not in own)


async def _look(server: BackupServer, manifest: BackupManifest) -> Present:
    async with server.connect(server.database) as inside:
        row = await inside.fetchrow(_QUERIES["measure_present"], manifest.last_memory)
        assert row is not None
        return Present(**row)


async def _require_alone(connection: DriverConnection, server: BackupServer, own: Set[int]) -> None:
    """Refuse where others are connected; wait for the end of our own connections, which count what they wrote."""
    until = time.monotonic() + OWN_END_S
    while sessions := await find_sessions(connection, server.database):
        others = tuple(each for each in sessions if each.pid not in own)
        if others or time.monotonic() > until:
            require_nobody(others or sessions, server.database)
        await asyncio.sleep(0.02)


async def _count_written(connection: DriverConnection, database: str) -> int | None:
    count: int | None = await connection.fetchval(_QUERIES["count_written"], database)
    return count


async def _replace(
    connection: DriverConnection,
    server: BackupServer,
    manifest: BackupManifest,
    before: Present,
    database: str,
    progress: Progress,
) -> None:
    """
    Swap unless a table of ours was written since `before`.

    A write moves what `_look` reads, or the count until nobody can connect any more. So does what the server itself
    writes: then it looks again.
    """
    for swaps_left in reversed(range(SWAPS)):
        count = await _count_written(connection, server.database)
        now = await _look(server, manifest)
        if (now.last_change, now.written) != (before.last_change, before.written):
            raise _changed()
        progress.step = "Replacing"
        try:
            await _swap(connection, server, database, written=count)
        except Conflict as error:
            if error.code != "backup.changed" or not swaps_left:
                raise
        else:
            return


def _changed() -> Conflict:
    return Conflict(
        "Something was stored while the restore was running; it would be lost, so nothing was changed.",
        hint="End what writes, the daemon by mahavishnu down, and try again.",
        code="backup.changed",
    )


async def _swap(
    connection: DriverConnection,
    server: BackupServer,
    database: str,
    *,
    written: int | None = None,
) -> None:
    """
    Give `database` the configured name, and the present one the name to undo by, in one transaction.

    Refuses where the present one counts other writes than `written`. By then nobody is connected, and nobody can
    connect until the transaction ends.
    """
    aside = server.scratch_name()
    kept = await has_kept(connection, server)
    try:
        async with connection.transaction():
            if kept and database != server.kept:  # of an earlier restore; dropped as a leftover
                await rename_database(connection, server.kept, server.scratch_name())
            await rename_database(connection, server.database, aside)
            await rename_database(connection, database, server.database)
            await rename_database(connection, aside, server.kept)
            if written is not None and await _count_written(connection, server.kept) != written:
                raise _changed()
    except asyncpg.ObjectInUseError as error:
        require_nobody(await find_sessions(connection, server.database), server.database)
        raise Conflict(
            f"The database {server.database} is in use.",
            hint="Try again when nobody is connected.",
            code="backup.connected",
        ) from error
    for name in await find_databases(connection, server.leftovers):
        await drop_database(connection, name)
