"""From LlamaIndex's metadata filters to conditions of SQL/JSON path; every value becomes a JSON literal."""

import json
from collections.abc import Sequence
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from mahavishnu.base.errors import UsageError

_COMPARING = {FilterOperator.EQ, FilterOperator.NE, FilterOperator.GT, FilterOperator.GTE,
              FilterOperator.LT, FilterOperator.LTE}  # fmt: skip
# By these LlamaIndex's own stores know the document that a node was made of.
_DOCUMENT_KEYS = frozenset(("ref_doc_id", "document_id"))


def condition_of(
    filters: MetadataFilters | None,
    *,
    node_ids: Sequence[str] | None = None,
    doc_ids: Sequence[str] | None = None,
) -> str | None:
    """Return what filters and ids ask of a node's metadata together; None where they do not narrow."""
    parts = [_all_of(filters)] if filters is not None and filters.filters else []
    if node_ids is not None:
        parts.append(_is_one_of("$.node_id", node_ids))
    if doc_ids is not None:
        parts.append(_is_one_of("$.doc_id", doc_ids))
    return " && ".join(parts) or None


def _all_of(filters: MetadataFilters) -> str:
    parts = [
        _test(each) if isinstance(each, MetadataFilter) else _all_of(each)
        for each in filters.filters
    ]
    if filters.condition == FilterCondition.NOT:
        return f"(!({' || '.join(parts)}))"
    return f"({(' || ' if filters.condition == FilterCondition.OR else ' && ').join(parts)})"


def _test(each: MetadataFilter) -> str:
    key = "doc_id" if each.key in _DOCUMENT_KEYS else each.key
    place, value, how = f"$.{json.dumps(key)}", each.value, each.operator
    values = value if isinstance(value, list) else [value]
    if how in _COMPARING and not isinstance(value, list):
        return f"({place} {how.value} {json.dumps(value)})"
    if how in (FilterOperator.IN, FilterOperator.ANY):
        return _is_one_of(place, values)
    if how == FilterOperator.NIN:
        return f"(exists({place}) && !{_is_one_of(place, values)})"
    if how in (FilterOperator.ALL, FilterOperator.CONTAINS):
        return f"({' && '.join(f'{place} == {json.dumps(v)}' for v in values) or '1 == 1'})"
    if how == FilterOperator.IS_EMPTY:
        return f'(!exists({place}) || {place} == null || {place} == "" || {place}.size() == 0)'
    if how in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
        flags = "q" if how == FilterOperator.TEXT_MATCH else "iq"
        return f'({place} like_regex {json.dumps(str(value))} flag "{flags}")'
    raise UsageError(
        f"The filter {how.value} does not take {value!r}.",
        hint="Lists go with in, nin, any and all.",
        code="engine.filter",
    )


def _is_one_of(place: str, values: Sequence[Any]) -> str:
    return f"({' || '.join(f'{place} == {json.dumps(each)}' for each in values) or '1 == 0'})"
