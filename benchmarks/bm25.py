"""Textbook BM25, the reference that every retriever is measured beside. Not the product's ranking."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

K1 = 1.2
B = 0.75
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)
_WORD = re.compile(r"[a-z0-9]+")


class Bm25:
    """An index over texts, Lucene's stop list, no stemming. Source: Robertson and Zaragoza, 2009."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the texts; their places are what `rank` returns."""
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = []
        for place, text in enumerate(texts):
            words = tokenize(text)
            lengths.append(len(words))
            for word, count in Counter(words).items():
                self._postings[word].append((place, count))
        average = sum(lengths) / max(1, len(lengths)) or 1.0
        self._norms = [K1 * (1 - B + B * length / average) for length in lengths]

    def rank(self, question: str, *, limit: int = 200) -> list[int]:
        """Return the places of the best texts, best first, ties by place."""
        scores: dict[int, float] = defaultdict(float)
        size = len(self._norms)
        for word in tokenize(question):
            found = self._postings.get(word, [])
            weight = math.log(1 + (size - len(found) + 0.5) / (len(found) + 0.5))
            for place, count in found:
                scores[place] += weight * count * (K1 + 1) / (count + self._norms[place])
        return sorted(scores, key=lambda place: (-scores[place], place))[:limit]


def tokenize(text: str) -> list[str]:
    """Return lower-case words without stop words."""
    return [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]
