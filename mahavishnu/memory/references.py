"""Find the memory that a user means by an id or its last digits."""

from collections.abc import Sequence
from uuid import UUID

from mahavishnu.base.errors import Conflict
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.database.pool import Database
from mahavishnu.memory.checks import no_memory
from mahavishnu.memory.statements import load_memory_queries

_QUERIES = load_memory_queries("memories")


async def find_reference(database: Database, reference: str) -> UUID:
    """
    Return the id that is meant. A whole one is looked for among the aliases alone: it may lead to another memory.

    Raises:
        NotFound, or Conflict where several memories' ids end so.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, UUID):
        found: UUID | None = await database.run(
            lambda c: c.fetchval(_QUERIES["find_aliased"], parsed)
        )
        return found or parsed
    query = _QUERIES["find_by_shown_id" if len(parsed) >= 8 else "find_by_short_digits"]
    rows = await database.run(lambda c: c.fetch(query, parsed))
    if not rows:
        raise no_memory(reference)
    return only_one([row["id"] for row in rows], reference)


def only_one(found: Sequence[UUID], reference: str) -> UUID:
    """Return the id that digits mean; raises `Conflict` where there are several."""
    if len(found) > 1:
        raise Conflict(
            f"Several memories' ids end with {reference}.",
            hint="Give more digits: " + ", ".join(map(str, found)),
            code="memory.ambiguous",
        )
    return found[0]
