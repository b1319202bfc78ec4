"""Which project a folder belongs to, also after it moved, was renamed, or as another worktree."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from mahavishnu.base.errors import Conflict
from mahavishnu.base.identifiers import new_id, shown
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge.git import find_remote, find_root_commit, has_commits, run_git
from mahavishnu.memory.checks import check_name
from mahavishnu.memory.scoping import no_project

_QUERIES = load_queries("scopes")


@dataclass(frozen=True)
class Project:
    """A project as rows know it."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Aliases:
    """How a checkout can be recognised; worktrees of one repository share `path`."""

    path: str
    remote: str | None
    root: str | None


class Projects:
    """Finds or makes the project of a folder."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identify(self, top_level: Path, *, name: str | None = None) -> Project:
        """
        Return the project of a git working tree, made if it is new.

        With a `name` it is that project, which gets the path and the remote if no other has them. Else:

        A repository that was added decides; else a known path; else a known remote; else, for a
        checkout without remote, a root commit that just one project has. Forks share roots, so a root
        never outweighs another remote.
        """
        aliases = await read_aliases(top_level)

        async def find_or_add(connection: Connection) -> Project:
            async with connection.transaction():
                if name is None:
                    return await find_or_add_project(connection, top_level, aliases)
                project = await find_or_add_named(connection, name)
                await add_aliases(connection, project, aliases)
                return project

        return await self._database.run(find_or_add)

    async def link(self, top_level: Path, name: str) -> tuple[str, str | None]:
        """
        Recognise a checkout, with its worktrees, as one of the project `name` from now on.

        Returns that name, and the name of the project that it was of before, if that is another.
        Other checkouts are recognised as before, and memories stay in their projects.

        Raises:
            NotFound: `project.not_found`: no project of one's own has that name.
        """

        async def find(connection: Connection) -> Project:
            identifier = await connection.fetchval(_QUERIES["find_own_project"], name)
            if identifier is None:
                raise await no_project(connection, name)
            return Project(identifier, name)

        return await self._assign(top_level, find)

    async def split(self, top_level: Path, *, name: str | None = None) -> tuple[str, str | None]:
        """
        Recognise a checkout as a new project from now on; returns as `link`.

        Raises:
            Conflict: `project.name_taken`.
        """

        async def add(connection: Connection) -> Project:
            if name is None:
                return await _add(connection, top_level)
            check_name(name, what="project")
            identifier = new_id()
            if await connection.fetchval(_QUERIES["add_project"], identifier, name) is None:
                raise Conflict(
                    f"There is a project {name} already.",
                    hint=f"To let the checkout belong to it: mahavishnu project link FOLDER {name}",
                    code="project.name_taken",
                )
            return Project(identifier, name)

        return await self._assign(top_level, add)

    async def _assign(
        self, top_level: Path, choose: Callable[[Connection], Awaitable[Project]]
    ) -> tuple[str, str | None]:
        aliases = await read_aliases(top_level)

        async def move(connection: Connection) -> tuple[str, str | None]:
            async with connection.transaction():
                former = await _find(connection, top_level, aliases)
                project = await choose(connection)
                await move_aliases(connection, project, Aliases(aliases.path, None, None))
                return project.name, former.name if former and former != project else None

        return await self._database.run(move, repeatable=False)


async def read_aliases(top_level: Path) -> Aliases:
    """Ask git how the checkout at `top_level` can be recognised."""
    common = Path(await run_git(top_level, "rev-parse", "--git-common-dir"))
    folder = (top_level / common).resolve()
    path = folder.parent if folder.name == ".git" else folder
    root = await find_root_commit(top_level) if await has_commits(top_level) else None
    return Aliases(str(path), await find_remote(top_level), root)


def _pairs(aliases: Aliases) -> list[tuple[str, str]]:
    pairs = [("path", aliases.path), ("remote", aliases.remote), ("root", aliases.root)]
    return [(kind, value) for kind, value in pairs if value]


async def add_aliases(connection: Connection, project: Project, aliases: Aliases) -> None:
    """Let a checkout be recognised as of a project by what no other project of one's own has."""
    for kind, value in _pairs(aliases):
        await connection.execute(_QUERIES["add_project_alias"], project.id, kind, value)


async def move_aliases(connection: Connection, project: Project, aliases: Aliases) -> None:
    """Let a checkout be recognised as of a project by its path, whichever project had that."""
    await connection.execute(_QUERIES["drop_project_alias"], "path", aliases.path)
    await add_aliases(connection, project, aliases)


async def find_or_add_project(connection: Connection, top_level: Path, aliases: Aliases) -> Project:
    """Return the project of a checkout as `identify` does, in the caller's transaction."""
    project = await _find(connection, top_level, aliases) or await _add(connection, top_level)
    await add_aliases(connection, project, aliases)
    return project


async def _find(connection: Connection, top_level: Path, aliases: Aliases) -> Project | None:
    pairs = [("repository", str(top_level.resolve())), *_pairs(aliases)]
    rows = await connection.fetch(
        _QUERIES["find_project_by_alias"], [k for k, _ in pairs], [v for _, v in pairs]
    )
    if rows and (rows[0]["kind"] != "root" or (aliases.remote is None and len(rows) == 1)):
        return Project(rows[0]["id"], rows[0]["name"])
    return None


async def find_or_add_named(connection: Connection, name: str) -> Project:
    """Return one's own project of that name, made if it is new."""
    check_name(name, what="project")
    identifier = new_id()
    if await connection.fetchval(_QUERIES["add_project"], identifier, name) is None:
        identifier = await connection.fetchval(_QUERIES["find_own_project"], name)
    return Project(identifier, name)


async def _add(connection: Connection, top_level: Path) -> Project:
    """Make a project named after the folder, with more of the path where that is taken."""
    identifier = new_id()
    names = (
        top_level.name or "root",
        f"{top_level.parent.name}/{top_level.name}",
        f"{top_level.name}-{shown(identifier)}",
    )
    bare = await connection.fetchval(_QUERIES["find_bare_project"], names[0])
    if bare is not None:  # made by hand before the folder was seen
        return Project(bare, names[0])
    for name in names:
        if await connection.fetchval(_QUERIES["add_project"], identifier, name[:200]) is not None:
            return Project(identifier, name[:200])
    raise AssertionError("a name with a random suffix is free")
