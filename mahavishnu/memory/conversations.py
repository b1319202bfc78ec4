"""Turns of a conversation: a row that knows its session and place, and a memory that is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import (
    check_limit,
    check_metadata,
    check_moment,
    check_name,
    check_text,
    unknown_value,
)
from mahavishnu.memory.models import NewMemory, Stored, check_new_memory, utc_now
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.store import MemoryStore

type Role = Literal["user", "assistant", "system", "tool"]
ROLES: tuple[str, ...] = get_args(Role.__value__)
MAX_POSITION = 2**31 - 1
_QUERIES = load_queries("conversations")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """
    One turn. `position` counts from 0 within `session_id`; `speaker` is a name, where there is one.

    `branch` is git's, `model` the one that answered, `profile` the one that the client was on. `id` is that
    of its memory, where the caller makes it.
    """

    session_id: str
    position: int
    role: Role
    content: str
    speaker: str | None = None
    agent_id: str | None = None
    project: str | None = None
    source_system: str = "cli"
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    branch: str | None = None
    model: str | None = None
    profile: str | None = None
    id: UUID | None = None

    @property
    def details(self) -> tuple[Mapping[str, Any], str | None, str | None, str | None]:
        """What a turn has beside what was said: metadata, branch, model, profile."""
        return self.metadata, self.branch, self.model, self.profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A recorded turn as it reads now; `memory_id` is the memory that it was recorded with."""

    position: int
    role: str
    speaker: str | None
    content: str
    agent_id: str | None
    metadata: dict[str, Any]
    branch: str | None
    model: str | None
    profile: str | None
    occurred_at: datetime
    memory_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    What was recorded under one session id in one project.

    `opening` is how the user's first turn begins. `last_no` orders sessions that ended at one moment.
    """

    session_id: str
    project: str | None
    agents: list[str]
    models: list[str]
    turns: int
    first_at: datetime
    last_at: datetime
    last_no: int
    opening: str


class Conversations:
    """Records turns, lists sessions and reads them back."""

    def __init__(self, database: Database, memories: MemoryStore, scopes: Scopes) -> None:
        self._database = database
        self._memories = memories
        self._scopes = scopes

    async def record(self, turns: Sequence[NewTurn], *, embed: bool = True) -> list[Stored]:
        """
        Store turns, each with its memory.

        A turn is its session and position, within a project. Recorded again with the text it was
        recorded with last, its text is left as it is; with another text (a reply that has been
        streamed to its end) the new memory supersedes the former one. Of several in one call the
        last counts. Metadata, branch, model and profile are added to those that are known.

        What is searched is "[date] speaker: text": who said it and when are asked for as often as
        what was said. `embed=False` leaves the vectors to the queue.
        """
        memories = [check_turn(turn) for turn in turns]
        scopes = [await self._scopes.place(new) for new in memories]
        unchanged = await self._unchanged(turns, memories, scopes)
        outcomes = dict(unchanged)
        places = [place for place in range(len(turns)) if place not in outcomes]
        stored = await self._memories.store_batch(
            [memories[i] for i in places], embed=embed, superseding=True
        )
        outcomes |= dict(zip(places, stored, strict=True))

        async def link(connection: Connection) -> None:
            await connection.executemany(
                _QUERIES["put_turn"],
                [
                    (new_id(), scopes[i], turns[i].session_id, turns[i].position, turns[i].agent_id,
                     turns[i].role, turns[i].speaker, outcomes[i].id,
                     turns[i].occurred_at or utc_now(), *turns[i].details)
                    for i in places
                ],
            )  # fmt: skip
            if described:
                await connection.executemany(_QUERIES["describe_turn"], described)

        described = [
            (scopes[i], turn.session_id, turn.position, *turn.details)
            for i, turn in enumerate(turns)
            if i in unchanged and any(turn.details)
        ]
        if places or described:
            await self._database.run(link)
        return [outcomes[place] for place in range(len(turns))]

    async def append(self, turns: Sequence[NewTurn], *, run_id: str) -> list[Stored]:
        """
        Record the turns of one run of an agent, in order, behind those of their session.

        A run that was recorded before keeps its place, so it can be recorded as often as its state changes.
        Of one session one writer at a time: two at the same moment may take the same place.
        """
        session_id = turns[0].session_id
        first = await self._database.run(
            lambda c: c.fetchval(_QUERIES["place_run"], session_id, run_id)
        )
        return await self.record(
            [
                replace(turn, position=first + place, metadata={**turn.metadata, "run_id": run_id})
                for place, turn in enumerate(turns)
            ]
        )

    async def _unchanged(
        self, turns: Sequence[NewTurn], memories: Sequence[NewMemory], scopes: Sequence[int]
    ) -> dict[int, Stored]:
        """Return the places of turns that say what they said before, whoever corrected it since."""
        named = [
            (scope, turn.session_id, turn.position)
            for scope, turn in zip(scopes, turns, strict=True)
        ]
        latest = dict(zip(named, (new.content_hash for new in memories), strict=True))
        columns = [list(column) for column in zip(*named, strict=True)] or [[]] * 3
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["find_turns"], *columns))
        return {
            row["ord"] - 1: Stored(row["id"], created=False, embedded=row["embedded"])
            for row in rows
            if row["content_hash"] == latest[named[row["ord"] - 1]]
        }

    async def read(self, session_id: str, *, project: str | None = None) -> list[Turn]:
        """
        Return a session's turns in order, each with the text of its last correction.

        Of a session that was recorded in several projects, all of one project's turns come before
        the next one's, those without a project first; `project` gives its own alone.
        """
        check_text(session_id, what="session_id")
        if project is not None:
            check_text(project, what="project")
        rows = await self._database.run(
            lambda c: c.fetch(_QUERIES["read_session"], session_id, project)
        )
        return [Turn(**row) for row in rows]

    async def sessions(
        self,
        *,
        project: str | None = None,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[datetime, int] | None = None,
        limit: int = 20,
    ) -> list[Session]:
        """
        Return sessions, the one with the newest turn first.

        With `since` and `until` those that were going on then, with `agent_id` those in which that agent
        took part. `after` is `last_at` and `last_no` of the last one of the page before.
        """
        for name, value in (("project", project), ("agent_id", agent_id)):
            if value is not None:
                check_text(value, what=name)
        check_moment(since, what="since")
        check_moment(until, what="until")
        check_limit(limit)
        values = (project, agent_id, since, until, *(after or (None, None)), limit)
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["list_sessions"], *values))
        return [Session(**row) for row in rows]


def check_turn(turn: NewTurn) -> NewMemory:
    """Refuse what cannot be recorded as it is; returns the memory of it."""
    check_name(turn.session_id, what="session_id")
    check_text(turn.role, what="role")
    if turn.role not in ROLES:
        raise unknown_value("role", turn.role, ROLES)
    for name in ("speaker", "branch", "model", "profile"):
        if getattr(turn, name) is not None:
            check_name(getattr(turn, name), what=name)
    check_moment(turn.occurred_at, what="occurred_at")
    check_metadata(turn.metadata)
    if not isinstance(turn.position, int) or not 0 <= turn.position <= MAX_POSITION:
        raise UsageError(
            f"A turn's position is 0 to {MAX_POSITION}.",
            hint="Count the turns of a session from 0.",
            code="conversation.position",
        )
    return check_new_memory(_memory_of(turn))


def _memory_of(turn: NewTurn) -> NewMemory:
    moment = turn.occurred_at
    stamp = f"[{moment:%-I:%M %p on %-d %B, %Y}] " if moment else ""
    return NewMemory(
        id=turn.id,
        content=turn.content,
        context=f"{stamp}{turn.speaker or turn.role}:",
        collection="conversation",
        source_system=turn.source_system,
        source_key=f"{turn.session_id}:{turn.position}",
        session_id=turn.session_id,
        agent_id=turn.agent_id,
        project=turn.project,
        occurred_at=turn.occurred_at,
        metadata={**turn.metadata, "role": turn.role}
        | {
            name: value
            for name in ("speaker", "branch", "model", "profile")
            if (value := getattr(turn, name))
        },
    )
