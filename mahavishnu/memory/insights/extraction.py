"""
Find marked insights in a text. Pure, and in one pass: the time grows with the length alone.

A block begins at a line with a mark and a rule, and ends at a line that is a rule, each in backticks or bare:

    ★ Insight ─────
    What was learnt.
    ─────
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from textwrap import dedent

MARKS = ("★ Insight",)
SHORTEST, LONGEST = 30, 10_000  # characters of an insight
KEY = "insight:"  # what the source key of a found insight begins with

_QUOTE = re.compile(r"(?: {0,3}> ?)*")
_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^\r\n]*)$")
_RULE = re.compile(r"[ \t]*[`*_]{0,3}[─━]{5,}[`*_]{0,3}[ \t]*$")


def extract_insights(text: str, marks: Sequence[str] = MARKS) -> list[str]:
    """
    Return the insights of a text, each once, in their order, without the marks of a quotation around them.

    Left out is what is not closed, in a code block, or not of 30 to 10,000 characters. A further mark begins
    again, and the end of a quotation ends its block unfinished.
    """
    if not any(mark.partition(" ")[0] in text for mark in marks if mark):
        return []
    found: dict[str, str] = {}
    for block in _blocks(text, _opening(marks)):
        insight = dedent(block).strip("\n").rstrip()
        if SHORTEST <= len(insight) <= LONGEST:
            found.setdefault(key_of(insight), insight)
    return [*found.values()]


def key_of(insight: str) -> str:
    """Return the source key of an insight: equal where the texts differ in case, blanks and composed letters alone."""
    plain = " ".join(unicodedata.normalize("NFC", insight).casefold().split())
    return KEY + hashlib.sha256(plain.encode()).hexdigest()[:32]


def _opening(marks: Sequence[str]) -> re.Pattern[str]:
    words = (r"\ufe0f?[ \t]+".join(map(re.escape, mark.split())) for mark in marks if mark.strip())
    return re.compile(
        rf"[ \t]*[`*_]{{0,3}}(?:{'|'.join(words)})[ \t]*[─━]{{3,}}[`*_]{{0,3}}[ \t]*$"
    )


def _blocks(text: str, opening: re.Pattern[str]) -> Iterator[str]:
    """Yield the lines from a mark to its rule."""
    block: list[str] | None = None
    level = 0  # of the quotation that the block, or the code, stands in
    fence = ""
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        quote, inner = _unquote(line, level if block is not None or fence else None)
        if quote < level and (block is not None or fence):
            block, fence = None, ""  # the quotation has ended
            quote, inner = _unquote(line, None)
        if fence:
            if _closes(inner, fence):
                fence = ""
        elif found := _FENCE.match(inner):
            if "`" not in found[3] or found[2][0] == "~":
                fence = found[2]
                level = level if block is not None else quote
        elif opening.match(inner):
            block, level = [], quote
            continue
        elif block is not None and _RULE.match(inner):
            yield "\n".join(block)
            block = None
        if block is not None:
            block.append(inner)


def _unquote(line: str, at_most: int | None) -> tuple[int, str]:
    """Return how deep a line is quoted and what is left of it, without more than `at_most` levels."""
    prefix = _QUOTE.match(line)
    assert prefix is not None  # it matches the empty text
    depth = prefix[0].count(">")
    if at_most is None or depth <= at_most:
        return depth, line[prefix.end() :]
    end = 0
    for _ in range(at_most):
        end = line.index(">", end) + 1
        end += line[end : end + 1] == " "
    return at_most, line[end:]


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and not stripped.strip(fence[0])
