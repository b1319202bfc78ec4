"""
Which memories are the same: by place, source key and text, within a batch and beside what is stored.

What else is given with a text that is there already is not kept; the outcome names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec

from mahavishnu.base.errors import Conflict
from mahavishnu.database.pool import Connection
from mahavishnu.memory.models import BESIDE_IDENTITY, NewMemory, Stored
from mahavishnu.memory.statements import load_memory_queries

_QUERIES = load_memory_queries("memories")

type Placed = tuple[NewMemory, int]  # with its scope
type MemoryIdentity = tuple[int, str, bytes]  # of a live memory: scope, source key, content hash


def identity(placed: Placed) -> MemoryIdentity:
    """Return what no two live memories have in common."""
    new, scope = placed
    return scope, new.source_key, new.content_hash


async def find_stored(
    connection: Connection, placed: Sequence[Placed], places: Sequence[int]
) -> dict[int, Stored]:
    """Return those of the places whose memory is stored already."""
    columns = zip(*(identity(placed[i]) for i in places), strict=True)
    rows = await connection.fetch(_QUERIES["find_stored"], *(list(column) for column in columns))
    outcomes = {}
    for row in rows:
        place = places[row["ord"] - 1]
        unkept = _not_kept(placed[place][0], {name: row[name] for name in BESIDE_IDENTITY})
        outcomes[place] = Stored(row["id"], False, row["embedded"], unkept)
    return outcomes


def repeat_of(stored: Stored, standing: NewMemory, new: NewMemory) -> Stored:
    """Return the outcome of a memory that its batch contains twice."""
    unkept = {*stored.not_kept}
    if standing.content_hash == new.content_hash:  # else it is a text that the last one replaced
        unkept |= {*_not_kept(new, {name: getattr(standing, name) for name in BESIDE_IDENTITY})}
    return replace(stored, created=False, not_kept=tuple(n for n in BESIDE_IDENTITY if n in unkept))


def _not_kept(new: NewMemory, kept: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that were given and differ; what was left out asks for nothing."""
    given = {name: getattr(new, name) for name in BESIDE_IDENTITY}
    differing = (
        n for n in BESIDE_IDENTITY if given[n] not in (None, "", {}) and given[n] != kept[n]
    )
    return tuple(n for n in differing if n != "metadata" or _as_json(given[n]) != kept[n])


def _as_json(metadata: Mapping[str, Any]) -> Any:
    """Return metadata as it comes back from the database: tuples as lists."""
    return msgspec.json.decode(msgspec.json.encode(metadata))


def places_that_stand(news: Sequence[NewMemory], *, by_key: bool) -> list[int]:
    """
    Return for each place the one that is stored for it: the first with the same identity, or the
    last with the same source key.

    Raises:
        Conflict: two that are not the same have one id.
    """
    chosen: dict[tuple[Any, ...], int] = {}
    holders: dict[UUID, tuple[Any, ...]] = {}
    names = [_name(new) for new in news]
    keys = [name[:-1] if by_key else name for name in names]
    for place, (new, name, key) in enumerate(zip(news, names, keys, strict=True)):
        chosen[key] = place if by_key else chosen.get(key, place)
        if new.id is not None and holders.setdefault(new.id, name) != name:
            raise id_taken(new.id)
    return [chosen[key] for key in keys]


async def refuse_taken_ids(connection: Connection, news: Sequence[NewMemory]) -> None:
    """Raise `Conflict` where an id is another memory's, as far as the caller may see it."""
    named = {new.id: _name(new) for new in news if new.id is not None}
    for identifier, *holder in await connection.fetch(_QUERIES["find_holders"], list(named)):
        if holder != [True, *named[identifier]]:
            raise id_taken(identifier)


def _name(new: NewMemory) -> tuple[Any, ...]:
    """Return what makes the identity, before there is a scope."""
    return new.visibility, new.project, new.collection, new.source_key, new.content_hash


def id_taken(identifier: UUID | None) -> Conflict:
    """Return the error for an id that belongs to another memory."""
    return Conflict(
        f"The id {identifier} belongs to another memory.",
        hint="Leave the id out, and a new one is made.",
        code="memory.id_taken",
    )
