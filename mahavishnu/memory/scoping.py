"""Projects and scopes: from names and filters to the numbers that rows carry."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mahavishnu.base.errors import NotFound
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.pool import Connection, Database, DriverConnection
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import check_text
from mahavishnu.memory.models import Collection, MemoryFilter, NewMemory, Visibility

_QUERIES = load_queries("scopes")


@dataclass(frozen=True)
class Survey:
    """
    Scopes with their collections, ascending; the `fingerprint` of all that the caller sees.

    `hidden` tells that there may be scopes that the caller does not see.
    """

    scopes: Mapping[int, Collection]
    fingerprint: int | None
    hidden: bool


class Scopes:
    """Finds and makes scopes and projects; remembers those of this process's own user."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: dict[tuple[Visibility, UUID | None, Collection], int] = {}
        self._own_projects: dict[str, UUID] = {}

    def forget(self) -> None:
        """Look again next time: the database was replaced."""
        self._own.clear()
        self._own_projects.clear()

    async def place(self, new: NewMemory) -> int:
        """Return the scope a new memory belongs to, making project and scope where needed."""
        project_id = await self.own_project(new.project) if new.project else None
        return await self.own_scope(new.visibility, project_id, new.collection)

    async def own_scope(
        self, visibility: Visibility, project_id: UUID | None, collection: Collection
    ) -> int:
        """Return the caller's scope of that kind, made if it is new."""
        key = (visibility, project_id, collection)
        if key not in self._own:
            found = None
            while found is None:  # no row: another writer made it after our snapshot; look again
                found = await self._database.run(
                    lambda c: c.fetchval(
                        _QUERIES["ensure_scope"], visibility, project_id, collection
                    )
                )
            self._own[key] = found
        return self._own[key]

    async def own_project(self, name: str) -> UUID:
        """Return the id of the project called `name`, made if it is new."""
        check_text(name, what="project")

        async def find_or_add(connection: Connection) -> UUID:
            found: UUID | None = await connection.fetchval(_QUERIES["find_own_project"], name)
            while found is None:  # no row from either: another writer's, not seen yet
                found = await connection.fetchval(_QUERIES["add_project"], new_id(), name)
                found = found or await connection.fetchval(_QUERIES["find_own_project"], name)
            return found

        if name not in self._own_projects:
            self._own_projects[name] = await self._database.run(find_or_add)
        return self._own_projects[name]

    async def visible(self, wanted: MemoryFilter) -> dict[int, Collection]:
        """
        Return the scopes that the filter's coarse part leaves, with their collections.

        Raises:
            NotFound: a project of that name is not there; the nearest names are in the hint.
        """
        survey = await self._database.run(lambda c: self.survey(c, wanted))
        return dict(survey.scopes)

    async def survey(
        self, connection: Connection | DriverConnection, wanted: MemoryFilter
    ) -> Survey:
        """Return the same and what tells whether it still holds; raises as `visible`."""
        collections = list(wanted.wanted_collections)
        if (wanted.memory_types or wanted.collections) and not collections:
            collections = [""]  # asked for types and collections that exclude each other
        row = await connection.fetchrow(
            _QUERIES["survey"], collections or None, list(wanted.projects) or None
        )
        assert row is not None
        missing = [name for name in wanted.projects if name not in row["projects"]]
        if missing:
            raise await no_project(connection, missing[0])
        scopes = dict(zip(row["scopes"], row["collections"], strict=True))
        return Survey(scopes, row["fingerprint"], row["hidden"])

    async def count(self, connection: Connection, scopes: Sequence[int], *, cap: int) -> int:
        """Return how many memories the scopes hold, counting no further than `cap`."""
        found: int = await connection.fetchval(_QUERIES["count_in_scopes"], scopes, cap)
        return found


async def no_project(connection: Connection | DriverConnection, name: str) -> NotFound:
    """Return the error for a name that no visible project has, with those that are near."""
    names = [known["name"] for known in await connection.fetch(_QUERIES["list_project_names"])]
    near = difflib.get_close_matches(name, names, n=3)
    return NotFound(
        f"There is no project called {name!r}.",
        hint=f"Did you mean: {', '.join(near)}?" if near else None,
        code="project.not_found",
    )
