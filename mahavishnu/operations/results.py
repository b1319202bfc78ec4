"""What the memory operations give."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, field

from mahavishnu.operations.bodies import Body, DegradedBody, HitBody, Kept, MemoryBody

type LeftOut = Annotated[
    list[str], Meta(description="Fields left out, for they did not fit max_tokens.")
]


class CheckpointFacts(Body, frozen=True, kw_only=True):
    """What was found out about a folder: the commit of HEAD, where it has one, and its quality."""

    commit: str | None = None
    quality_score: Annotated[int | None, Meta(description="Of 100, by Session-Buddy.")] = None
    degraded: Annotated[
        list[DegradedBody], Meta(description="What is missing, such as the score, and why.")
    ] = field(default_factory=list)


class StoreResult(Kept, frozen=True, kw_only=True):
    """The memory's id; of the same text in the same place the one it has already."""

    created: Annotated[bool, Meta(description="Whether it is new.")]
    embedded: Annotated[bool, Meta(description="Whether it has its vector, or waits for it.")]
    places: Annotated[
        dict[str, str],
        Meta(
            description="What became of it in each place: postgresql `stored`; hot, in a daemon, `indexed` or "
            "`not indexed yet` (a search there finds it all the same); session_buddy `queued`; or spool `waits`."
        ),
    ]
    not_kept: Annotated[
        list[str],
        Meta(description="Fields in which the memory that was there says otherwise; it stays."),
    ]
    checkpoint: Annotated[
        CheckpointFacts | None, Meta(description="Where a folder was named as checkpoint.")
    ] = None


class FoundMemory(HitBody, frozen=True, kw_only=True):
    """A memory that was found, as far as it fits."""

    left_out: LeftOut = field(default_factory=list)


class SearchAnswer(Body, frozen=True, kw_only=True):
    """Hits, best first, and what was missing on the way."""

    query: Annotated[str, Meta(description="The question; a long one is cut to fit max_tokens.")]
    mode: str
    hits: list[FoundMemory]
    degraded: list[DegradedBody]
    omitted: Annotated[int, Meta(description="Hits that did not fit max_tokens.")] = 0
    explanation: dict[str, Any] | None = None
    left_out: LeftOut = field(default_factory=list)


class MemoryPart(MemoryBody, frozen=True, kw_only=True):
    """A memory, its content from `char_start` to `char_end` of `total_characters`."""

    char_start: int
    char_end: int
    total_characters: int
    truncated: Annotated[bool, Meta(description="There is more: ask again with start = char_end.")]
    left_out: LeftOut = field(default_factory=list)


class ListedMemory(MemoryBody, frozen=True, kw_only=True):
    """A memory of a list."""

    truncated: Annotated[bool, Meta(description="The content is cut.")] = False
    left_out: LeftOut = field(default_factory=list)


class MemoryPage(Body, frozen=True, kw_only=True):
    """A page of memories, newest first."""

    memories: list[ListedMemory]
    next_cursor: Annotated[str | None, Meta(description="Absent on the last page.")] = None


class SupersedeResult(Body, frozen=True, kw_only=True):
    """The memory that took the place of the former one."""

    id: UUID
    created: bool
    supersedes: UUID
    locations: list[str]


class ForgetResult(Body, frozen=True, kw_only=True):
    """
    What was forgotten, or would be; older versions of a memory go with it.

    `not_found` are references that lead to no memory (perhaps forgotten before), `not_own` what only
    others can forget.
    """

    confirmed: Annotated[bool, Meta(description="false: nothing was forgotten yet.")]
    count: Annotated[int, Meta(description="How many, also where not all ids are listed.")]
    ids: list[UUID]
    not_found: list[str]
    not_own: list[UUID]
    restorable_for_s: Annotated[
        int,
        Meta(description="Seconds for which restore_memory brings them back; absent with purge."),
    ] = 0
    not_reached: Annotated[
        list[str], Meta(description="Where a purge leaves the text: it cannot reach there.")
    ] = field(default_factory=list)
    omitted: Annotated[int, Meta(description="Ids of these lists that did not fit max_tokens.")] = 0


class Selected(Body, frozen=True, kw_only=True):
    """The memories that pass a filter, newest first."""

    ids: list[UUID]


class Embedded(Body, frozen=True, kw_only=True):
    """How many memories got their vectors, and how many still wait."""

    embedded: int
    waiting: int


class StatsGroup(Body, frozen=True, kw_only=True):
    """Live memories of one kind."""

    memory_type: str
    collection: str
    project: str | None
    memories: int
    newest: datetime | None


class StatsTotals(Body, frozen=True, kw_only=True):
    """Totals of what the caller may see."""

    live: int
    superseded: int
    waiting: Annotated[int, Meta(description="Without their vectors yet.")]
    size_bytes: Annotated[int, Meta(description="Size of the database.")]


class Stats(Body, frozen=True, kw_only=True):
    """How much is remembered."""

    totals: StatsTotals
    model: Annotated[str | None, Meta(description="The embedding model in use.")]
    groups: Annotated[list[StatsGroup], Meta(description="The largest first.")]
    omitted: Annotated[int, Meta(description="Groups that did not fit max_tokens.")] = 0


class ListedSession(Body, frozen=True, kw_only=True):
    """A session of a list."""

    session_id: str
    project: str | None = None
    agents: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    turns: int
    first_at: datetime
    last_at: datetime
    opening: Annotated[str, Meta(description="How the user's first turn begins.")]


class SessionPage(Body, frozen=True, kw_only=True):
    """A page of sessions, the one with the newest turn first."""

    sessions: list[ListedSession]
    next_cursor: Annotated[str | None, Meta(description="Absent on the last page.")] = None


class TurnBody(Body, frozen=True, kw_only=True):
    """A turn as it reads now; memory_id names its memory, for get_memory."""

    position: int
    role: str
    speaker: str | None = None
    content: str
    truncated: Annotated[bool, Meta(description="Cut; get_memory gives the whole.")] = False
    agent_id: str | None = None
    model: str | None = None
    profile: str | None = None
    branch: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    occurred_at: datetime
    memory_id: UUID


class SessionCheckpoint(Body, frozen=True, kw_only=True):
    """The last checkpoint of a session; memory_id names the memory that keeps it."""

    memory_id: UUID
    at: datetime
    commit: str | None = None
    quality_score: Annotated[int | None, Meta(description="Of 100.")] = None


class SessionInsight(Body, frozen=True, kw_only=True):
    """What was learnt in a session; get_memory gives the whole."""

    id: UUID
    content: str


class SessionPart(Body, frozen=True, kw_only=True):
    """Turns of a session in order, as many as fit."""

    session_id: str
    total_turns: int
    last_checkpoint: SessionCheckpoint | None = None
    insights: Annotated[
        list[SessionInsight], Meta(description="With the first turns: the newest ones, cut.")
    ] = field(default_factory=list)
    turns: list[TurnBody]
    next_start: Annotated[
        int | None, Meta(description="There are more: ask again with start = next_start.")
    ] = None
