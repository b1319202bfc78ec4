"""The memory operations, each a translation from request to the application and back."""

from dataclasses import asdict
from uuid import UUID

from msgspec.structs import replace

from mahavishnu.app import App
from mahavishnu.base.errors import Conflict, NotFound, UsageError
from mahavishnu.memory.checks import MAX_LIMIT
from mahavishnu.memory.models import (
    BroughtVector,
    Memory,
    NewMemory,
    Stored,
)
from mahavishnu.operations.bodies import (
    LOCATIONS,
    DegradedBody,
    hit_fields,
    kept_fields,
    memory_fields,
)
from mahavishnu.operations.checkpoints import find_facts
from mahavishnu.operations.cursors import read_cursor, write_cursor
from mahavishnu.operations.fitting import (
    fit_answer,
    fit_list,
    fit_page,
    fit_part,
)
from mahavishnu.operations.moments import is_relative
from mahavishnu.operations.operation import Call, read_request
from mahavishnu.operations.requests import (
    FIELDS_IN_METADATA,
    EmbedWaiting,
    GetMemory,
    ListMemories,
    MemoryStats,
    Search,
    StoreMemory,
    StoreUnifiedMemory,
    SupersedeMemory,
    Where,
)
from mahavishnu.operations.results import (
    Embedded,
    FoundMemory,
    ListedMemory,
    MemoryPage,
    MemoryPart,
    SearchAnswer,
    Selected,
    Stats,
    StatsGroup,
    StatsTotals,
    StoreResult,
    SupersedeResult,
)
from mahavishnu.operations.vectors import read_vector

EMBEDDED_TOGETHER = 64  # memories between two reports of the progress


async def store_memory(call: Call, request: StoreMemory) -> StoreResult:
    """Store one memory; the same text in the same place gives the id it already has."""
    facts = None
    if request.checkpoint is not None:
        facts = await find_facts(call.app, request.checkpoint)
        known = {"commit": facts.commit, "quality_score": facts.quality_score}
        known = {name: value for name, value in known.items() if value is not None}
        request = replace(request, metadata=known | request.metadata)
    new = request.memory(source=call.source)
    stored = await _stored(call.app, new, await call.app.writes.store(new))
    stored = replace(stored, checkpoint=facts)
    if not is_relative(request.occurred_at):
        return stored
    # "2h" is another moment with each repetition: that it differs says nothing.
    return replace(stored, not_kept=[name for name in stored.not_kept if name != "occurred_at"])


async def store_unified_memory(call: Call, request: StoreUnifiedMemory) -> StoreResult:
    """Store one memory, with the caller's vector where there is one."""
    metadata = dict(request.metadata)
    fields = {name: metadata.pop(name) for name in FIELDS_IN_METADATA if name in metadata}
    plain = read_request(StoreMemory, {**fields, "content": request.content, "metadata": metadata})
    vector = await _brought(call.app, request)
    new = plain.memory(source=call.source, vector=vector)
    return await _stored(call.app, new, await call.app.writes.store(new))


async def search(call: Call, request: Search) -> SearchAnswer:
    """Answer a question."""
    await call.report(0, 2, "Searching")
    if request.group is not None:
        members = await call.app.repositories.select(names=request.projects, group=request.group)
        request = replace(request, projects=[each.name for each in members])
    result = await call.app.search(request.question(await _brought(call.app, request)))
    await call.report(1, 2, f"Found {len(result.hits)}")
    answer = SearchAnswer(
        query=result.query,
        mode=result.mode,
        hits=[],
        degraded=[DegradedBody(**asdict(part)) for part in result.degraded],
        explanation=dict(result.explanation) if request.explain else None,
    )
    found = [FoundMemory(**hit_fields(hit)) for hit in result.hits]
    answer = fit_answer(answer, found, request.max_tokens)
    await call.report(2, 2, f"Gives {len(answer.hits)}")
    return answer


async def get_memory(call: Call, request: GetMemory) -> MemoryPart:
    """Return one memory, or the asked part of a long one."""
    memories = call.app.memories
    found = await memories.get(await memories.resolve(request.id))
    whole = found.content
    if request.start and request.start >= len(whole):
        raise UsageError(
            f"The content has {len(whole):,} characters; there is nothing at {request.start:,}.",
            hint="Begin at 0.",
            code="input.start",
        )
    rest = MemoryPart(
        **memory_fields(found) | {"content": whole[request.start :]},
        char_start=request.start,
        char_end=len(whole),
        total_characters=len(whole),
        truncated=False,
    )
    return fit_part(rest, request.max_tokens)


async def list_memories(call: Call, request: ListMemories) -> MemoryPage:
    """Return a page of memories, newest first."""
    after = read_cursor(request.cursor)
    # One more than asked for tells whether there is a next page; at the most, a full page has to.
    limit = min(request.limit + 1, MAX_LIMIT)
    found = await call.app.memories.list_memories(
        request.filter(), limit=limit, offset=request.offset, after=after
    )
    shown = [ListedMemory(**memory_fields(item)) for item in found[: request.limit]]
    kept = fit_page(shown, request.max_tokens)
    more = len(kept) < len(found) or len(found) == MAX_LIMIT
    last = found[len(kept) - 1] if more and kept else None
    return MemoryPage(
        memories=kept, next_cursor=write_cursor(last.occurred_at, last.memory_no) if last else None
    )


async def supersede_memory(call: Call, request: SupersedeMemory) -> SupersedeResult:
    """Replace the text of a memory; done before with the same text, that is the answer again."""
    memories = call.app.memories
    old = await memories.resolve(request.id)
    try:
        stored = await memories.supersede(old, request.content)
        successor, created = stored.id, stored.created
    except Conflict as error:
        repeated = await _successor_that_says(call.app, old, request.content)
        if repeated is None:
            raise error
        successor, created = repeated.id, False
    return SupersedeResult(id=successor, created=created, supersedes=old, locations=LOCATIONS)


async def select_memories(call: Call, request: Where) -> Selected:
    """Return which live memories pass a filter."""
    return Selected(ids=await call.app.memories.select_ids(request.filter()))


async def embed_waiting(call: Call, request: EmbedWaiting) -> Embedded:
    """Give vectors to the memories that wait for them."""
    memories, done = call.app.memories, 0
    while not request.limit or done < request.limit:
        most = min(EMBEDDED_TOGETHER, request.limit - done) if request.limit else EMBEDDED_TOGETHER
        count = await memories.embed_waiting(limit=most)
        if not count:
            break
        done += count
        await call.report(done, None, "Embedding")
    return Embedded(embedded=done, waiting=await memories.count_waiting())


async def memory_stats(call: Call, request: MemoryStats) -> Stats:
    """Count what is remembered, the largest groups first."""
    groups, totals = await call.app.memories.stats()
    active = await call.app.space.active()
    stats = Stats(
        totals=StatsTotals(**totals),
        model=active[1].name if active else None,
        groups=[StatsGroup(**group) for group in groups],
    )
    return fit_list(stats, "groups", request.max_tokens)


async def _stored(app: App, new: NewMemory, stored: Stored) -> StoreResult:
    places = {"postgresql": "stored"} if stored.waits is None else {"spool": "waits"}
    if stored.waits is None and app.hot is not None and not app.hot.missing:
        indexed = not stored.created and await app.hot.holds(stored.id)
        places["hot"] = "indexed" if indexed else "not indexed yet"
    is_sent = stored.created and new.collection == "insight" and new.expires_at is None
    if app.session_buddy is not None and is_sent:
        places["session_buddy"] = "queued"
    return StoreResult(
        **kept_fields(stored),
        created=stored.created,
        embedded=stored.embedded,
        places=places,
        not_kept=list(stored.not_kept),
    )


async def _brought(app: App, request: StoreUnifiedMemory | Search) -> BroughtVector | None:
    """
    Return the caller's vector; where it names no model, of the active one, whose length it must have.

    Before the first vector it is of the embedder's model where it has its length.

    Raises:
        UsageError: a model without a vector, or no model to take a vector for.
    """
    model = request.embedding_model
    if request.embedding is None:
        if model is None:
            return None
        raise UsageError(
            "embedding_model is given without an embedding.",
            hint="Leave it out, and the text is embedded here; memory_stats names the model.",
            code="input.vector",
        )
    values = read_vector(request.embedding)
    if model is None:
        known, in_use = await app.space.model(), await app.space.active() is not None
        if known is None or not (in_use or known.dimensions == len(values)):
            raise UsageError(
                "No embedding model is in use yet, so the embedding must say of which it is.",
                hint="Send embedding_model with it: the model that made the vector.",
                code="input.vector",
            )
        model = known.key
    return BroughtVector(model=model, values=values, dimensions=len(values))


async def _successor_that_says(app: App, old: UUID, content: str) -> Memory | None:
    """Return what superseded a memory, where it says `content`: the answer to a repeated call."""
    before = await app.memories.get(old)
    if before.superseded_by is None:
        return None
    try:
        successor = await app.memories.get(before.superseded_by)
    except NotFound:
        return None
    return successor if successor.content == content else None
