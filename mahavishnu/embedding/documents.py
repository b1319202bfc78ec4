"""Embed whole documents: chunk each, embed all chunks, and split further where a server says so."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mahavishnu.base.errors import UsageError
from mahavishnu.embedding.chunks import SMALLEST_BUDGET, Span, chunk_spans, split
from mahavishnu.embedding.port import Embedder, Vector

# Counting tokens of more characters than this would hold up the event loop noticeably.
_INLINE_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """Characters [start, end) of a document, with their vector."""

    start: int
    end: int
    vector: Vector


async def embed_in_chunks(embedder: Embedder, texts: Sequence[str]) -> list[list[EmbeddedChunk]]:
    """
    Embed each of `texts` in as many chunks as it needs; together they cover all but whitespace.

    A blank text gets no chunk. A chunk that the server finds too long after all, because the count
    was an estimate, is halved until it fits. Raises what the embedder raises.
    """
    if sum(map(len, texts)) > _INLINE_CHARS:
        spans = await asyncio.to_thread(lambda: [chunk_spans(embedder, t) for t in texts])
    else:
        spans = [chunk_spans(embedder, text) for text in texts]
    flat = [(text, span) for text, own in zip(texts, spans, strict=True) for span in own]
    try:
        vectors = await embedder.embed_documents([text[s.start : s.end] for text, s in flat])
    except UsageError as error:
        if error.code != "embedding.too_long":
            raise
        return [
            [chunk for span in own for chunk in await _embed_span(embedder, text, span)]
            for text, own in zip(texts, spans, strict=True)
        ]
    ready = iter(vectors)
    return [[EmbeddedChunk(s.start, s.end, next(ready)) for s in own] for own in spans]


async def _embed_span(embedder: Embedder, text: str, span: Span) -> list[EmbeddedChunk]:
    """Embed one span, in halves where it is too long."""
    piece = text[span.start : span.end]
    try:
        [vector] = await embedder.embed_documents([piece])
    except UsageError as error:
        half = embedder.count_tokens(piece) // 2
        if error.code != "embedding.too_long" or half < SMALLEST_BUDGET:
            raise
        return [
            chunk
            for part in split(piece, budget=half, count=embedder.count_tokens)
            for chunk in await _embed_span(
                embedder, text, Span(span.start + part.start, span.start + part.end)
            )
        ]
    return [EmbeddedChunk(span.start, span.end, vector)]
