"""Backups in tests: those of one test database, and ways to damage a set."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import msgspec

from mahavishnu.database.backup.backups import Backups
from mahavishnu.database.backup.manifest import (
    CONFIGURATION,
    DATABASE,
    JOURNAL,
    MANIFEST,
    BackupManifest,
    write_manifest,
)
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.server import BackupServer
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.storage.port import StoredSet
from mahavishnu.database.backup.storage.retention import KeptSets
from mahavishnu.database.backup.verify import ListedSet, choose, list_sets
from mahavishnu.database.pool import Database
from mahavishnu.memory.samples import search_samples
from tests.conftest import Cluster

FILES = {CONFIGURATION: b"{}\n", JOURNAL: b""}


@dataclass(frozen=True)
class Bench:
    """The backups of one database, in a folder."""

    backups: Backups
    server: BackupServer
    storage: LocalFolder

    async def create(self) -> StoredSet:
        return (await self.backups.create(FILES, Progress())).stored

    async def verify(self, stored: StoredSet) -> BackupManifest:
        return (await self.backups.verify(stored.name, Progress()))[1]

    async def drill(self, stored: StoredSet) -> ListedSet:
        return await self.backups.drill(stored.name, Progress())

    async def restore(self, stored: StoredSet) -> None:
        await self.backups.restore(stored.name, Progress())

    def look(self, stored: StoredSet) -> ListedSet:
        """Return a set as the list has it."""
        return next(each for each in list_sets(self.storage) if each.stored == stored)

    def path(self, stored: StoredSet, name: str = DATABASE) -> Path:
        return self.storage.root / stored.name / name

    def forge(
        self, stored: StoredSet, change: Callable[[BackupManifest], BackupManifest] = lambda m: m
    ) -> None:
        """Let a set's manifest fit the parts that it has now: sizes, digests, and its own digest."""
        manifest = self.look(stored).manifest
        content = self.path(stored, MANIFEST).read_bytes()
        manifest = manifest or msgspec.json.decode(content, type=BackupManifest)
        parts = []
        for part in manifest.parts:
            content = self.path(stored, part.name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            parts.append(msgspec.structs.replace(part, size_bytes=len(content), sha256=digest))
        whole = msgspec.structs.replace(change(manifest), parts=tuple(parts))
        self.path(stored, MANIFEST).write_bytes(write_manifest(whole))

    def newest(self) -> StoredSet:
        return choose(self.storage, "latest")

    def at(self, server: BackupServer) -> "Bench":
        """Return the same with another role or database."""
        return Bench(replace_server(self.backups, server), server, self.storage)


def replace_server(backups: Backups, server: BackupServer) -> Backups:
    return replace(backups, server=lambda: server)


def server_in(cluster: Cluster, database: str) -> BackupServer:
    """Return a server that is used as the embedded one is."""
    return BackupServer(
        database=database,
        admin={"dsn": cluster.dsn(database, "postgres")},
        everyday={"dsn": cluster.dsn(database)},
        environ={},
        path="",
        binaries=None,
        disk=cluster.socket_folder,
    )


def bench_of(database: Database, server: BackupServer, folder: Path) -> Bench:
    """Return the backups of a server, whose database that pool is connected to."""
    storage = LocalFolder(folder / "sets")
    backups = Backups(
        database=database, server=lambda: server, storage=lambda: storage, recipients=(),
        identity=folder / "identity.txt", search=search_samples, replaced=(),
        retention=KeptSets(last=1, daily=0, weekly=0, monthly=0, min_age=timedelta(0)),
    )  # fmt: skip
    return Bench(backups, server, storage)


def flipped(content: bytes) -> bytes:
    """Return it with another bit in the middle; overwriting by a constant would sometimes change nothing."""
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    return bytes(changed)


# What happens to which part (None: it is lost), and the code that says so.
DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "a truncated dump": (DATABASE, lambda dump: dump[: len(dump) // 2], "backup.part_truncated"),
    "a flipped bit": (DATABASE, flipped, "backup.part_changed"),
    "a missing part": (CONFIGURATION, lambda _: None, "backup.part_missing"),
    "an edited manifest": (
        MANIFEST, lambda text: text.replace(b'"last_memory": 1', b'"last_memory": 2'), "backup.manifest_changed",
    ),
    "a manifest cut short": (MANIFEST, lambda text: text[:100], "backup.manifest_damaged"),
}  # fmt: skip
