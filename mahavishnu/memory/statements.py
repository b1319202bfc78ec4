"""The parts of SQL that say which fields a memory has, made of their one declaration in `models`."""

import re
from functools import cache

from mahavishnu.database.queries import load_queries
from mahavishnu.memory.models import BESIDE_IDENTITY, COLUMNS, SOUGHT_NAMES, Memory

_ELSEWHERE = {"project": "p.name AS project", "owner": "s.owner", "visibility": "s.visibility"}
# What a row of `memory` is read as, where m are memories, s their scopes and p their projects.
MEMORY_ROW = ", ".join(_ELSEWHERE.get(name, f"m.{name}") for name in Memory.__struct_fields__)
_STORED = ", ".join(
    ("id", "memory_no", "scope_no", "content_hash", "stored_at", "superseded_by", *COLUMNS)
)
_PASSES = re.compile(r"\{passes from \$(\d+)\}")
_SOURCES = re.compile(r"\{sources of (\w+)\}")
# Ids of what an insight was found in; of metadata that somebody else wrote, those that are ids.
_SOURCE_IDS = (
    r"""(source #>> '{}')::uuid FROM jsonb_path_query(\1.metadata, """
    """'$.sources[*].id ? (@ like_regex "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")') AS source"""
)
_TESTS = (
    *(f"($n::text IS NULL OR m.{name} = $n)" for name in SOUGHT_NAMES),
    "($n::jsonb IS NULL OR m.metadata @> $n)",
    "($n::timestamptz IS NULL OR m.occurred_at >= $n)",
    "($n::timestamptz IS NULL OR m.occurred_at < $n)",
)


def passes(first: int) -> str:
    """Return the condition on m for `MemoryFilter.fine_parameters`, which begin at parameter `first`."""
    return " AND ".join(test.replace("$n", f"${n}") for n, test in enumerate(_TESTS, first))


@cache
def load_memory_queries(name: str) -> dict[str, str]:
    """
    Return the queries of `sql/<name>.sql`, their parts filled in.

    `{memory}` is a row of `memory`, `{columns}` what of it is the caller's, `{stored}` those that a row of the table is
    stored with, `{beside the identity}` what `find_stored` compares, `{passes from $n}` the condition of `passes`, and
    `{sources of m}` selects the ids of what an insight was found in.
    """
    beside = ", ".join(f"m.{each}" for each in BESIDE_IDENTITY)
    return {
        heading: _SOURCES.sub(_SOURCE_IDS, _PASSES.sub(lambda found: passes(int(found[1])), text))
        .replace("{memory}", MEMORY_ROW)
        .replace("{columns}", ", ".join(f"m.{each}" for each in COLUMNS))
        .replace("{stored}", _STORED)
        .replace("{beside the identity}", beside)
        for heading, text in load_queries(name).items()
    }
