"""Insights as they are listed, and shared with other projects and people."""

from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from mahavishnu.base.errors import Conflict, Forbidden, NotFound, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.pool import Connection, Database
from mahavishnu.memory.checks import (
    check_limit,
    check_metadata,
    check_name,
    check_text,
    unknown_value,
)
from mahavishnu.memory.duplicates import identity
from mahavishnu.memory.insertion import build_batch, insert_batch
from mahavishnu.memory.insights.patterns import InsightPatterns
from mahavishnu.memory.models import (
    COLUMNS,
    VISIBILITIES,
    Memory,
    NewMemory,
    Visibility,
    check_new_memory,
)
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import MemoryStore, read_memory
from mahavishnu.memory.superseding import check_replaceable, put_in_place

type Kind = Literal["insight", "pattern"]
type ShareType = Literal["direct", "group", "dependency_aware"]
KINDS: tuple[str, ...] = get_args(Kind.__value__)
SHARE_TYPES: tuple[str, ...] = get_args(ShareType.__value__)
MAX_TARGETS_BYTES = 8_192
_QUERIES = load_memory_queries("insights")


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightFilter:
    """
    Which insights are meant; a field left out does not narrow.

    `projects` have them, or were shared them. `source` is a memory that they were found in. `shared` ones have
    targets; `own` ones are the caller's.
    """

    projects: tuple[str, ...] = ()
    session_id: str | None = None
    workflow_id: str | None = None
    source: UUID | None = None
    kind: Kind | None = None
    shared: bool = False
    own: bool = False

    def __post_init__(self) -> None:
        for project in self.projects:
            check_text(project, what="project")
        for name in ("session_id", "workflow_id"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), what=name)
        if self.kind not in (None, *KINDS):
            raise unknown_value("kind", self.kind or "", KINDS)


class Insights:
    """The insights that the caller may see; `patterns` finds what recurs."""

    def __init__(
        self, database: Database, memories: MemoryStore, space: EmbeddingSpace, scopes: Scopes
    ) -> None:
        self._database = database
        self._memories = memories
        self._space = space
        self._scopes = scopes
        self.patterns = InsightPatterns(database, memories)

    async def find(self, wanted: InsightFilter, *, limit: int = 20) -> list[Memory]:
        """Return insights, newest first."""
        check_limit(limit)
        source = None if wanted.source is None else str(wanted.source)
        values = (
            list(wanted.projects) or None, wanted.session_id, wanted.workflow_id, source,
            wanted.kind, wanted.shared, wanted.own, limit,
        )  # fmt: skip
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["list_insights"], *values))
        return [read_memory(row) for row in rows]

    async def share(
        self,
        insight: UUID,
        targets: Sequence[str],
        *,
        share_type: ShareType = "direct",
        visibility: Visibility = "private",
    ) -> Memory:
        """
        Let searches in the target projects find one's own insight; returns it as it is then.

        Targets add up. With the visibility shared other roles see it too, and it has another id, which supersedes
        the former one; it stays shared. What it was found in is never shared with it.

        Raises:
            NotFound, or Conflict where it has been superseded.
            Forbidden: it is somebody else's.
            UsageError: it is no insight, or a name is not valid.
        """
        _check_share(targets, share_type, visibility)
        memory = await self._memories.get(insight)
        if memory.memory_type != "insight":
            raise UsageError(
                "Only insights are shared, never other memories.",
                hint="Keep what is worth it as one: mahavishnu memory store --type insight",
                code="insight.not_one",
            )
        await self._database.run(lambda c: check_replaceable(c, memory))
        if visibility == "shared" != memory.visibility:
            insight = await self._publish(memory)
        wanted = sorted(set(targets) - {memory.project})
        await self._database.run(
            lambda c: c.execute(_QUERIES["note_share"], insight, wanted, share_type)
        )
        return await self._memories.get(insight)

    async def _publish(self, memory: Memory) -> UUID:
        """Put a version that every role sees in the place of a private insight; returns its id."""
        kept = {name: getattr(memory, name) for name in COLUMNS}
        new = check_new_memory(
            NewMemory(**kept, id=new_id(), project=memory.project, visibility="shared")
        )
        scope = await self._scopes.place(new)
        vectors, table = await self._space.make_chunks([new], embed=True)
        batch = build_batch([(new, scope)], vectors)
        active = await self._space.active()

        async def swap(connection: Connection) -> UUID | None:
            async with connection.transaction():
                await insert_batch(connection, batch, table)
                return await put_in_place(
                    connection, memory.id, identity((new, scope)), active and active[0]
                )

        successor = await self._database.run(swap)
        if successor is None:
            raise Conflict(
                "Another writer changed the same insight.",
                hint="Look at it again: mahavishnu memory show ID",
                code="memory.superseded",
            )
        return successor

    async def find_own(self, wanted: InsightFilter) -> list[Memory]:
        """
        Return one's own insights that are meant, to be shared; raises `NotFound` where there is none.

        Raises:
            Forbidden: those that are meant are others'.
        """
        own = await self.find(replace(wanted, own=True), limit=1000)
        if own:
            return own
        if await self.find(wanted, limit=1):
            raise Forbidden(
                "Only its owner can share an insight.",
                hint="Keep what you know as an insight of your own: mahavishnu memory store --type insight",
                code="memory.not_own",
            )
        raise NotFound(
            "There is no insight in it.",
            hint="Mark one in the text (★ Insight), or keep one: mahavishnu memory store --type insight",
            code="insight.none",
        )


def _check_share(targets: Sequence[str], share_type: str, visibility: str) -> None:
    for target in targets:
        check_name(target, what="target")
    check_metadata({"targets": [*targets]}, what="targets", at_most=MAX_TARGETS_BYTES)
    if share_type not in SHARE_TYPES:
        raise unknown_value("share_type", share_type, SHARE_TYPES)
    if visibility not in VISIBILITIES:
        raise unknown_value("visibility", visibility, VISIBILITIES)
