"""The repositories that are known: added and removed, in groups, depending on each other, and how each is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge.discovery import check_folder
from mahavishnu.knowledge.git import find_repository, run_git
from mahavishnu.knowledge.globs import check_glob
from mahavishnu.knowledge.identity import Aliases, Project, Projects, read_aliases
from mahavishnu.knowledge.repos_file import RepositoryEntry, unknown
from mahavishnu.knowledge.sources import Source, name_repository
from mahavishnu.memory.scoping import Scopes

_QUERIES = load_queries("repositories")
_INGESTIONS = load_queries("ingestions")


@dataclass(frozen=True)
class Repository:
    """A known repository: its project's name, the folder that is read, and what its memories have as `repo_id`."""

    project_id: UUID
    name: str
    repo_id: str
    path: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """The latest ingestion of a repository, as recorded in `rag_ingestions`."""

    status: str
    documents: int
    chunks: int
    skipped: Mapping[str, int]
    error: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RepositoryStatus:
    """How much is stored of a repository, how many chunks wait for their vectors, and its latest run."""

    repository: Repository
    files: int = 0
    chunks: int = 0
    waiting: int = 0
    last_run: LastRun | None = field(default=None)


class Repositories:
    """Keeps what is known of repositories; what is in them is stored by `RepositoryIngestion`."""

    def __init__(self, database: Database, projects: Projects, scopes: Scopes) -> None:
        self._database = database
        self._projects = projects
        self._scopes = scopes

    async def add(
        self,
        folder: Path,
        *,
        name: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> Repository:
        """
        Make a repository known, or known with other globs or at another place; nothing is read yet.

        Raises:
            NotFound, UsageError, Unavailable: `folder` is no folder that can be read as one repository.
            Conflict: `repository.name_taken`: the project has another folder, which is still there.
        """
        check_folder(folder)
        for pattern in (*include, *exclude):
            if problem := check_glob(pattern):
                raise UsageError(f"{pattern}: {problem}.", code="repository.glob")
        place = folder.resolve()
        project, source = await self._recognise(place, name)
        for known in await self.list_all():
            if known.project_id == project.id and known.path != place and known.path.is_dir():
                raise Conflict(
                    f"{project.name} is the name of the repository at {known.path}.",
                    hint="Give another name with --name, or remove that one first.",
                    code="repository.name_taken",
                )
        values = (project.id, source.repository, str(place), list(include), list(exclude))
        await self._database.run(lambda c: c.execute(_QUERIES["put_repository"], *values))
        return await self.find(project.name)

    async def add_entries(self, entries: Sequence[RepositoryEntry]) -> list[Repository]:
        """Add what `repos.yaml` lists; groups and dependencies of those are as it says from now on."""
        for entry in entries:
            await self.add(
                entry.path, name=entry.name, include=entry.include, exclude=entry.exclude
            )
        ids = {each.name: each.project_id for each in await self.list_all()}

        async def relate(connection: Connection) -> None:
            async with connection.transaction():
                for entry in entries:
                    project = ids[entry.name]
                    await connection.execute(_QUERIES["clear_groups"], project)
                    await connection.execute(_QUERIES["add_groups"], project, list(entry.groups))
                    await connection.execute(_QUERIES["clear_dependencies"], project)
                    await connection.execute(
                        _QUERIES["add_dependencies"], project, list(entry.depends_on)
                    )

        await self._database.run(relate)
        names = {entry.name for entry in entries}
        return [each for each in await self.list_all() if each.name in names]

    async def list_all(self) -> list[Repository]:
        """Return the caller's repositories, by name."""
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["list_repositories"]))
        return [
            Repository(
                project_id, name, repo_id, Path(path),
                tuple(include), tuple(exclude), tuple(groups), tuple(depends_on),
            )
            for project_id, name, repo_id, path, include, exclude, groups, depends_on in rows
        ]  # fmt: skip

    async def find(self, reference: str) -> Repository:
        """Return the repository of that name, `repo_id` or path; raises `NotFound`."""
        known = await self.list_all()
        names = ((each.name, each.repo_id, str(each.path)) for each in known)
        found = [each for each, own in zip(known, names, strict=True) if reference in own]
        if not found and "\0" not in reference:
            place = Path(reference).resolve()
            found = [each for each in known if each.path == place]
        if not found:
            raise unknown("repository", reference, [each.name for each in known])
        return found[0]

    async def select(
        self, *, names: Sequence[str] = (), group: str | None = None
    ) -> list[Repository]:
        """Return the named ones and those of a group; all where neither is given. Raises `NotFound`."""
        known = await self.list_all()
        if group is None and not names:
            return known
        found = [each for each in known if group is not None and group in each.groups]
        if group is not None and not found:
            raise unknown("group", group, {name for each in known for name in each.groups})
        for name in names:
            each = await self.find(name)
            if each not in found:
                found.append(each)
        return found

    async def remove(self, repository: Repository) -> None:
        """Forget where the repository is, its groups and dependencies."""
        values = (repository.project_id,)
        await self._database.run(lambda c: c.execute(_QUERIES["remove_repository"], *values))

    async def look(self, repositories: Sequence[Repository]) -> list[RepositoryStatus]:
        """Return how each is; a run that was killed is noted as failed first."""
        ids = [each.project_id for each in repositories]

        async def read(connection: Connection) -> tuple[Any, ...]:
            rows = await connection.fetch(_QUERIES["repository_scopes"], ids)
            scopes = [row["scope_no"] for row in rows]
            runs = await connection.fetch(_QUERIES["last_runs"], scopes)
            killed = [r["id"] for r in runs if r["status"] == "in_progress" and not r["running"]]
            if killed:
                await connection.execute(_INGESTIONS["end_killed"], killed)
                runs = await connection.fetch(_QUERIES["last_runs"], scopes)
            return await connection.fetch(_QUERIES["count_chunks"], scopes), runs

        counts, runs = await self._database.run(read)
        held = {row["repo_id"]: dict(row) for row in counts}
        last = {row["repo_id"]: _last_run(row) for row in runs}
        return [
            RepositoryStatus(
                repository=each,
                **{
                    name: held.get(each.repo_id, {}).get(name, 0)
                    for name in ("files", "chunks", "waiting")
                },
                last_run=last.get(each.repo_id),
            )
            for each in repositories
        ]

    async def scope_of(self, repository: Repository) -> int:
        """Return the scope of the repository's documents, which its runs belong to."""
        return await self._scopes.own_scope("private", repository.project_id, "document")

    async def scopes_of(self, repository: Repository) -> list[int]:
        """Return the scopes of the repository's chunks, as far as they are there."""
        ids = [repository.project_id]
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["repository_scopes"], ids))
        return [row["scope_no"] for row in rows]

    async def source_of(self, repository: Repository) -> Source:
        """Return how the repository is recognised by later imports."""
        return (await self._recognise(repository.path, repository.name))[1]

    async def _recognise(self, place: Path, name: str | None) -> tuple[Project, Source]:
        """Return the project and the source that a folder is; refuses a part of a repository."""
        if not (place / ".git").exists():
            await _refuse_inside(place)
            name = name or place.name or "root"
            project = Project(await self._scopes.own_project(name), name)
            aliases = Aliases(str(place), None, None)
        else:
            project = await self._projects.identify(place, name=name)
            aliases = await read_aliases(place)
        scope = await self._scopes.own_scope("private", project.id, "document")
        rows = await self._database.run(lambda c: c.fetch(_INGESTIONS["imported_sources"], scope))
        repo_id = name_repository(aliases, rows)
        return project, Source(repo_id, "", str(place), aliases)


async def _refuse_inside(place: Path) -> None:
    top = await find_repository(place)
    if top is None or not await run_git(place, "ls-files", "-z", "--", "."):
        return  # the repository around it ignores it: dotfiles, or a virtual environment
    raise UsageError(
        f"{place} is inside the repository {top}.",
        hint=f"Add {top}; in repos.yaml, `include` narrows what is read of it.",
        code="repository.inside_another",
    )


def _last_run(row: Any) -> LastRun:
    return LastRun(
        status=row["status"], documents=row["documents_count"], chunks=row["chunks_count"],
        skipped=row["skipped"], error=row["error"], started_at=row["started_at"],
        finished_at=row["finished_at"],
    )  # fmt: skip
