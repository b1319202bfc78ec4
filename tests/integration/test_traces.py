"""Traces through the memory: from a question to its statements, and from a stored memory to its delivery."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.telemetry.recording import TracerRecorder
from mahavishnu.base.telemetry.spans import SpanOrigins, collect_with, span
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.outbox.mirror import JsonlMirror
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.store import MemoryStore
from tests.conftest import OpenWorld

pytestmark = pytest.mark.postgres

CANARY = "xylophone"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """What is recorded in the test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    collect_with(TracerRecorder(provider))
    yield exporter
    collect_with(None)


def tree(spans: Sequence[ReadableSpan], top: str) -> dict[str, Any]:
    """Return the names below the span `top`, nested, without what the driver asks for itself."""
    [root] = [each for each in spans if each.name == top]

    def below(one: ReadableSpan) -> dict[str, Any]:
        assert one.context
        return {
            each.name: below(each)
            for each in spans
            if each.parent and each.parent.span_id == one.context.span_id
            and each.name not in ("SELECT", "WITH")
        }  # fmt: skip

    return below(root)


async def test_a_search_is_one_trace_down_to_its_statements_and_quotes_nothing(
    open_world: OpenWorld, exporter: InMemorySpanExporter
) -> None:
    async with open_world() as world:
        await world.memories.store(NewMemory(content=f"The {CANARY} stands in the hall."))
        await world.retriever.search(SearchRequest(query="hall"))  # which warms up
        exporter.clear()
        await world.retriever.search(SearchRequest(query=f"where is the {CANARY}?"))
        with pytest.raises(MahavishnuError), span("refused"):
            async with world.database.connection() as connection:
                await connection.execute(f"SELECT '{CANARY}'::integer")
    spans = exporter.get_finished_spans()
    found = tree(spans, "search")
    assert found == {
        "embeddings fake": {},
        "match_terms": {},
        "nearest_vectors": {},
        "fetch_hits": {},
    }
    told = next(each.attributes for each in spans if each.name == "search")
    assert told
    assert told["mahavishnu.search.vector.candidates"] == 1
    states = [(each.attributes or {}).get("db.response.status_code") for each in spans]
    assert {*states} == {None, "22P02"}
    assert CANARY not in "".join(each.to_json() for each in spans)


async def test_a_delivery_leads_to_where_its_memory_was_stored(
    open_world: OpenWorld, exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with open_world() as world:
        origins = SpanOrigins()
        memories = MemoryStore(world.database, world.space, world.scopes, origins=origins)
        target = JsonlMirror(tmp_path / "mirror.jsonl")
        outbox = Outbox(world.database, memories, [target], origins)
        stored = await memories.store(NewMemory(content="one"))
        await world.memories.store(NewMemory(content="of another process"))
        await outbox.run()
    spans = exporter.get_finished_spans()
    [origin, _] = [each for each in spans if each.name == "store memories"]
    [delivery] = [each for each in spans if each.name == "deliver changes"]
    [link] = delivery.links
    assert link.context == origin.context
    assert delivery.attributes and delivery.attributes["mahavishnu.sync.target"] == "mirror"
    assert str(stored.id) in delivery.attributes["mahavishnu.memory.ids"]  # type: ignore[operator]
