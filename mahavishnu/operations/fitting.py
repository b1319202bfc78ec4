"""Fit answers into a number of tokens: the whole JSON counts, not the contents alone. Pure."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.memory.models import NAMES
from mahavishnu.operations.repository_requests import KnowledgeAnswer
from mahavishnu.operations.results import (
    ForgetResult,
    FoundMemory,
    ListedMemory,
    ListedSession,
    MemoryPart,
    SearchAnswer,
    SessionPart,
)

# A token is seldom more characters; longer texts are not even measured, which would take a second a MiB.
CHARACTERS_OF_TOKEN = 8
_PAGE_FRAME = 48  # what stands around the memories of a page, its cursor included
_SHARES = 16  # the echo of a question, and each reason, take one of so many parts at most
# What may be left out of a memory, and what replaces it.
_OPTIONAL: dict[str, object] = {
    "metadata": {},
    "arms": {},
    "path": None,
    "project": None,
    **dict.fromkeys(NAMES),
    "commit": None,
    "source_system": "",
}


def fit_answer[A: (SearchAnswer, KnowledgeAnswer)](
    answer: A, found: Sequence[FoundMemory], max_tokens: int | None
) -> A:
    """Return the answer with the best memories that fit together; the first is cut to fit alone."""
    if max_tokens is None:
        return replace(answer, hits=list(found))
    frame = _fit_frame(replace(answer, omitted=len(found)), max_tokens)
    left = max_tokens - _measure(frame, max_tokens)
    kept: list[FoundMemory] = []
    for memory in found:
        size = _measure(memory, left) + 1  # and a comma
        if size > left and not kept:
            memory = _cut(memory, left - 1)
            size = _measure(memory, left) + 1
        if size <= left:
            kept.append(memory)
            left -= size
    return replace(frame, hits=kept, omitted=len(found) - len(kept))


def fit_page(memories: Sequence[ListedMemory], max_tokens: int | None) -> list[ListedMemory]:
    """Return the first memories that fit together, without a gap; the first is cut to fit alone."""
    if max_tokens is None:
        return list(memories)
    left = max_tokens - _PAGE_FRAME
    kept: list[ListedMemory] = []
    for memory in memories:
        size = _measure(memory, left) + 1
        if size > left:
            return kept or [_cut(memory, left - 1)]
        kept.append(memory)
        left -= size
    return kept


def fit_part(part: MemoryPart, max_tokens: int | None) -> MemoryPart:
    """Return the part with as much of the beginning of its content as fits; its end follows."""
    if max_tokens is None:
        return part
    size = _measure(part, max_tokens)
    return part if size <= max_tokens else _cut(part, max_tokens)


def fit_list[B: msgspec.Struct](answer: B, name: str, max_tokens: int | None) -> B:
    """Return the answer with the first parts of its list `name` that fit together; `omitted` counts the others."""
    if max_tokens is None:
        return answer
    parts = getattr(answer, name)
    frame = replace(answer, **{name: [], "omitted": len(parts)})
    kept = first_that_fit(parts, max_tokens - _measure(frame, max_tokens))
    return replace(frame, **{name: kept, "omitted": len(parts) - len(kept)})


def fit_forgotten(told: ForgetResult, max_tokens: int | None) -> ForgetResult:
    """Return the same with as many ids as fit; what could not be deleted gets half, if it needs it."""
    if max_tokens is None:
        return told
    total = len(told.ids) + len(told.not_found) + len(told.not_own)
    frame = replace(told, ids=[], not_found=[], not_own=[], omitted=total)
    left = max_tokens - _measure(frame, max_tokens)
    not_found, not_own = (
        first_that_fit(told.not_found, left // 4),
        first_that_fit(told.not_own, left // 4),
    )
    ids = first_that_fit(told.ids, left - _measure(not_found, left) - _measure(not_own, left))
    omitted = total - len(ids) - len(not_found) - len(not_own)
    return replace(frame, ids=ids, not_found=not_found, not_own=not_own, omitted=omitted)


def fit_sessions(sessions: Sequence[ListedSession], max_tokens: int | None) -> list[ListedSession]:
    """Return the first sessions that fit together; the first one is shortened to fit alone."""
    if max_tokens is None:
        return list(sessions)
    kept = first_that_fit(sessions, max_tokens - _PAGE_FRAME)
    short = [replace(each, agents=[], models=[], opening="") for each in sessions[:1]]
    return kept or short


def fit_turns(part: SessionPart, max_tokens: int | None) -> SessionPart:
    """Return the first turns that fit together; the first one is cut to fit alone."""
    if max_tokens is None:
        return part
    frame = replace(part, turns=[], next_start=part.total_turns)
    left = max_tokens - _measure(frame, max_tokens)
    kept = first_that_fit(part.turns, left)
    if kept or not part.turns:
        return replace(part, turns=kept)
    bare = replace(
        part.turns[0], content="", truncated=True, metadata={}, speaker=None, agent_id=None,
        model=None, profile=None, branch=None,
    )  # fmt: skip
    content = _fit_text(part.turns[0].content, max(1, left - 1 - _measure(bare, left)))
    return replace(part, turns=[replace(bare, content=content)])


def fits(body: object, max_tokens: int) -> bool:
    """Tell whether a body fits."""
    return _measure(body, max_tokens) <= max_tokens


def first_that_fit[B](parts: Sequence[B], left: int) -> list[B]:
    """Return the first parts that fit together, without a gap."""
    kept: list[B] = []
    for part in parts:
        left -= _measure(part, left) + 1  # and a comma
        if left < 0:
            break
        kept.append(part)
    return kept


def _fit_frame[A: (SearchAnswer, KnowledgeAnswer)](answer: A, max_tokens: int) -> A:
    """Return the answer without hits in a third of the budget, or not much more."""
    share, most = max_tokens // _SHARES, max_tokens // 3
    if _measure(answer, most) > most:
        answer = replace(answer, query=_fit_text(answer.query, share))
    if _measure(answer, most) > most and answer.explanation is not None:
        answer = replace(answer, explanation=None, left_out=["explanation"])
    if _measure(answer, most) > most:
        reasons = [replace(d, reason=_fit_text(d.reason, share)) for d in answer.degraded]
        answer = replace(answer, degraded=reasons)
    return answer


def _cut[M: (FoundMemory, ListedMemory, MemoryPart)](memory: M, max_tokens: int) -> M:
    """Return the memory cut to fit: the text around the content gets half, if it can."""
    start = getattr(memory, "char_start", None) or 0
    bare: M = replace(memory, content="", truncated=True)
    sizes = {name: len(_written(getattr(bare, name))) for name in _present(bare)}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if _measure(bare, max_tokens) <= max_tokens // 2:
            break
        bare = replace(bare, **{name: _OPTIONAL[name]}, left_out=[*bare.left_out, name])
    room = max(1, max_tokens - _measure(bare, max_tokens))
    if isinstance(memory, MemoryPart):
        content = _fit_text(memory.content, room)
        end = start + len(content)
        return replace(bare, content=content, char_end=end, truncated=end < memory.total_characters)
    content = _fit_text(memory.content[start:], room)
    if not isinstance(bare, FoundMemory) or bare.char_end is None:
        return replace(bare, content=content)
    # The best passage, of which the rest begins.
    return replace(
        bare, content=content, char_start=0, char_end=min(bare.char_end - start, len(content))
    )


def _present(memory: FoundMemory | ListedMemory | MemoryPart) -> Iterator[str]:
    return (name for name, empty in _OPTIONAL.items() if getattr(memory, name, empty) != empty)


def _fit_text(text: str, max_tokens: int) -> str:
    """Return as much of the beginning of a text as fits when written as JSON, at least a character."""
    length = min(len(text), max_tokens * CHARACTERS_OF_TOKEN)
    while length > 1 and (tokens := estimate_tokens(_written(text[:length]))) > max_tokens:
        length = max(1, min(length * 9 // 10, length * max_tokens // tokens))
    return text[:length]


def _measure(body: object, enough: int) -> int:
    """Return the tokens of a body as JSON, measured no further than where it cannot fit."""
    written = _written(body)
    if len(written) > max(1, enough) * CHARACTERS_OF_TOKEN:
        return enough + 1
    return estimate_tokens(written)


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()
