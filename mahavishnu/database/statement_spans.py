"""Statements as spans: by the name that each says, never by their text, whose values may be a user's."""

import re
from typing import Any

from mahavishnu.base.telemetry.spans import add_span
from mahavishnu.database.queries import name_of

_WORD = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|BEGIN|COMMIT|ROLLBACK)\b", re.IGNORECASE)


def record_statement(record: Any) -> None:
    """Record a statement that has just ended; the driver calls this with an `asyncpg.connection.LoggedQuery`."""
    name = name_of(record.query) or _first_word(record.query)
    error, attributes = record.exception, {"db.system.name": "postgresql", "db.query.summary": name}
    if error is None:
        add_span(name, attributes, elapsed_s=record.elapsed, error=None)
        return
    state = getattr(error, "sqlstate", None)
    if state is not None:
        attributes["db.response.status_code"] = state
    kind = state or type(error).__qualname__
    add_span(name, attributes, elapsed_s=record.elapsed, error=kind)


def _first_word(statement: str) -> str:
    found = _WORD.match(statement)
    return found[1].upper() if found else "statement"
