"""Import documents and histories as memories, again and again, storing only what changed."""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import batched
from pathlib import Path
from uuid import UUID

from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.errors import MahavishnuError, NotFound
from mahavishnu.identifiers import new_id
from mahavishnu.knowledge.git import (
    Commit,
    find_top_level,
    has_commits,
    is_ancestor,
    read_history,
    run_git,
)
from mahavishnu.knowledge.identity import Projects
from mahavishnu.knowledge.markdown import Section, Skipped, bounded_parts, read_documents
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.store import MemoryStore

BATCH = 128
MAX_FILES_NAMED = 40
_QUERIES = load_queries("ingestions")


@dataclass
class Ingested:
    """What an import did. `unchanged` were there before; `removed` are no longer in the source."""

    source: str
    project: str
    seen: int = 0
    stored: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    waiting: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


type Progress = Callable[[int], None]


class Ingestion:
    """Brings sources in; each run leaves a row in `rag_ingestions` that tells how it ended."""

    def __init__(
        self, database: Database, memories: MemoryStore, scopes: Scopes, projects: Projects
    ) -> None:
        self._database = database
        self._memories = memories
        self._scopes = scopes
        self._projects = projects

    async def import_markdown(
        self, folder: Path, *, project: str | None = None, progress: Progress | None = None
    ) -> Ingested:
        """
        Bring the sections of all Markdown files below `folder` in line with the memories.

        New sections are stored, changed ones supersede their older text, those that vanished from
        this folder are forgotten. Without `project` it is the repository's, else the folder's name.
        Paths are those within the repository, else within the folder.
        """
        if not folder.is_dir():
            raise NotFound(f"{folder} is not a folder.", code="import.not_found")
        name, within = await self._place(folder, project)
        scope = await self._scope(name, "document")
        outcome = Ingested(str(folder.resolve()), name)
        async with self._run(scope, "markdown", outcome):
            known = {
                row["source_key"]: row
                for row in await self._database.run(
                    lambda c: c.fetch(_QUERIES["live_keys"], scope, "markdown")
                )
                if row["source_key"] and row["source_key"].startswith(within)
            }
            moved: list[tuple[UUID, dict[str, object], str]] = []
            fresh: list[NewMemory] = []
            for item in read_documents(folder):
                if isinstance(item, Skipped):
                    outcome.skipped[item.reason] += 1
                    # It is there and could not be read: what is known of it stays.
                    prefix = f"{within}{item.path}#"
                    known = {key: row for key, row in known.items() if not key.startswith(prefix)}
                    continue
                outcome.seen += 1
                new = memory_of_section(item, project=name, within=within)
                before = known.pop(new.source_key, None)
                if before is None:
                    fresh.append(new)
                elif before["content_hash"] == new.content_hash:
                    outcome.unchanged += 1
                    if before["metadata"] != new.metadata:
                        moved.append((before["id"], dict(new.metadata), new.context))
                    _advance(progress, 1)
                else:
                    await self._memories.supersede(
                        before["id"], new.content, metadata=new.metadata, context=new.context
                    )
                    outcome.changed += 1
                    _advance(progress, 1)
            await self._store(fresh, outcome, progress)
            if moved:
                await self._database.run(lambda c: c.executemany(_QUERIES["move_section"], moved))
            gone = [row["id"] for row in known.values()]
            if gone:
                outcome.removed = len(await self._memories.forget(gone))
        return outcome

    async def import_history(
        self, repository: Path, *, project: str | None = None, progress: Progress | None = None
    ) -> Ingested:
        """
        Store the commits of HEAD's history that were not stored by an earlier run.

        A rewritten history is read whole again; commits that are there already are left alone.
        """
        top_level = await find_top_level(repository)
        name = (await self._projects.identify(top_level, name=project)).name
        scope = await self._scope(name, "note")
        outcome = Ingested(str(top_level), name)
        async with self._run(scope, "git", outcome) as note_cursor:
            if not await has_commits(top_level):
                return outcome
            head = await run_git(top_level, "rev-parse", "HEAD")
            after = await self._database.run(
                lambda c: c.fetchval(_QUERIES["last_cursor"], scope, outcome.source, "git")
            )
            if after is not None and not await is_ancestor(top_level, after):
                after = None
            pending: list[NewMemory] = []
            async for commit in read_history(top_level, after=after):
                outcome.seen += 1
                pending += split_long(memory_of_commit(commit, project=name))
                if len(pending) == BATCH:
                    await self._store(pending, outcome, progress)
                    pending = []
            await self._store(pending, outcome, progress)
            note_cursor(head)
        return outcome

    async def _store(
        self, news: Iterable[NewMemory], outcome: Ingested, progress: Progress | None
    ) -> None:
        for batch in batched(news, BATCH, strict=False):
            for stored in await self._memories.store_batch(batch):
                outcome.stored += stored.created
                outcome.unchanged += not stored.created
                outcome.waiting += not stored.embedded
            _advance(progress, len(batch))

    async def _place(self, folder: Path, project: str | None) -> tuple[str, str]:
        """Return the project of a folder and the prefix of its paths there."""
        resolved = folder.resolve()
        try:
            top_level = await find_top_level(folder)
        except NotFound:
            return project or resolved.name or "root", f"{resolved}/"
        found = await self._projects.identify(top_level, name=project)
        inner = resolved.relative_to(top_level.resolve()).as_posix()
        return found.name, "" if inner == "." else f"{inner}/"

    async def _scope(self, project: str, collection: str) -> int:
        return await self._scopes.place(
            NewMemory(content="-", collection=collection, project=project)  # type: ignore[arg-type]
        )

    @asynccontextmanager
    async def _run(
        self, scope: int, kind: str, outcome: Ingested
    ) -> AsyncIterator[Callable[[str], None]]:
        """
        Keep the row of `rag_ingestions`: in progress meanwhile, completed or failed after.

        A run that was killed keeps its row in progress until the next one of its source begins.
        """
        identifier: UUID = new_id()
        cursor: list[str] = []
        await self._database.run(
            lambda c: c.execute(
                _QUERIES["start_ingestion"], identifier, scope, outcome.source, kind
            )
        )

        async def finish(status: str, error: str | None) -> None:
            await self._database.run(
                lambda c: c.execute(
                    _QUERIES["finish_ingestion"], identifier, status,
                    cursor[-1] if cursor else None, outcome.seen, outcome.stored,
                    dict(outcome.skipped), error,
                )
            )  # fmt: skip

        completed = False
        try:
            yield cursor.append
            completed = True
        finally:
            error = sys.exception()
            code = f"{error.code}: {error.message}" if isinstance(error, MahavishnuError) else None
            await finish(
                "completed" if completed else "failed",
                None if completed else code or type(error).__name__,
            )


def memory_of_section(section: Section, *, project: str, within: str = "") -> NewMemory:
    """
    Return the memory of a Markdown section; the headings above it are indexed with it.

    `within` goes before its path: the folder's place in the repository, or its full path.
    """
    return NewMemory(
        content=section.content,
        context=" > ".join((section.path, *section.trail)),
        collection="document",
        source_system="markdown",
        source_key=within + section.key,
        project=project,
        path=section.path if within.startswith("/") else within + section.path,
        metadata={"heading": section.heading, "start_line": section.start_line,
                  "end_line": section.end_line},
    )  # fmt: skip


def split_long(new: NewMemory) -> list[NewMemory]:
    """Return the memory, in parts where its text is longer than one may be."""
    return [
        replace(new, content=part, source_key=f"{new.source_key}{f'~{n}' if n > 1 else ''}")
        for n, part in enumerate(bounded_parts(new.content), start=1)
    ]


def memory_of_commit(commit: Commit, *, project: str) -> NewMemory:
    """Return the memory of a commit: subject, body and the files it touched."""
    parts = [commit.subject]
    if commit.body:
        parts.append(commit.body)
    if commit.files:
        named = ", ".join(commit.files[:MAX_FILES_NAMED])
        more = len(commit.files) - MAX_FILES_NAMED
        parts.append(f"Files: {named}" + (f" and {more} more" if more > 0 else ""))
    content = "\n\n".join(parts).replace("\x00", "\ufffd")
    if not content.strip():
        content = f"Commit {commit.sha} without a message"
    return NewMemory(
        content=content,
        context=f"{commit.author}{f', {commit.authored_at:%Y-%m-%d}' if commit.authored_at else ''}:",
        collection="note",
        source_system="git",
        source_key=commit.sha,
        project=project,
        commit_id=commit.sha,
        occurred_at=commit.authored_at,
        metadata={"subject": commit.subject[:1000], "author": commit.author},
    )


def _advance(progress: Progress | None, count: int) -> None:
    if progress is not None:
        progress(count)
