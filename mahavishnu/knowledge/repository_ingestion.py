"""
Bring what is stored of a repository in line with its files, reading all and storing only what changed.

What is known of a file is what its chunks say: a run that was killed leaves nothing that the next
one does not find and fix.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import batched
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.extras import require_enabled
from mahavishnu.base.logs import get_logger
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge import discovery
from mahavishnu.knowledge.repositories import Repositories, Repository
from mahavishnu.knowledge.runs import Ingested, Run, recorded_run
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore

BATCH_FILES = 64
BATCH_CHARACTERS = 1 << 19
PARTS_AT_ONCE = 2  # one is split while another is stored
KIND = "repository"
SPLITTER = "2"  # another way of splitting gets another number, and splits all files again
LEAST_TOKENS = 64
_QUERIES = load_queries("repositories")
_log = get_logger(__name__)

type RepositoryProgress = Callable[
    [int, int, int], Awaitable[None]
]  # files read, of how many, chunks stored


@dataclass(frozen=True)
class Splitting:
    """How files are split: the most tokens of a chunk, and of what two chunks of a text share."""

    chunk_tokens: int = 1_024
    overlap_tokens: int = 20

    def within(self, window_tokens: int) -> "Splitting":
        """Return chunks that fit a model's window (0: unknown) with their path and names, an eighth of it."""
        if not window_tokens:
            return self
        chunk = min(self.chunk_tokens, max(LEAST_TOKENS, window_tokens * 7 // 8))
        return Splitting(chunk, min(self.overlap_tokens, chunk // 4))


@dataclass(frozen=True)
class ChangedFile:
    """A file to be stored. `fingerprint` changes with its bytes and with how it is split."""

    source: discovery.SourceText
    fingerprint: str
    commit: str | None


@dataclass
class StoredChunks:
    """The ids of a file's chunks, and how many of them are new or wait for their vectors."""

    ids: list[UUID] = field(default_factory=list)
    created: int = 0
    waiting: int = 0


type StoreFiles = Callable[[Sequence[ChangedFile]], Awaitable[Mapping[str, StoredChunks]]]
type MakeStoreFiles = Callable[[Repository, Splitting], Awaitable[StoreFiles]]


@dataclass
class _Known:
    """What is stored of a file; without a fingerprint it is not all of one version."""

    fingerprint: str | None
    commit: str | None
    ids: list[UUID]


@dataclass
class _Work:
    """One run: what is known, what is at HEAD, and what it did so far."""

    repository: Repository
    splitting: Splitting
    known: dict[str, _Known]
    blobs: Mapping[str, str]
    outcome: Ingested
    newly_committed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class RepositoryIngestion:
    """Ingests repositories; `make_store_files` is called where there is something to store."""

    database: Database
    memories: MemoryStore
    repositories: Repositories
    space: EmbeddingSpace
    make_store_files: MakeStoreFiles
    splitting: Splitting
    enabled: bool = True

    async def ingest(
        self,
        repository: Repository,
        *,
        metadata: Mapping[str, Any] | None = None,
        progress: RepositoryProgress | None = None,
    ) -> Ingested:
        """
        Store what changed, forget what is gone; `metadata` are kept with the run.

        Raises:
            NotFound: the folder is gone, also in the middle; what is stored of it stays.
            Conflict: `repository.busy`; `repository.empty`: it has no file any more that is read.
            Unavailable: `engine.not_installed`, or git is not installed.
            UsageError: `engine.off`.
        """
        require_enabled("llamaindex", self.enabled)
        async with self._alone(repository):
            return await self._ingest(repository, metadata or {}, progress)

    async def _ingest(
        self,
        repository: Repository,
        metadata: Mapping[str, Any],
        progress: RepositoryProgress | None,
    ) -> Ingested:
        path = str(repository.path)
        outcome = Ingested(path, repository.name, path, repository.repo_id)
        scope = await self.repositories.scope_of(repository)
        given = {"given": dict(metadata)}
        async with recorded_run(self.database, scope, KIND, outcome, given) as run:
            found = await discovery.discover(
                repository.path, include=repository.include, exclude=repository.exclude
            )
            run.record = (await self.repositories.source_of(repository)).record
            outcome.commit, blobs = await discovery.read_blobs(repository.path)
            outcome.skipped.update(found.skipped)
            await run.note()
            splitting = self.splitting.within(await self._window())
            work = _Work(repository, splitting, await self._known(repository), blobs, outcome)
            if work.known and not found.paths:
                raise Conflict(
                    f"{path} has no file any more that is read; what is stored of it stays.",
                    hint=f"Is its disk there? To forget it: mahavishnu repo remove {repository.name}",
                    code="repository.empty",
                )
            await self._store_changes(work, found.paths, run, progress)
            await self._forget_gone(work)
            if outcome.waiting:
                run.remark = f"waiting for their vectors: {outcome.waiting} chunks"
        return outcome

    async def remove(self, repository: Repository) -> int:
        """Forget a repository with all its chunks; return how many they were. Raises as `ingest`."""
        async with self._alone(repository):
            known = (await self._known(repository)).values()
            ids = [each for file in known for each in file.ids]
            gone = await self.memories.forget(ids, purge=True)
            await self.repositories.remove(repository)
        return len(gone)

    async def _store_changes(
        self, work: _Work, paths: Sequence[str], run: Run, progress: RepositoryProgress | None
    ) -> None:
        store_files: StoreFiles | None = None
        outcome = work.outcome
        done = 0
        free = asyncio.Semaphore(PARTS_AT_ONCE)

        async def store(part: Sequence[ChangedFile], store_files: StoreFiles) -> None:
            try:
                await self._replace(work, part, await store_files(part))
                if progress is not None:
                    await progress(done, len(paths), outcome.stored)
            finally:
                free.release()

        try:
            async with asyncio.TaskGroup() as group:
                for batch in batched(paths, BATCH_FILES, strict=False):
                    changed = await asyncio.to_thread(_read_changed, work, batch)
                    for part in _bounded(changed):
                        if store_files is None:
                            store_files = await self.make_store_files(
                                work.repository, work.splitting
                            )
                        await free.acquire()
                        group.create_task(store(part, store_files))
                    done += len(batch)
                    await self._note_commits(work, batch)
                    await run.note()
                    if progress is not None:
                        await progress(done, len(paths), outcome.stored)
        except BaseExceptionGroup as errors:  # the first one says what went wrong
            raise errors.exceptions[0] from None

    async def _replace(
        self, work: _Work, files: Sequence[ChangedFile], stored: Mapping[str, StoredChunks]
    ) -> None:
        """Count what was stored, and forget the former chunks of the same files."""
        former: list[UUID] = []
        for file in files:
            chunks = stored.get(file.source.path, StoredChunks())
            work.outcome.chunks += len(chunks.ids)
            work.outcome.stored += chunks.created
            work.outcome.waiting += chunks.waiting
            known = work.known.get(file.source.path)
            if known is not None:
                work.outcome.changed += 1
                former += set(known.ids) - set(chunks.ids)
        if former:
            await self.memories.forget(former, purge=True)

    async def _note_commits(self, work: _Work, batch: Sequence[str]) -> None:
        """Let the chunks of files that were committed since they were stored name the commit."""
        paths = [path for path in batch if path in work.newly_committed]
        if paths:
            scopes = await self.repositories.scopes_of(work.repository)
            values = (scopes, work.repository.repo_id, paths, work.outcome.commit)
            await self.database.run(lambda c: c.execute(_QUERIES["note_commits"], *values))

    async def _forget_gone(self, work: _Work) -> None:
        # It may have gone meanwhile, and all its files with it.
        discovery.check_folder(work.repository.path)
        gone = [path for path in work.known if path not in work.kept]
        gone = [path for path in gone if not discovery.is_hidden(work.repository.path / path)]
        ids = [each for path in gone for each in work.known[path].ids]
        if ids:
            await self.memories.forget(ids, purge=True)
        work.outcome.removed = len(gone)

    @asynccontextmanager
    async def _alone(self, repository: Repository) -> AsyncIterator[None]:
        """Let nobody else ingest the repository meanwhile; `last_runs` asks for the same lock."""
        async with self.database.exclusive(f"ingest {repository.project_id}") as held:
            if not held:
                raise Conflict(
                    f"{repository.name} is being ingested already.",
                    hint="How far it is: mahavishnu repo status",
                    code="repository.busy",
                )
            yield

    async def _window(self) -> int:
        """Return the window of the database's model; the embedder's becomes that where there is none."""
        try:
            await self.space.claim()
        except MahavishnuError as error:
            _log.info("chunks_wait_for_vectors", code=error.code, reason=error.message)
        active = await self.space.active()
        return active[1].window_tokens if active else 0

    async def _known(self, repository: Repository) -> dict[str, _Known]:
        scopes = await self.repositories.scopes_of(repository)
        rows = await self.database.run(
            lambda c: c.fetch(_QUERIES["stored_files"], scopes, repository.repo_id)
        )
        return {
            path: _Known(prints[0] if whole and len(prints) == 1 else None, commit, ids)
            for path, prints, whole, commit, ids in rows
        }


def _read_changed(work: _Work, batch: Sequence[str]) -> list[ChangedFile]:
    """Read files; return those that are not stored as they are, and count the others."""
    changed: list[ChangedFile] = []
    how = f"{SPLITTER} {work.splitting.chunk_tokens}/{work.splitting.overlap_tokens}\0".encode()
    for path in batch:
        source = discovery.read_source(work.repository.path, path, committed=path in work.blobs)
        if isinstance(source, str):
            if source:
                work.outcome.skipped[source] += 1
            if source == discovery.UNREADABLE:
                work.kept.add(path)
            continue
        work.kept.add(path)
        work.outcome.seen += 1
        work.outcome.documents += 1
        fingerprint = hashlib.sha256(how + source.raw).hexdigest()
        committed = discovery.is_committed(source, work.blobs)
        known = work.known.get(path)
        if known is None or known.fingerprint != fingerprint:
            commit = work.outcome.commit if committed else None
            changed.append(ChangedFile(source, fingerprint, commit))
            continue
        work.outcome.unchanged += 1
        work.outcome.chunks += len(known.ids)
        if committed and known.commit is None:
            work.newly_committed.add(path)
    return changed


def _bounded(files: Sequence[ChangedFile]) -> Iterator[list[ChangedFile]]:
    """Yield files in order, parted where many characters have come together."""
    part: list[ChangedFile] = []
    size = 0
    for file in files:
        part.append(file)
        size += len(file.source.text)
        if size > BATCH_CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part
