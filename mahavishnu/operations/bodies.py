"""
What is shown of memories and hits, as JSON has it; the command line, HTTP and MCP show the same.

What is empty is left out.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from mahavishnu.memory.models import ArmScore, Hit, Memory, Stored

LOCATIONS = ["postgresql"]  # where a memory is kept


class Body(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A part of a result."""


class Kept(Body, frozen=True, kw_only=True):
    """What was handed in, and where it is."""

    id: UUID
    locations: Annotated[list[str], Meta(description="postgresql, or spool while that is away.")]
    waits: Annotated[
        str | None, Meta(description="Why it waits in the spool, from where it is stored later.")
    ] = None


def kept_fields(stored: Stored) -> dict[str, Any]:
    """Return the fields of `Kept`."""
    locations = LOCATIONS if stored.waits is None else ["spool"]
    return {"id": stored.id, "locations": locations, "waits": stored.waits}


class MemoryBody(Body, frozen=True, kw_only=True):
    """A memory."""

    id: UUID
    content: str
    memory_type: str
    collection: str
    source_system: str
    project: str | None = None
    owner: str
    visibility: str
    metadata: dict[str, Any] = field(default_factory=dict)
    agent_id: str | None = None
    workflow_id: str | None = None
    repo_id: str | None = None
    session_id: str | None = None
    path: str | None = None
    commit: str | None = None
    occurred_at: datetime
    created_at: datetime
    expires_at: datetime | None = None
    superseded_by: UUID | None = None


class ArmBody(Body, frozen=True, kw_only=True):
    """One arm's view of a hit: its rank (absent: not among that arm's candidates), score and share."""

    rank: int | None
    score: float
    contribution: float


class HitBody(MemoryBody, frozen=True, kw_only=True):
    """A memory that was found."""

    score: Annotated[float, Meta(description="0 to 1, comparable within this answer only.")]
    found_in: list[str]
    char_start: Annotated[
        int | None, Meta(description="Where in the content the best passage begins.")
    ] = None
    char_end: int | None = None
    truncated: Annotated[
        bool, Meta(description="The content is cut; get_memory gives the whole.")
    ] = False
    arms: dict[str, ArmBody] = field(default_factory=dict)


class DegradedBody(Body, frozen=True, kw_only=True):
    """A part that did not take part, and why."""

    part: str
    reason: str
    waiting: Annotated[
        bool, Meta(description="Memories of yours wait for their vectors, which will be made.")
    ] = False


_COLUMNS = {name: name for name in MemoryBody.__struct_fields__} | {
    "commit": "commit_id",
    "created_at": "stored_at",
}


def memory_fields(item: Memory) -> dict[str, Any]:
    """Return the fields of `MemoryBody`."""
    return {name: getattr(item, column) for name, column in _COLUMNS.items()}


def memory_body(item: Memory) -> MemoryBody:
    """Return what is shown of a memory."""
    return MemoryBody(**memory_fields(item))


def hit_fields(hit: Hit) -> dict[str, Any]:
    """Return the fields of `HitBody`."""
    return {
        **memory_fields(hit.memory),
        "score": round(hit.score, 6),
        "found_in": [
            *(LOCATIONS if hit.memory.memory_no else ()),
            *({"session_buddy"} & hit.arms.keys()),
        ],
        "char_start": hit.char_start,
        "char_end": hit.char_end,
        "truncated": hit.truncated,
        "arms": _arms(hit.arms),
    }


def _arms(arms: Mapping[str, ArmScore]) -> dict[str, ArmBody]:
    return {
        name: ArmBody(
            rank=arm.rank, score=round(arm.score, 6), contribution=round(arm.contribution, 6)
        )
        for name, arm in arms.items()
    }
