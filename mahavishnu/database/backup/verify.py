"""Read sets: what they say, whether they are whole, and whether every byte is what was written."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mahavishnu.base.errors import Conflict, Corrupt, MahavishnuError, NotFound, Unavailable
from mahavishnu.database.backup.create import in_thread
from mahavishnu.database.backup.encryption import Decryption
from mahavishnu.database.backup.manifest import (
    DATABASE,
    MANIFEST,
    OTHER_SET,
    PROOF,
    BackupManifest,
    Proof,
    encode,
    parse_manifest,
    parse_proof,
)
from mahavishnu.database.backup.parts import (
    Progress,
    check_part,
    feed_part,
    missing,
    require_sizes,
)
from mahavishnu.database.backup.server import BackupServer
from mahavishnu.database.backup.storage.port import Storage, StoredSet

LATEST = "latest"


@dataclass(frozen=True)
class ListedSet:
    """A set as the list has it: what it says, or what is wrong with it."""

    stored: StoredSet
    manifest: BackupManifest | None
    proof: Proof | None
    problem: MahavishnuError | None

    @property
    def proven_at(self) -> datetime | None:
        """When its last drill succeeded; None where none did, or a part is missing."""
        proof = self.proof
        return proof.at if proof and proof.proven and self.problem is None else None

    @property
    def is_damaged(self) -> bool:
        """Whether its last drill or verify found damage, or the list did."""
        return isinstance(self.problem, Corrupt) or bool(self.proof and not self.proof.proven)


@dataclass(frozen=True)
class ProvenSet:
    """When a set was made, which is what its age counts from, and when its last drill succeeded."""

    created_at: datetime
    proven_at: datetime

    @property
    def was_older(self) -> bool:
        """Whether the set was old when it was proven, so that both times are worth showing."""
        return self.proven_at - self.created_at > timedelta(hours=1)


def read_set(storage: Storage, stored: StoredSet) -> BackupManifest:
    """
    Return what a set says of itself, its parts being there with their sizes; nothing else is read.

    Raises:
        Corrupt: `backup.part_missing`, `backup.part_truncated`, or as `parse_manifest`.
    """
    content = storage.read_note(stored, MANIFEST)
    if content is None:
        raise missing(MANIFEST, stored)
    manifest = parse_manifest(content, token=stored.token)
    require_sizes(storage, stored, manifest.parts)
    return manifest


def list_sets(storage: Storage) -> list[ListedSet]:
    """Return all sets, oldest first, damaged ones too."""
    return [_list_one(storage, stored) for stored in storage.find()]


def newest_proven(storage: Storage) -> ProvenSet | None:
    """Return the newest set that is proven; None without one."""
    for each in reversed(list_sets(storage)):
        if each.manifest is not None and each.proven_at is not None:
            return ProvenSet(created_at=each.manifest.created_at, proven_at=each.proven_at)
    return None


def _list_one(storage: Storage, stored: StoredSet) -> ListedSet:
    try:
        manifest = read_set(storage, stored)
        proof = parse_proof(storage.read_note(stored, PROOF), manifest)
    except MahavishnuError as error:
        return ListedSet(stored, None, None, error)
    return ListedSet(stored, manifest, proof, None)


def choose(storage: Storage, reference: str) -> StoredSet:
    """
    Return a set by its number, name, token, or `latest`, the newest one.

    Raises:
        NotFound: `backup.not_found`.
        Conflict: `backup.ambiguous`.
    """
    sets = storage.find()
    if reference == LATEST:
        found = sets[-1:]
    else:
        number = int(reference) if reference.isdecimal() else None
        found = [each for each in sets if reference in (each.name, each.token)]
        found = found or [each for each in sets if each.number == number]
    if not found:
        raise NotFound(
            "There is no backup yet."
            if reference == LATEST
            else f"There is no backup {reference}.",
            hint="Make one: mahavishnu backup create"
            if reference == LATEST
            else "List them: mahavishnu backup list",
            code="backup.not_found",
        )
    if len(found) > 1:
        raise Conflict(
            f"Several backups are called {reference}.",
            hint="Give the whole name: " + ", ".join(each.name for each in found),
            code="backup.ambiguous",
        )
    return found[0]


async def verify(
    server: BackupServer,
    storage: Storage,
    stored: StoredSet,
    *,
    decryption: Decryption,
    progress: Progress,
) -> BackupManifest:
    """
    Read every byte of a set; an encrypted one is not decrypted where the identity file is missing.

    pg_restore reads the dump to its end. Only a drill proves that the rows are those of the manifest. Damage is
    recorded: a set that was proven is so no more.

    Raises:
        Corrupt: `backup.part_changed`, `backup.part_missing`, `backup.part_truncated`,
            `backup.manifest_changed`, `backup.manifest_damaged`, `backup.encrypted_damaged`,
            `backup.unreadable`.
        Forbidden: `backup.wrong_key`.
        Unavailable: `backup.load_failed`, where something ended pg_restore.
    """
    progress.step = "Verifying"
    async with in_thread(storage.use(stored)):
        manifest = await asyncio.to_thread(read_set, storage, stored)
        try:
            for part in manifest.parts:
                await asyncio.to_thread(check_part, storage, stored, part, progress)
            if decryption.path.exists() or not manifest.encrypted:
                await _read_dump(server, storage, stored, manifest, decryption, progress)
        except Corrupt as error:
            with contextlib.suppress(MahavishnuError):  # unwritable: the damage is the news
                await record_damage(storage, stored, manifest, error, at=datetime.now(UTC))
            raise
    return manifest


async def record_damage(
    storage: Storage, stored: StoredSet, manifest: BackupManifest, error: Corrupt, *, at: datetime
) -> None:
    """Note beside a set what is wrong with it; the caller uses the set."""
    proof = Proof(
        manifest=manifest.digest, at=at, proven=False, code=error.code, message=error.message
    )
    await asyncio.to_thread(storage.write_note, stored, PROOF, encode(proof))


async def _read_dump(
    server: BackupServer,
    storage: Storage,
    stored: StoredSet,
    manifest: BackupManifest,
    decryption: Decryption,
    progress: Progress,
) -> None:
    with server.programs(manifest.program).read_archive() as running:
        sink = running.process.stdin
        assert sink is not None
        dump = manifest.part(DATABASE)
        await asyncio.to_thread(feed_part, storage, stored, dump, sink, decryption, progress)
        why = await asyncio.to_thread(running.finish)
    if why is None:
        return
    if running.process.returncode < 0:  # by a signal, which says nothing of the set
        raise Unavailable(
            f"pg_restore was ended: {why}", hint="Try again.", code="backup.load_failed"
        )
    raise Corrupt(
        f"pg_restore cannot read the dump of the set {stored.name}: {why}",
        hint=OTHER_SET,
        code="backup.unreadable",
    )
