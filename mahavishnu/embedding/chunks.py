"""Split a text into spans that fit a model, at the best boundary, losing nothing. Pure."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from mahavishnu.embedding.known_models import MAX_WINDOW_TOKENS
from mahavishnu.embedding.port import Embedder, ModelIdentity

# Longer chunks blur what a vector stands for; most models were trained on passages of this size.
CHUNK_TOKENS = 512
# Beginning, end and separator marks that a tokenizer adds around every text.
SPECIAL_TOKENS = 4
SMALLEST_BUDGET = 16
# A bound on a chunk's characters per token of budget. English has about four; a tokenizer that
# folds a whole blob into one "unknown" token would otherwise give chunks without end.
_CHARS_PER_TOKEN = 8

_BOUNDARIES = (
    re.compile(r"\n[^\S\n]*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?]['\")\]]*\s|[。！？]"),
    re.compile(r"\s"),
)
_VISIBLE = re.compile(r"\S")
_PIECES = re.compile(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]|\n")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text."""

    start: int
    end: int


def chunk_budget(identity: ModelIdentity, *, prefix_tokens: int) -> int:
    """Return how many tokens of text one chunk may hold, prefix and special tokens deducted."""
    window = min(identity.window_tokens, MAX_WINDOW_TOKENS, CHUNK_TOKENS)
    return max(SMALLEST_BUDGET, window - prefix_tokens - SPECIAL_TOKENS)


def chunk_spans(embedder: Embedder, text: str) -> list[Span]:
    """Split `text` as `split` does, for the model behind `embedder` and by its token count."""
    prefix = embedder.identity.document_prefix
    prefix_tokens = embedder.count_tokens(prefix) if prefix else 0
    budget = chunk_budget(embedder.identity, prefix_tokens=prefix_tokens)
    return split(text, budget=budget, count=embedder.count_tokens)


def split(text: str, *, budget: int, count: Callable[[str], int]) -> list[Span]:
    """
    Return ordered, disjoint spans of at most `budget` tokens each, by `count`.

    Whatever lies between or around the spans is whitespace; a blank text has no span. A span ends
    at a paragraph, else a line, a sentence, a word, else wherever it must, though not inside what
    people see as one character. Linear in the text: each character is counted a bounded number
    of times. A single character is a span even where it alone exceeds the budget.
    """
    spans: list[Span] = []
    chars_per_token = 4.0
    start = _next_visible(text, 0)
    while start < len(text):
        end, chars_per_token = _widest(text, start, budget, count, chars_per_token)
        if end < len(text):
            end = _best_boundary(text, start, end)
            while end - start > 1 and count(text[start:end]) > budget:
                end = _whole_character(text, start, start + (end - start) // 2)
        visible_end = start + len(text[start:end].rstrip())
        spans.append(Span(start, visible_end))
        start = _next_visible(text, end)
    return spans


def estimate_tokens(text: str) -> int:
    """
    Estimate the tokens of `text` on the high side, for a model whose tokenizer is elsewhere.

    1.2 to 1.6 times what WordPiece makes of prose and code, about right for hex and base64; every
    symbol counts, and letters outside ASCII by their UTF-8 length.
    """
    total = 0
    for piece in _PIECES.findall(text):
        size = len(piece)
        first = ord(piece[0])
        if size == 1:
            total += 1 if first < 0x800 else 2 if first < 0x10000 else 3
        elif size <= 16 and piece.isalpha():
            total += (size + 3) // 4
        else:
            total += (size * 3 + 3) // 4
    return total


def _next_visible(text: str, position: int) -> int:
    found = _VISIBLE.search(text, position)
    return found.start() if found else len(text)


def _widest(
    text: str, start: int, budget: int, count: Callable[[str], int], chars_per_token: float
) -> tuple[int, float]:
    """Return about the furthest end that fits, and the characters per token seen there."""
    furthest = min(len(text), start + budget * _CHARS_PER_TOKEN)
    end = min(furthest, start + max(1, int(budget * chars_per_token)))
    tokens = count(text[start:end])
    while tokens > budget and end - start > 1:
        end = start + max(1, int((end - start) * 0.95 * budget / tokens))
        tokens = count(text[start:end])
    if tokens < 0.8 * budget and end < furthest:
        wider = min(furthest, start + int((end - start) * 0.95 * budget / max(tokens, 1)))
        wider_tokens = count(text[start:wider])
        if wider_tokens <= budget:
            end, tokens = wider, wider_tokens
    return end, (end - start) / max(tokens, 1) * 0.97


def _best_boundary(text: str, start: int, end: int) -> int:
    """Return the end of the last best boundary in the second half of [start, end)."""
    if text[end].isspace():
        end += 1
    middle = start + (end - start) // 2
    for boundary in _BOUNDARIES:
        ends = [found.end() for found in boundary.finditer(text, middle, end)]
        if ends:
            return ends[-1]
    return _whole_character(text, start, end)


def _whole_character(text: str, start: int, end: int) -> int:
    """Move `end` back to before the visible character it would cut, if that is near."""
    for cut in range(end, max(start, end - 32), -1):
        if cut >= len(text) or not _continues(text[cut - 1], text[cut]):
            return cut
    return end


def _continues(before: str, after: str) -> bool:
    """Tell whether `after` belongs to the same visible character as `before`."""
    joiner = "\u200d"
    regional = "\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff"
    return (
        joiner in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or regional
        or unicodedata.category(after).startswith("M")
    )
