"""Find the memory that a user means by an id or its last digits."""

from uuid import UUID

from mahavishnu.base.errors import Conflict
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.database.pool import Database
from mahavishnu.memory.checks import no_memory
from mahavishnu.memory.statements import load_memory_queries

_QUERIES = load_memory_queries("memories")


async def find_reference(database: Database, reference: str) -> UUID:
    """
    Return the id that is meant; a whole one is not looked for.

    Raises:
        NotFound, or Conflict where several memories' ids end so.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, UUID):
        return parsed
    query = _QUERIES["find_by_shown_id" if len(parsed) >= 8 else "find_by_short_digits"]
    rows = await database.run(lambda c: c.fetch(query, parsed))
    if not rows:
        raise no_memory(reference)
    if len(rows) > 1:
        raise Conflict(
            f"Several memories' ids end with {reference}.",
            hint="Give more digits: " + ", ".join(str(row["id"]) for row in rows),
            code="memory.ambiguous",
        )
    found: UUID = rows[0]["id"]
    return found
