"""Static SQL by name, read once from `sql/*.sql`."""

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def load_queries(name: str) -> dict[str, str]:
    """
    Return the queries of `sql/<name>.sql` by their headings.

    A file is a sequence of `-- name --`, a comment (purpose; parameters; row shape), one statement.
    """
    text = resources.files("mahavishnu.database").joinpath("sql", f"{name}.sql").read_text("utf-8")
    parts = _HEADING.split(text)
    queries = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    if len(queries) != len(parts) // 2:
        raise ValueError(f"sql/{name}.sql names a query twice")
    return queries
