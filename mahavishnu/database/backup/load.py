"""Put the dump of a set into an empty database, and compare the result with the manifest."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from mahavishnu.base.errors import Corrupt, MahavishnuError, Unavailable
from mahavishnu.database.backup.checksums import (
    checksum_tables,
    read_structure,
    structure_differences,
    table_differences,
)
from mahavishnu.database.backup.encryption import Decryption
from mahavishnu.database.backup.manifest import DATABASE, OTHER_SET, BackupManifest, Part, newer
from mahavishnu.database.backup.parts import Progress, feed_beginning, feed_part
from mahavishnu.database.backup.server import BackupServer, format_statement
from mahavishnu.database.backup.storage.port import PartWriter, Storage, StoredSet
from mahavishnu.database.grants import grant_member
from mahavishnu.database.migrate import HEAD, upgrade
from mahavishnu.database.queries import load_queries

_QUERIES = load_queries("backup")
SHOWN_DIFFERENCES = 5
_OPTIONS = (
    "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments", "--no-password",
)  # fmt: skip

type _Feed = Callable[[Storage, StoredSet, Part, PartWriter, Decryption, Progress], None]


def require_known(manifest: BackupManifest) -> None:
    """Refuse a set whose schema is newer than this release; raises `Conflict` `backup.newer`."""
    if manifest.revision > HEAD:
        raise newer(f"of schema {manifest.revision}", HEAD)


async def load(
    server: BackupServer,
    database: str,
    storage: Storage,
    stored: StoredSet,
    manifest: BackupManifest,
    *,
    major: int,
    decryption: Decryption,
    progress: Progress,
) -> None:
    """
    Restore the dump into an empty database of a server of version `major`, compare, and migrate.

    pg_restore works as the role that owns the rows, not as a superuser, so that a forged dump can do no
    more than that role. Rows are compared while their indexes are built.

    Raises:
        Unavailable: `backup.no_programs`, `backup.load_failed`.
        Corrupt: `backup.content_differs`; Corrupt and Forbidden as `feed_part`.
    """
    progress.step = "Restoring"
    programs = server.programs(major, archive=manifest.program)
    url = server.url(database, everyday=server.embedded)
    owner, is_owner = await _owner_of(server, database)
    options = [*_OPTIONS, *([] if server.embedded or is_owner else [f"--role={owner}"])]
    dump = manifest.part(DATABASE)

    async def run(sections: Sequence[str], feed: _Feed) -> None:
        wanted = [f"--section={section}" for section in sections]
        with programs.run(
            "pg_restore", url, [*options, *wanted], environ=server.environ
        ) as running:
            sink = running.process.stdin
            assert sink is not None
            await asyncio.to_thread(feed, storage, stored, dump, sink, decryption, progress)
            why = await asyncio.to_thread(running.finish)
        if why is not None:
            raise Unavailable(
                f"pg_restore failed: {why}",
                hint="The database is as it was. If the disk is full, free some space.",
                code="backup.load_failed",
            )

    await run(("pre-data", "data"), feed_part)
    progress.step = "Comparing"
    indexed = asyncio.create_task(run(("post-data",), feed_beginning))
    try:
        async with server.connect(database) as connection:
            tables = await checksum_tables(connection)
        # Before the indexes: rows that are missing make those fail, too.
        _require_equal(stored, table_differences(manifest.tables, tables))
        await indexed
    finally:
        indexed.cancel()
        with contextlib.suppress(asyncio.CancelledError, MahavishnuError):
            await indexed
    async with server.connect(database) as connection:
        structure = await read_structure(connection)
    _require_equal(stored, structure_differences(manifest.structure, structure))
    await _modernise(server, database, manifest, owner, progress)


async def _owner_of(server: BackupServer, database: str) -> tuple[str, bool]:
    """Return the owner of a database, and whether that is the role for backups itself."""
    async with server.connect(database) as connection:
        owner, role = await connection.fetchrow(
            "SELECT pg_get_userbyid(datdba)::text, current_user::text FROM pg_database "
            "WHERE datname = current_database()"
        )
    return owner, owner == role


def _require_equal(stored: StoredSet, differences: list[str]) -> None:
    if differences:
        shown = "; ".join(differences[:SHOWN_DIFFERENCES])
        rest = len(differences) - SHOWN_DIFFERENCES
        raise Corrupt(
            f"The set {stored.name} does not restore to what its manifest says: {shown}"
            f"{f' and {rest} more' if rest > 0 else ''}.",
            hint=OTHER_SET,
            code="backup.content_differs",
        )


async def _modernise(
    server: BackupServer, database: str, manifest: BackupManifest, owner: str, progress: Progress
) -> None:
    """
    Bring a restored database to the schema of this release, and to this server's transactions and members.

    What is made and granted here is the owner's, as if the owner had done so.
    """
    if manifest.revision < HEAD:
        progress.step = "Migrating"
        await upgrade(server.target(database, role=owner))
    async with server.connect(database) as connection:
        await connection.execute(_QUERIES["restart_changes"], timeout=None)
        await connection.execute("ANALYZE", timeout=None)
        members = await connection.fetch(_QUERIES["find_restored_members"], list(manifest.members))
        await connection.execute(await format_statement(connection, "SET ROLE %I", owner))
        for row in members:
            await grant_member(connection, row["role"])
