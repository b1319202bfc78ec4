"""Make a backup set: pg_dump and the checksums read one exported snapshot, and so the same rows."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from mahavishnu import __version__
from mahavishnu.base.errors import Unavailable
from mahavishnu.database.backup.checksums import checksum_tables, read_structure
from mahavishnu.database.backup.encryption import PartEncryption
from mahavishnu.database.backup.manifest import (
    DATABASE,
    FORMAT,
    MANIFEST,
    BackupManifest,
    Model,
    Part,
    Table,
    write_manifest,
)
from mahavishnu.database.backup.parts import Progress, store_part
from mahavishnu.database.backup.programs import Programs, Running
from mahavishnu.database.backup.room import SET_FLOOR_BYTES, keeping_room
from mahavishnu.database.backup.server import BackupServer, require_reader
from mahavishnu.database.backup.storage.port import Draft, Storage, StoredSet
from mahavishnu.database.migrate import HEAD, read_state, require_current
from mahavishnu.database.pool import DriverConnection
from mahavishnu.database.queries import load_queries

_QUERIES = load_queries("backup")
_LOCK_WAIT_MS = 60_000  # how long pg_dump waits for a migration


async def create(
    server: BackupServer,
    storage: Storage,
    files: Mapping[str, bytes],
    *,
    encryption: PartEncryption | None,
    progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[StoredSet, BackupManifest]:
    """
    Make a set of the configured database and of `files`, the contents of the other parts by name.

    Raises:
        Forbidden: `backup.rights`.
        Conflict: `backup.busy`, `database.not_initialised`, or a schema that is newer than this release.
        Unavailable: `backup.no_programs`, `backup.dump_failed`, `backup.disk_full`, `backup.no_room`.
    """
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(server.connect(server.database))
        await require_reader(connection)
        state = await read_state(connection)
        if state.revision is None or state.revision > HEAD:
            require_current(state)
        programs = server.programs(connection.get_server_version().major)
        draft = await stack.enter_async_context(in_thread(storage.begin()))
        disk = server.disk if storage.shares_disk(server.disk) else None
        async with keeping_room(disk, SET_FLOOR_BYTES):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                manifest = await _dump(
                    connection, server, draft, programs, encryption, progress, now
                )
            progress.step = "Storing"
            parts = [
                await asyncio.to_thread(
                    store_part, draft, name, io.BytesIO(content), encryption, progress
                )
                for name, content in files.items()
            ]
            manifest = msgspec.structs.replace(manifest, parts=(*manifest.parts, *parts))
            content = io.BytesIO(write_manifest(manifest))
            await asyncio.to_thread(store_part, draft, MANIFEST, content, None, progress)
            stored = await asyncio.to_thread(draft.publish, manifest.created_at)
    return stored, manifest


@contextlib.asynccontextmanager
async def in_thread[T](
    context: contextlib.AbstractContextManager[T],
) -> AsyncIterator[T]:
    """Enter and leave what waits for files or a network in a thread, so that nobody else waits."""
    stack = contextlib.ExitStack()
    value = await asyncio.to_thread(stack.enter_context, context)
    try:
        yield value
    finally:
        await asyncio.shield(asyncio.to_thread(stack.close))


async def _dump(
    connection: DriverConnection,
    server: BackupServer,
    draft: Draft,
    programs: Programs,
    encryption: PartEncryption | None,
    progress: Progress,
    now: Callable[[], datetime],
) -> BackupManifest:
    progress.step = "Dumping"
    created_at = now().replace(microsecond=0)
    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
    source = await connection.fetchrow(_QUERIES["describe_source"])
    assert source is not None
    structure = await read_structure(connection)
    members = await connection.fetch(_QUERIES["find_members"])
    models = await connection.fetch(_QUERIES["list_models"])
    options = [
        "--format=custom", f"--snapshot={snapshot}", "--no-password", f"--lock-wait-timeout={_LOCK_WAIT_MS}",
    ]  # fmt: skip
    url = server.url(server.database)
    with programs.run("pg_dump", url, options, environ=server.environ) as running:
        part, tables = await _store_and_compute(connection, draft, running, encryption, progress)
    return BackupManifest(
        format=FORMAT,
        token=draft.token,
        created_at=created_at,
        product=__version__,
        program=programs.major,
        members=tuple(row["role"] for row in members),
        tables=tables,
        structure=structure,
        models=tuple(Model(**row) for row in models),
        parts=(part,),
        recipients=encryption.recipients if encryption else (),
        **source,
    )


async def _store_and_compute(
    connection: DriverConnection,
    draft: Draft,
    running: Running,
    encryption: PartEncryption | None,
    progress: Progress,
) -> tuple[Part, tuple[Table, ...]]:
    """Let pg_dump write while the server computes; the first of them to fail ends both."""
    stored = asyncio.create_task(
        asyncio.to_thread(_store_dump, draft, running, encryption, progress)
    )
    computed = asyncio.create_task(checksum_tables(connection))
    try:
        done, _ = await asyncio.wait({stored, computed}, return_when=asyncio.FIRST_EXCEPTION)
        for each in done:
            each.result()
        return stored.result(), computed.result()
    finally:
        running.process.kill()  # where this failed or was cancelled, the thread ends with it
        computed.cancel()
        await asyncio.wait({stored, computed})
        for each in (stored, computed):
            each.cancelled() or each.exception()  # the first one was raised


def _store_dump(
    draft: Draft, running: Running, encryption: PartEncryption | None, progress: Progress
) -> Part:
    assert running.process.stdout is not None
    part = store_part(draft, DATABASE, running.process.stdout, encryption, progress)
    if (why := running.finish()) is not None:
        raise Unavailable(
            f"pg_dump failed: {why}",
            hint="Nothing of it was kept. Try again; if it fails again, run: mahavishnu doctor",
            code="backup.dump_failed",
        )
    return part
