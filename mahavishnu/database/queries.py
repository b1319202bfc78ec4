"""Static SQL by name, read once from `sql/*.sql`."""

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def name_statement(name: str, statement: str) -> str:
    """Return a statement that says its name, by which traces and the server's own logs tell it."""
    return f"-- {name} --\n{statement}"


def name_of(statement: str) -> str | None:
    """Return the name that a statement says."""
    found = _HEADING.match(statement)
    return found[1] if found else None


@cache
def load_queries(name: str) -> dict[str, str]:
    """
    Return the queries of `sql/<name>.sql` by their headings.

    A file is a sequence of `-- name --`, a comment (purpose; parameters; row shape), one statement.
    """
    text = resources.files("mahavishnu.database").joinpath("sql", f"{name}.sql").read_text("utf-8")
    parts = _HEADING.split(text)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    queries = {name: name_statement(name, part.strip()) for name, part in pairs}
    if len(queries) != len(parts) // 2:
        raise ValueError(f"sql/{name}.sql names a query twice")
    return queries
