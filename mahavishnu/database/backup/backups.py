"""The backups of one application: what its commands do with the sets of one place and the server in use."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mahavishnu.database.backup import create, drill, prune, restore, verify
from mahavishnu.database.backup.encryption import Decryption, PartEncryption
from mahavishnu.database.backup.manifest import BackupManifest
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.restore import PlannedRestore
from mahavishnu.database.backup.server import BackupServer
from mahavishnu.database.backup.storage.port import Storage, StoredSet, Unfinished
from mahavishnu.database.backup.storage.retention import KeptSets
from mahavishnu.database.backup.verify import ListedSet, ProvenSet, choose, list_sets
from mahavishnu.database.pool import Database

PROVEN_TTL_S = 300.0  # how long `newest_proven` believes what it read, which may be in a cloud


@dataclass
class Backups:
    """
    What can be done with backups. `server` and `storage` are opened when they are needed, a storage in a thread.

    `replaced` are called when a restore replaced the database.
    """

    database: Database
    server: Callable[[], BackupServer]
    storage: Callable[[], Storage]
    recipients: tuple[str, ...]
    identity: Path
    search: drill.SampleSearch
    replaced: tuple[Callable[[], None], ...]
    retention: KeptSets
    _proven: tuple[float, asyncio.Task[ProvenSet | None]] | None = field(default=None, init=False)

    async def create(self, files: Mapping[str, bytes], progress: Progress) -> ListedSet:
        """Make a set of the database and of `files`, the contents of the other parts by name."""
        encryption = PartEncryption(self.recipients) if self.recipients else None
        stored, manifest = await create.create(
            self.server(),
            await asyncio.to_thread(self.storage),
            files,
            encryption=encryption,
            progress=progress,
        )
        return ListedSet(stored, manifest, None, None)

    async def list_sets(self) -> tuple[list[ListedSet], list[Unfinished]]:
        """Return all sets, oldest first, and what is unfinished."""

        def look() -> tuple[list[ListedSet], list[Unfinished]]:
            storage = self.storage()
            return list_sets(storage), storage.find_unfinished()

        return await asyncio.to_thread(look)

    async def verify(self, reference: str, progress: Progress) -> tuple[StoredSet, BackupManifest]:
        """Read every byte of a set; one that is damaged is not proven any more."""
        storage, stored = await self._choose(reference)
        try:
            manifest = await verify.verify(
                self.server(), storage, stored, decryption=self._decryption, progress=progress
            )
        finally:
            self._proven = None
        return stored, manifest

    async def drill(self, reference: str, progress: Progress) -> ListedSet:
        """Prove a set by restoring it into a scratch database."""
        storage, stored = await self._choose(reference)
        try:
            proof = await drill.drill(
                self.server(), storage, stored, decryption=self._decryption, search=self.search,
                progress=progress,
            )  # fmt: skip
        finally:
            self._proven = None
        return ListedSet(
            stored, await asyncio.to_thread(verify.read_set, storage, stored), proof, None
        )

    async def plan(self, reference: str) -> PlannedRestore:
        """Return what a restore would do."""
        storage, stored = await self._choose(reference)
        return await restore.plan(self.server(), storage, stored, own=self.database.pids)

    async def restore(self, reference: str, progress: Progress) -> None:
        """Replace the database by a set."""
        storage, stored = await self._choose(reference)
        await restore.restore(
            self.server(), storage, stored, decryption=self._decryption,
            disconnected=self._disconnected, progress=progress,
        )  # fmt: skip

    async def undo(self) -> None:
        """Bring back the database that the last restore replaced."""
        await restore.undo(self.server(), disconnected=self._disconnected)

    async def prune(self, *, replaced: bool, confirm: bool) -> prune.PrunedSets:
        """
        Decide which sets stay; with `confirm` remove the others, and with `replaced` what `undo` would bring back.

        Raises:
            Conflict: `backup.busy`, `backup.restoring`.
        """
        storage = await asyncio.to_thread(self.storage)
        sets = await asyncio.to_thread(list_sets, storage)
        judged = prune.judge(sets, self.retention, now=datetime.now(UTC))
        in_use: frozenset[StoredSet] = frozenset()
        drops = replaced and await restore.drop_kept(self.server(), confirm=confirm)
        if confirm:
            in_use = await asyncio.to_thread(prune.remove, storage, judged)
        return prune.PrunedSets(tuple(judged), in_use, drops)

    async def newest_proven(self) -> ProvenSet | None:
        """
        Return the newest proven set, as it was known at most five minutes ago; None without one.

        A caller that stops waiting for a slow cloud leaves the answer to the next one.
        """
        if self._proven is None or (self._proven[1].done() and time.monotonic() > self._proven[0]):
            looking = asyncio.create_task(asyncio.to_thread(self._look_for_proof))
            self._proven = time.monotonic() + PROVEN_TTL_S, looking
        return await asyncio.shield(self._proven[1])

    def _look_for_proof(self) -> ProvenSet | None:
        return verify.newest_proven(self.storage())

    @property
    def _decryption(self) -> Decryption:
        return Decryption(self.identity)

    async def _choose(self, reference: str) -> tuple[Storage, StoredSet]:
        storage = await asyncio.to_thread(self.storage)
        return storage, await asyncio.to_thread(choose, storage, reference)

    @contextlib.asynccontextmanager
    async def _disconnected(self) -> AsyncIterator[Set[int]]:
        async with self.database.disconnected():
            yield self.database.pids
            for forget in self.replaced:
                forget()
