"""What a search looks through: from a filter to scopes, numbers of memories and how many they are."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mahavishnu.database.pool import Connection
from mahavishnu.memory.models import Collection, MemoryFilter
from mahavishnu.memory.scoping import Scopes, Survey
from mahavishnu.memory.statements import load_memory_queries

EXACT_UP_TO = 20_000  # memories that are compared one by one; beyond, the HNSW graph is walked
SIZE_TTL_S = 1.0  # how long the size of a selection is believed
LARGE_TTL_S = 10.0  # and that of one beyond the cap, which stays so
MAX_REMEMBERED = 256
ALL = 2**62  # as a limit
MOST_TARGETED = 1_000  # insights that were shared with a project: the newest

_MEMORIES = load_memory_queries("memories")


@dataclass(frozen=True)
class Selection:
    """
    What is searched: scopes and how many memories they hold, counted to the cap.

    A fine filter gives the `numbers` of the memories that pass it or, where those are too many, its
    parameters as `wide`. `collections` are named where the filter named them, for the planner.
    `narrowed` tells that a graph holds more than what is searched. `fingerprint` is that of all
    scopes the caller sees. `targeted` are insights of other projects that were shared with those of the filter.
    """

    scopes: Mapping[int, Collection]
    size: int
    fingerprint: int | None
    narrowed: bool
    numbers: list[int] | None = None
    wide: tuple[Any, ...] | None = None
    collections: tuple[str, ...] = ()
    targeted: "Selection | None" = None

    @property
    def exact(self) -> bool:
        """Whether vectors are compared one by one."""
        return self.numbers is not None or self.size <= EXACT_UP_TO

    def collection_of(self, scope: int) -> Collection:
        """Return the collection of what is searched in a scope."""
        return self.scopes.get(scope, "insight")  # else of one of those shared


class Selector:
    """
    Makes selections, from memory where it can.

    Scopes are remembered until a search meets another fingerprint than its selection's and calls
    `forget`; so an answer never misses a scope that was there when it was given.
    """

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._surveys: dict[tuple[tuple[str, ...], ...], Survey] = {}
        self._sizes: dict[tuple[int, ...], tuple[float, int]] = {}

    def forget(self) -> None:
        """Look again next time."""
        self._surveys.clear()
        self._sizes.clear()

    async def select(
        self, connection: Connection, wanted: MemoryFilter, *, expired_left: bool = False
    ) -> Selection:
        """
        Return what the filter leaves to search; where `expired_left`, without what has expired.

        Raises:
            NotFound: a project of the filter is not there.
        """
        survey = await self._survey(connection, wanted)
        listed = tuple(survey.scopes)
        fine = wanted.is_fine or expired_left
        narrowed = survey.hidden or bool(wanted.projects) or fine
        numbers: list[int] | None = None
        if fine and listed:
            # A condition is only asked here, so all that pass it are listed.
            most = EXACT_UP_TO + 1 if wanted.condition is None else ALL
            values = (listed, most, wanted.condition, *wanted.fine_parameters)
            rows = await connection.fetch(_MEMORIES["select_matching"], *values)
            numbers = [row["memory_no"] for row in rows]
            size = len(numbers)
        else:
            size = await self._size(connection, listed) if listed else 0
        wide = numbers is not None and wanted.condition is None and size > EXACT_UP_TO
        targeted = await _select_targeted(connection, wanted, survey, size)
        return Selection(
            survey.scopes,
            size,
            survey.fingerprint,
            narrowed,
            numbers=None if wide else numbers,
            wide=wanted.fine_parameters if wide else None,
            collections=wanted.wanted_collections,
            targeted=targeted,
        )

    async def _survey(self, connection: Connection, wanted: MemoryFilter) -> Survey:
        key = (wanted.projects, wanted.wanted_collections, wanted.memory_types)
        if key not in self._surveys:
            if len(self._surveys) >= MAX_REMEMBERED:
                self.forget()
            self._surveys[key] = await self._scopes.survey(connection, wanted)
        return self._surveys[key]

    async def _size(self, connection: Connection, scopes: tuple[int, ...]) -> int:
        """Count the selection, believing for a moment what was counted before."""
        now = time.monotonic()
        until, size = self._sizes.get(scopes, (0.0, 0))
        if now >= until:
            size = await self._scopes.count(connection, scopes, cap=EXACT_UP_TO + 1)
            self._sizes[scopes] = now + (LARGE_TTL_S if size > EXACT_UP_TO else SIZE_TTL_S), size
        return size


async def _select_targeted(
    connection: Connection, wanted: MemoryFilter, survey: Survey, size: int
) -> Selection | None:
    """Return the insights of other projects that were shared with those of the filter, if any."""
    collections = wanted.wanted_collections
    narrowed = bool(wanted.collections or wanted.memory_types)
    if not wanted.projects or (narrowed and "insight" not in collections):
        return None
    values = (list(survey.scopes), list(wanted.projects), MOST_TARGETED, wanted.condition)
    rows = await connection.fetch(_MEMORIES["select_targeted"], *values, *wanted.fine_parameters)
    if not rows:
        return None
    scopes: dict[int, Collection] = {row["scope_no"]: "insight" for row in rows}
    numbers = [row["memory_no"] for row in rows]
    total = size + len(numbers)  # words are as rare as they are in all that is searched
    return Selection(scopes, total, survey.fingerprint, narrowed=True, numbers=numbers)
