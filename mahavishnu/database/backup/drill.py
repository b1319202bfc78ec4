"""Prove a set: restore it into a scratch database, compare, search; only then it counts as proven."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mahavishnu.base.errors import Corrupt
from mahavishnu.database.backup.create import in_thread
from mahavishnu.database.backup.encryption import Decryption
from mahavishnu.database.backup.load import load, require_known
from mahavishnu.database.backup.manifest import DATABASE, PROOF, Proof, encode
from mahavishnu.database.backup.parts import Progress, read_part
from mahavishnu.database.backup.room import DATABASE_FLOOR_BYTES, keeping_room
from mahavishnu.database.backup.server import BackupServer, locked, scratch_database
from mahavishnu.database.backup.storage.port import Storage, StoredSet
from mahavishnu.database.backup.verify import read_set, record_damage
from mahavishnu.database.target import Target

# Searches for sampled memories by their words and by their vectors, and returns how many of each
# were found; raises `Corrupt` where one was not.
type SampleSearch = Callable[[Target], Awaitable[tuple[int, int]]]


async def drill(
    server: BackupServer,
    storage: Storage,
    stored: StoredSet,
    *,
    decryption: Decryption,
    search: SampleSearch,
    progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Proof:
    """
    Restore a set into a database of its own, which is dropped; record that the set is proven, or is not.

    Raises:
        Corrupt: the set is damaged, which is recorded too: `backup.content_differs`,
            `backup.search_failed`, or what `verify` raises.
        Conflict: `backup.restoring`, `backup.newer`.
        Unavailable, Forbidden: it could not be tried; nothing is recorded.
    """
    started = time.monotonic()
    async with in_thread(storage.use(stored)):
        manifest = await asyncio.to_thread(read_set, storage, stored)
        require_known(manifest)
        at = now()
        try:
            for part in manifest.parts:  # a drill loads only the dump, so the others are read
                if part != manifest.part(DATABASE):
                    await asyncio.to_thread(read_part, storage, stored, part, decryption)
            async with (
                server.maintain() as connection,
                locked(connection, server),
                keeping_room(server.disk, DATABASE_FLOOR_BYTES),
                scratch_database(connection, server) as database,
            ):
                version = await connection.fetchval("SHOW server_version")
                await load(
                    server, database, storage, stored, manifest, major=connection.get_server_version().major,
                    decryption=decryption, progress=progress,
                )  # fmt: skip
                progress.step = "Searching"
                texts, vectors = await search(server.target(database))
        except Corrupt as error:
            await record_damage(storage, stored, manifest, error, at=at)
            raise
        proof = Proof(
            manifest=manifest.digest,
            at=at,
            proven=True,
            postgresql=version.partition(" ")[0],
            text_searches=texts,
            vector_searches=vectors,
            seconds=round(time.monotonic() - started, 2),
        )
        await asyncio.to_thread(storage.write_note, stored, PROOF, encode(proof))
    return proof
