"""The operation on the journal of automatic acts."""

import asyncio
from typing import Annotated, Any

from msgspec import Meta

from mahavishnu.memory.checks import check_limit
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.services.events.journal import Event


class ListEvents(Request, frozen=True, kw_only=True):
    """How many of the last events."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="Most events of one answer.")] = 20

    def check(self) -> None:
        """Refuse a number that is out of bounds."""
        check_limit(self.limit)


class Events(Body, frozen=True, kw_only=True):
    """What was done without anybody asking."""

    events: Annotated[list[Event], Meta(description="The last ones, oldest first.")]


async def list_events(call: Call, request: ListEvents) -> Events:
    """Return the last events; no database is asked."""
    return Events(events=await asyncio.to_thread(call.app.events.read, limit=request.limit))


EVENT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="list_events",
        title="What was done automatically",
        description="The last things that Mahavishnu did on this machine without anybody asking: "
        "what, why, the state before and after, and whether it failed.",
        request=ListEvents,
        result=Events,
        run=list_events,
        method="GET",
        path="/events",
        read_only=True,
    ),
)
