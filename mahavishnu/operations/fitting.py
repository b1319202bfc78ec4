"""Fit answers into a number of tokens: the whole JSON counts, not the contents alone. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.memory.budget import cut_hit
from mahavishnu.memory.models import Hit
from mahavishnu.operations.bodies import HitBody, hit_body
from mahavishnu.operations.results import ListedMemory

ENVELOPE = 40  # what stands around the memories
# A token is seldom more characters; longer texts are not even measured, which would take a second a MiB.
CHARACTERS_OF_TOKEN = 8


def fit_hits(hits: Sequence[Hit], max_tokens: int | None) -> tuple[list[HitBody], int]:
    """Return the best hits that fit together, and how many did not; the first is cut to fit alone."""
    bodies = [hit_body(hit) for hit in hits]
    if max_tokens is None:
        return bodies, 0
    left = max_tokens - ENVELOPE
    kept: list[HitBody] = []
    for hit, body in zip(hits, bodies, strict=True):
        size = _measure(body, left)
        if size > left and not kept:
            room = max(1, left - _measure(replace(body, content=""), left))
            body = hit_body(cut_hit(hit, room))
            bare = _measure(replace(body, content=""), left) >= left
            body = replace(body, metadata={}) if bare else body
            size = left
        if size <= left:
            kept.append(body)
            left -= size
    return kept, len(hits) - len(kept)


def fit_page(memories: Sequence[ListedMemory], max_tokens: int | None) -> list[ListedMemory]:
    """Return the first memories that fit together, without a gap; the first is cut to fit alone."""
    if max_tokens is None:
        return list(memories)
    left = max_tokens - ENVELOPE
    kept: list[ListedMemory] = []
    for memory in memories:
        size = _measure(memory, left)
        if size > left and kept:
            break
        kept.append(memory if size <= left else _cut(memory, left))
        left -= size
    return kept


def fit_text(text: str, max_tokens: int | None) -> str:
    """Return as much of the beginning of a text as fits, at least a character."""
    if max_tokens is None:
        return text
    length = min(len(text), max_tokens * CHARACTERS_OF_TOKEN)
    while length > 1 and estimate_tokens(_written(text[:length])) > max_tokens:
        length = max(1, length * 3 // 4)
    return text[:length]


def _cut(memory: ListedMemory, max_tokens: int) -> ListedMemory:
    around = _measure(replace(memory, content="", truncated=True), max_tokens)
    if around >= max_tokens:
        memory = replace(memory, metadata={})
        around = _measure(replace(memory, content="", truncated=True), max_tokens)
    content = fit_text(memory.content, max(1, max_tokens - around))
    return replace(memory, content=content, truncated=True)


def _measure(body: HitBody | ListedMemory, enough: int) -> int:
    """Return the tokens of a body as JSON, measured no further than where it cannot fit."""
    written = _written(body)
    if len(written) > enough * CHARACTERS_OF_TOKEN:
        return enough + 1
    return estimate_tokens(written)


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()
