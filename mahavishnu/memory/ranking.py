"""Fuse the scores of two arms over the union of their candidates. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from mahavishnu.memory.models import ArmScore, Collection

BM25_K1 = 0.6
BM25_B = 0.4


@dataclass(frozen=True)
class CollectionWeights:
    """
    How a collection is ranked.

    `text_share` is the text arm's part of a fused score (the vector arm has the rest); `usual_length`
    is the number of terms at which BM25 neither rewards nor punishes length.
    """

    text_share: float
    usual_length: float


# Chosen on data: conversation on LoCoMo leaving one conversation out, code on CoSQA and this
# repository's docstrings, document and
# note on this repository's own documents; see docs/reference/benchmarks.md.
WEIGHTS: Mapping[Collection, CollectionWeights] = {
    "note": CollectionWeights(text_share=0.5, usual_length=40),
    "conversation": CollectionWeights(text_share=0.5, usual_length=20),
    "document": CollectionWeights(text_share=0.5, usual_length=80),
    "code": CollectionWeights(text_share=0.3, usual_length=25),
    "execution": CollectionWeights(text_share=0.5, usual_length=40),
    "insight": CollectionWeights(text_share=0.5, usual_length=40),
}
MIXED_LENGTH = 40.0  # usual length where several collections are searched at once


class Ranked(msgspec.Struct, frozen=True):
    """A candidate in its final place; `score` in 0..1."""

    memory_no: int
    score: float
    arms: Mapping[str, ArmScore]


def fuse(
    text: Mapping[int, float],
    vector: Mapping[int, float],
    *,
    collections: Mapping[int, Collection],
    vector_candidates: Iterable[int] | None = None,
) -> Iterator[Ranked]:
    """
    Merge two arms by a weighted sum of scores scaled to 0..1 for this question.

    Args:
        text: BM25 score by candidate, positive.
        vector: cosine similarity by candidate; may hold candidates that only `text` found, so that
            each is judged by both arms.
        collections: collection of every candidate; it selects the weights.
        vector_candidates: those the vector arm itself found (for ranks); all of `vector` if None.

    Yields:
        Every candidate once, best first, ties by number, newest first. BM25 is scaled by the
        question's best score (zero means no term in common), cosine from the worst candidate to the
        best. An arm without candidates gives its share to the other.

    Source: convex combination of normalised scores, Bruch et al., TOIS 2023; reciprocal rank fusion
    was measured to be worse on conversations (docs/reference/benchmarks.md).
    """
    best_text = max(text.values(), default=0.0)
    low, high = (min(vector.values()), max(vector.values())) if vector else (0.0, 0.0)
    spread = high - low
    shares = {
        collection: _share(collection, has_text=bool(text), has_vector=bool(vector))
        for collection in WEIGHTS
    }
    parts = {}
    for number in text.keys() | vector.keys():
        share = shares[collections[number]]
        scaled_text = text[number] / best_text if number in text and best_text > 0 else 0.0
        scaled_vector = 0.0
        if number in vector:
            scaled_vector = (vector[number] - low) / spread if spread > 0 else 1.0
        parts[number] = share * scaled_text, (1 - share) * scaled_vector
    ordered = sorted(((sum(part), number) for number, part in parts.items()), reverse=True)
    text_ranks = _ranks(text)
    found = vector.keys() if vector_candidates is None else vector_candidates
    vector_ranks = _ranks({number: vector[number] for number in found if number in vector})
    for score, number in ordered:
        of_text, of_vector = parts[number]
        arms = {}
        if text:
            arms["text"] = ArmScore(
                rank=text_ranks.get(number), score=text.get(number, 0.0), contribution=of_text
            )
        if vector:
            arms["vector"] = ArmScore(
                rank=vector_ranks.get(number), score=vector.get(number, 0.0), contribution=of_vector
            )
        yield Ranked(number, score, arms)


def _share(collection: Collection, *, has_text: bool, has_vector: bool) -> float:
    if not has_vector:
        return 1.0
    if not has_text:
        return 0.0
    return WEIGHTS[collection].text_share


def _ranks(scores: Mapping[int, float]) -> dict[int, int]:
    ordered = sorted(((score, number) for number, score in scores.items()), reverse=True)
    return {number: place for place, (_, number) in enumerate(ordered, start=1)}
