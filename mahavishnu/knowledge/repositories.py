"""The repositories that are known: added and removed, in groups, depending on each other, and how each is."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge import identity
from mahavishnu.knowledge.discovery import check_folder
from mahavishnu.knowledge.git import find_repository, run_git
from mahavishnu.knowledge.identity import Aliases, Project, read_aliases
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
    last_run: LastRun | None = None


@dataclass(frozen=True)
class _Folder:
    """A folder that can be a repository, and what git says of it."""

    place: Path
    aliases: Aliases
    is_checkout: bool

    @property
    def is_main(self) -> bool:
        """Whether the aliases are of this checkout, not of one whose worktree it is."""
        return self.is_checkout and self.aliases.path == str(self.place)


type _Wanted = tuple[_Folder, str | None, RepositoryEntry | None]


class Repositories:
    """Keeps what is known of repositories; what is in them is stored by `RepositoryIngestion`."""

    def __init__(self, database: Database, scopes: Scopes) -> None:
        self._database = database
        self._scopes = scopes

    async def add(self, folder: Path, *, name: str | None = None) -> Repository:
        """
        Make a repository known, or known at another place; nothing is read yet.

        Raises:
            NotFound, UsageError, Unavailable: `folder` is no folder that can be read as one repository.
            Conflict: `repository.name_taken`: the project has another folder, which is still there.
                `repository.known`: the folder is known by another name.
        """
        return (await self._add([(await _read(folder), name, None)]))[0]

    async def add_entries(self, entries: Sequence[RepositoryEntry]) -> list[Repository]:
        """Add what `repos.yaml` lists, all or nothing; groups, dependencies and globs are as it says."""
        found = []
        for entry in entries:
            with entry.named():
                found.append((await _read(entry.path), entry.name, entry))
        return await self._add(found)

    async def _add(self, wanted: Sequence[_Wanted]) -> list[Repository]:
        async def put(connection: Connection) -> list[Repository]:
            async with connection.transaction():
                added: dict[UUID, RepositoryEntry | None] = {}
                for folder, name, entry in wanted:
                    with entry.named() if entry else nullcontext():
                        added[await _put(connection, folder, name, entry)] = entry
                for project_id, entry in added.items():  # all that they depend on are there now
                    if entry is not None:
                        await _relate(connection, project_id, entry)
                known = await _list_all(connection)
                return [each for each in known if each.project_id in added]

        return await self._database.run(put)

    async def list_all(self) -> list[Repository]:
        """Return the caller's repositories, by name."""
        return await self._database.run(_list_all)

    async def find(self, reference: str) -> Repository:
        """Return the repository of that name, path or `repo_id`; raises `NotFound`, `Conflict` for one of several."""
        return _find("repository", reference, await self.list_all())

    async def select(
        self, *, names: Sequence[str] = (), group: str | None = None
    ) -> list[Repository]:
        """Return those of a group, or the named ones of it; without a group, of all. Raises as `find`."""
        known, what = await self.list_all(), "repository"
        if group is not None:
            groups = {name for each in known for name in each.groups}
            if group not in groups:
                raise unknown("group", group, groups)
            known, what = [each for each in known if group in each.groups], f"repository in {group}"
        named = {each.project_id: each for each in (_find(what, name, known) for name in names)}
        return list(named.values()) if names else known

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
        held = {(row["project_id"], row["repo_id"]): dict(row) for row in counts}
        last = {(row["project_id"], row["repo_id"]): _last_run(row) for row in runs}
        return [
            RepositoryStatus(
                repository=each,
                **{name: held.get(key, {}).get(name, 0) for name in ("files", "chunks", "waiting")},
                last_run=last.get(key),
            )
            for each in repositories
            for key in [(each.project_id, each.repo_id)]
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
        """Return how the repository is recognised by later imports, and note it."""
        folder = await _read(repository.path)
        project = Project(repository.project_id, repository.name)

        async def read(connection: Connection) -> Source:
            if folder.is_main:
                await identity.add_aliases(connection, project, folder.aliases)
            return await _source_of(connection, project.id, folder)

        return await self._database.run(read)


async def _read(path: Path) -> _Folder:
    """Return what git says of a folder; refuses a part of a repository, and what cannot be read."""
    check_folder(path)
    place = path.resolve()
    if (place / ".git").exists():
        return _Folder(place, await read_aliases(place), is_checkout=True)
    await _refuse_inside(place)
    return _Folder(place, Aliases(str(place), None, None), is_checkout=False)


async def _put(
    connection: Connection, folder: _Folder, name: str | None, entry: RepositoryEntry | None
) -> UUID:
    """Note a repository, and what its project is recognised by; raises as `Repositories.add`."""
    known = await _list_all(connection)
    place = folder.place
    if name is None and folder.is_checkout:
        project = await identity.find_or_add_project(connection, place, folder.aliases)
    else:
        if name is None:
            name = next((each.name for each in known if each.path == place), place.name or "root")
        project = await identity.find_or_add_named(connection, name)
        if folder.is_main:
            await identity.move_aliases(connection, project, folder.aliases)
    for each in known:
        if each.path == place and each.project_id != project.id:
            raise Conflict(
                f"{place} is the repository {each.name} already.",
                hint=f"Keep that name, or remove it first: mahavishnu repo remove {each.name}",
                code="repository.known",
            )
        if each.project_id == project.id and each.path != place and each.path.is_dir():
            raise Conflict(
                f"{project.name} is the name of the repository at {each.path}.",
                hint="Give another name (--name, or `name` in repos.yaml), or remove that one first.",
                code="repository.name_taken",
            )
    source = await _source_of(connection, project.id, folder)
    globs = (list(entry.include), list(entry.exclude)) if entry else (None, None)
    values = (project.id, source.repository, str(place), *globs)
    await connection.execute(_QUERIES["put_repository"], *values)
    return project.id


async def _relate(connection: Connection, project_id: UUID, entry: RepositoryEntry) -> None:
    await connection.execute(_QUERIES["clear_groups"], project_id)
    await connection.execute(_QUERIES["add_groups"], project_id, list(entry.groups))
    await connection.execute(_QUERIES["clear_dependencies"], project_id)
    await connection.execute(_QUERIES["add_dependencies"], project_id, list(entry.depends_on))


async def _source_of(connection: Connection, project_id: UUID, folder: _Folder) -> Source:
    scopes = await connection.fetch(_QUERIES["repository_scopes"], [project_id])
    values = [row["scope_no"] for row in scopes]
    rows = await connection.fetch(_INGESTIONS["imported_sources"], values)
    return Source(name_repository(folder.aliases, rows), "", str(folder.place), folder.aliases)


async def _list_all(connection: Connection) -> list[Repository]:
    return [
        Repository(
            project_id, name, repo_id, Path(path),
            tuple(include), tuple(exclude), tuple(groups), tuple(depends_on),
        )
        for project_id, name, repo_id, path, include, exclude, groups, depends_on in (
            await connection.fetch(_QUERIES["list_repositories"])
        )
    ]  # fmt: skip


def _find(what: str, reference: str, known: Sequence[Repository]) -> Repository:
    place = None if "\0" in reference else Path(reference).resolve()
    found = [each for each in known if reference == each.name]
    found = found or [each for each in known if each.path == place]
    found = found or [each for each in known if reference == each.repo_id]
    if not found:
        raise unknown(what, reference, [each.name for each in known])
    if len(found) > 1:
        raise Conflict(
            f"{reference} is checked out as {' and '.join(each.name for each in found)}.",
            hint="Give one of these names.",
            code="repository.ambiguous",
        )
    return found[0]


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
