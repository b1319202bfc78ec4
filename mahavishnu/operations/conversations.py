"""The operations that list recorded sessions and read them back, turn by turn."""

from typing import Annotated

from msgspec import Meta, convert
from msgspec.structs import replace

from mahavishnu.base.errors import NotFound
from mahavishnu.memory.checks import check_limit, check_offset
from mahavishnu.memory.insights.insights import InsightFilter
from mahavishnu.operations.checkpoints import find_last
from mahavishnu.operations.cursors import read_cursor, write_cursor
from mahavishnu.operations.fitting import first_that_fit, fit_sessions, fit_turns
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.operation import Call, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget, Cursor, Moment, Name, Sought
from mahavishnu.operations.results import (
    ListedSession,
    SessionInsight,
    SessionPage,
    SessionPart,
    TurnBody,
)

INSIGHTS = 5  # of a session, that its first part has
SHOWN = 300  # characters of each

type OfProject = Annotated[Sought | None, Meta(description="Only what belongs to this project.")]


class ListSessions(Request, frozen=True, kw_only=True):
    """Which sessions, and which page of them."""

    project: OfProject = None
    agent_id: Annotated[Sought | None, Meta(description="Only those that this agent is in.")] = None
    since: Annotated[
        Moment | None, Meta(description='Went on after this: "7d", "12h", "2w" ago, or ISO.')
    ] = None
    until: Annotated[Moment | None, Meta(description="Began before this; as since.")] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Most sessions of one answer.")] = 20
    cursor: Cursor = None
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an invalid page."""
        check_limit(self.limit)


class GetSession(Request, frozen=True, kw_only=True):
    """Which session, and from which of its turns on."""

    session_id: Annotated[Name, Meta(description="Session to read.")]
    project: OfProject = None
    start: Annotated[int, Meta(ge=0, description="Turns to skip; the previous next_start.")] = 0
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse to begin before the first turn."""
        check_offset(self.start)


async def list_sessions(call: Call, request: ListSessions) -> SessionPage:
    """Return a page of sessions."""
    found = await call.app.conversations.sessions(
        project=request.project,
        agent_id=request.agent_id,
        since=parse_moment(request.since, what="since"),
        until=parse_moment(request.until, what="until"),
        after=read_cursor(request.cursor),
        limit=request.limit,
    )
    kept = fit_sessions(
        [convert(each, ListedSession, from_attributes=True) for each in found], request.max_tokens
    )
    more = len(kept) < len(found) or len(found) == request.limit
    last = found[len(kept) - 1] if more and kept else None
    return SessionPage(
        sessions=kept, next_cursor=write_cursor(last.last_at, last.last_no) if last else None
    )


async def get_session(call: Call, request: GetSession) -> SessionPart:
    """Return a session's turns in order, from `start` on."""
    found = await call.app.conversations.read(request.session_id, project=request.project)
    if not found:
        raise NotFound(
            f"There is no session {request.session_id}.",
            hint="List them with: mahavishnu session list",
            code="conversation.not_found",
        )
    turns = [convert(each, TurnBody, from_attributes=True) for each in found[request.start :]]
    part = SessionPart(
        session_id=request.session_id,
        total_turns=len(found),
        last_checkpoint=await find_last(call.app, request.session_id),
        insights=[] if request.start else await _insights(call, request),
        turns=turns,
    )
    kept = fit_turns(part, request.max_tokens)
    end = request.start + len(kept.turns)
    return replace(kept, next_start=end if end < len(found) else None)


async def _insights(call: Call, request: GetSession) -> list[SessionInsight]:
    """Return the newest insights of a session, in at most a quarter of the answer."""
    wanted = InsightFilter(session_id=request.session_id)
    found = await call.app.insights.find(wanted, limit=INSIGHTS)
    bodies = [SessionInsight(id=each.id, content=each.content[:SHOWN]) for each in found]
    if request.max_tokens is None:
        return bodies
    return first_that_fit(bodies, request.max_tokens // 4)
