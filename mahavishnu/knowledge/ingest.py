"""Import documents and histories as memories, again and again, storing only what changed."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path
from typing import Any

from mahavishnu.base.errors import NotFound
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge import git
from mahavishnu.knowledge.changes import SourceChanges, plan_changes, require_few_lost
from mahavishnu.knowledge.identity import Project, Projects, read_aliases
from mahavishnu.knowledge.markdown import bounded_parts, read_documents
from mahavishnu.knowledge.runs import Ingested, recorded_run
from mahavishnu.knowledge.sources import Source, may_be_another, name_repository
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.store import MemoryStore

BATCH = 128
MAX_FILES_NAMED = 40
_QUERIES = load_queries("ingestions")


type IngestProgress = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Ingestion:
    """Brings sources in; each run leaves a row in `rag_ingestions` that tells how it ended."""

    database: Database
    memories: MemoryStore
    scopes: Scopes
    projects: Projects

    async def import_markdown(
        self,
        folder: Path,
        *,
        project: str | None = None,
        forget_most: bool = False,
        progress: IngestProgress | None = None,
    ) -> Ingested:
        """
        Bring the sections of all Markdown files below `folder` in line with the memories.

        New sections are stored, changed ones supersede their older text, those that vanished from
        this folder are forgotten; what another repository or folder brought stays. Without
        `project` it is the repository's, else the folder's name. Paths are those within the
        repository, else within the folder.

        Raises:
            UsageError: more than half of the source would be forgotten, or changed where the
                repository may be another one, without `forget_most`.
        """
        if not folder.is_dir():
            raise NotFound(f"{folder} is not a folder.", code="import.not_found")
        top_level = await git.find_repository(folder)
        found = await self._identify(folder, top_level, project)
        scope = await self._scope(found.name, "document")
        imports = await self._fetch("imported_sources", [scope])
        source = await _recognise(folder, top_level, imports)
        outcome = await _begin(folder, top_level, found, source)
        async with recorded_run(self.database, scope, "markdown", outcome, source.record):
            plan = plan_changes(
                read_documents(folder),
                await self._fetch("live_keys", scope, "markdown"),
                source,
                project=found.name,
                owns_former=_owns_former(top_level, imports),
            )
            outcome.seen = outcome.chunks = plan.seen
            outcome.documents = plan.documents
            outcome.skipped.update(item.reason for item in plan.skipped)
            outcome.skipped_files = plan.skipped
            if not forget_most:
                former = [row for row in imports if row["kind"] == "markdown"]
                require_few_lost(plan, may_be_another=may_be_another(source, former))
            await self._apply(plan, source, outcome, progress)
        return outcome

    async def _apply(
        self,
        plan: SourceChanges,
        source: Source,
        outcome: Ingested,
        progress: IngestProgress | None,
    ) -> None:
        adopted = [(identifier, key, source.repository) for identifier, key in plan.adopted]
        if adopted:
            await self.database.run(lambda c: c.executemany(_QUERIES["adopt_section"], adopted))
        outcome.unchanged = plan.unchanged
        await _advance(progress, plan.unchanged)
        for before, new in plan.changed:
            await self.memories.supersede(
                before, new.content, metadata=new.metadata, context=new.context
            )
            outcome.changed += 1
            await _advance(progress, 1)
        await self._store(plan.fresh, outcome, progress)
        if plan.moved:
            await self.database.run(lambda c: c.executemany(_QUERIES["move_section"], plan.moved))
        if plan.gone:
            outcome.removed = len(await self.memories.forget(plan.gone, purge=True))

    async def import_history(
        self,
        repository: Path,
        *,
        project: str | None = None,
        progress: IngestProgress | None = None,
    ) -> Ingested:
        """
        Store the commits of HEAD's history that were not stored by an earlier run.

        A rewritten history is read whole again; commits that are there already are left alone, those
        that no branch or tag has any more are forgotten.
        """
        top_level = await git.find_top_level(repository)
        found = await self.projects.identify(top_level, name=project)
        documents = await self._scope(found.name, "document")
        imports = await self._fetch("imported_sources", [documents])
        source = await _recognise(top_level, top_level, imports)
        outcome = await _begin(top_level, top_level, found, source)
        name, head = outcome.project, outcome.commit
        scope = await self._scope(name, "note")
        async with recorded_run(self.database, scope, "git", outcome, source.record) as run:
            if head is None:
                return outcome
            after = await self.database.run(
                lambda c: c.fetchval(_QUERIES["last_cursor"], scope, outcome.source, "git")
            )
            gone: set[str] = set()
            if after is not None and not await git.is_ancestor(top_level, after):
                gone, after = await git.list_unreachable(top_level, after), None
            pending: list[NewMemory] = []
            async for commit in git.read_history(top_level, after=after):
                parts = split_long(
                    memory_of_commit(commit, project=name, repository=source.repository)
                )
                outcome.seen += 1
                outcome.documents += 1
                outcome.chunks += len(parts)
                pending += parts
                if len(pending) == BATCH:
                    await self._store(pending, outcome, progress)
                    pending = []
            await self._store(pending, outcome, progress)
            if gone:
                rows = await self._fetch("live_keys", scope, "git")
                ids = [row["id"] for row in rows if row["source_key"].partition("~")[0] in gone]
                outcome.removed = len(await self.memories.forget(ids, purge=True))
            run.cursor = head
        return outcome

    async def _store(
        self, news: Iterable[NewMemory], outcome: Ingested, progress: IngestProgress | None
    ) -> None:
        for batch in batched(news, BATCH, strict=False):
            for stored in await self.memories.store_batch(batch):
                outcome.stored += stored.created
                outcome.unchanged += not stored.created
                outcome.waiting += not stored.embedded
            await _advance(progress, len(batch))

    async def _identify(self, folder: Path, top_level: Path | None, name: str | None) -> Project:
        """Return the project of a repository, or of a folder outside of any."""
        if top_level is not None:
            return await self.projects.identify(top_level, name=name)
        name = name or folder.resolve().name or "root"
        return Project(await self.scopes.own_project(name), name)

    async def _fetch(self, query: str, *values: object) -> list[Any]:
        return await self.database.run(lambda c: c.fetch(_QUERIES[query], *values))

    async def _scope(self, project: str, collection: str) -> int:
        return await self.scopes.place(
            NewMemory(content="-", collection=collection, project=project)  # type: ignore[arg-type]
        )


async def _recognise(folder: Path, top_level: Path | None, imports: list[Any]) -> Source:
    """Return the source that a folder is, called as in earlier imports into its project."""
    resolved = folder.resolve()
    if top_level is None:
        return Source(None, f"{resolved}/")
    top = top_level.resolve()
    inner = resolved.relative_to(top).as_posix()
    aliases = await read_aliases(top_level)
    around = {str(folder) for folder in top.parents}
    shared = any(
        row["source"] in around and row["metadata"].get("repository") is None for row in imports
    )
    return Source(
        name_repository(aliases, imports), "" if inner == "." else f"{inner}/",
        None if shared else str(resolved), aliases,
    )  # fmt: skip


def _owns_former(top_level: Path | None, imports: list[Any]) -> bool:
    """
    Tell whether memories of older releases, which kept no repository, can only be of this one.

    They are where no such release read another folder into the project, not even without success.
    """
    if top_level is None:
        return False
    top = top_level.resolve()
    former = [Path(row["source"]) for row in imports if "repository" not in row["metadata"]]
    return all(source.is_relative_to(top) for source in former)


async def _begin(
    folder: Path, top_level: Path | None, project: Project, source: Source
) -> Ingested:
    """Return what an import is about to do: from where, into which project, and at which commit."""
    commit = None
    if top_level is not None and await git.has_commits(top_level):
        commit = await git.run_git(top_level, "rev-parse", "HEAD")
    resolved = str(folder.resolve())
    return Ingested(
        resolved, project.name, str(top_level or resolved),
        repository=source.repository, commit=commit,
    )  # fmt: skip


def split_long(new: NewMemory) -> list[NewMemory]:
    """Return the memory, in parts where its text is longer than one may be."""
    return [
        replace(new, content=part, source_key=f"{new.source_key}{f'~{n}' if n > 1 else ''}")
        for n, part in enumerate(bounded_parts(new.content), start=1)
    ]


def memory_of_commit(
    commit: git.Commit, *, project: str, repository: str | None = None
) -> NewMemory:
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
        repo_id=repository,
        commit_id=commit.sha,
        occurred_at=commit.authored_at,
        metadata={"subject": commit.subject[:1000], "author": commit.author},
    )


async def _advance(progress: IngestProgress | None, count: int) -> None:
    if progress is not None:
        await progress(count)
