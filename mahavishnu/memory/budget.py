"""Fit hits into a number of tokens, by an estimate on the high side. Pure."""

from collections.abc import Sequence
from copy import replace

from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.memory.models import Hit


def within_budget(hits: Sequence[Hit], max_tokens: int | None) -> tuple[Hit, ...]:
    """Keep the best hits whose contents fit the budget together; the first is cut to fit alone."""
    if max_tokens is None:
        return tuple(hits)
    left = max_tokens
    kept: list[Hit] = []
    for hit in hits:
        size = estimate_tokens(hit.memory.content)
        if size > left and not kept:
            return (cut_hit(hit, left),)
        if size <= left:
            kept.append(hit)
            left -= size
    return tuple(kept)


def cut_hit(hit: Hit, max_tokens: int) -> Hit:
    """Return the hit with as much of its content as fits, from its best place on; the range follows."""
    content = hit.memory.content
    length = len(content)
    start = hit.char_start or 0
    while length > 1 and estimate_tokens(content[start : start + length]) > max_tokens:
        length = max(1, length * 3 // 4)
    memory = replace(hit.memory, content=content[start : start + length])
    if hit.char_start is None or hit.char_end is None:
        return replace(hit, memory=memory, truncated=True)
    end = min(hit.char_end - start, len(memory.content))
    return replace(hit, memory=memory, char_start=0, char_end=end, truncated=True)
