"""Measures of a ranking, and how sure they are. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DEPTHS = (5, 10, 20)
SHARES = tuple(step / 10 for step in range(11))
RESAMPLES = 2_000
SEED = 7


@dataclass(frozen=True)
class Scores:
    """Share of the evidence among the first k, by k, and the reciprocal rank of the first one."""

    recall: Mapping[int, float]
    reciprocal_rank: float


def score(ranked: Sequence[str], evidence: frozenset[str]) -> Scores:
    """Score one ranking of keys, best first."""
    first = next((place for place, key in enumerate(ranked, start=1) if key in evidence), None)
    return Scores(
        {k: len(evidence.intersection(ranked[:k])) / len(evidence) for k in DEPTHS},
        1 / first if first else 0.0,
    )


def mean(scores: Sequence[Scores]) -> dict[str, float]:
    """Return the means over questions, by the names they have in the report."""
    return {f"R@{k}": float(np.mean([s.recall[k] for s in scores])) for k in DEPTHS} | {
        "MRR": float(np.mean([s.reciprocal_rank for s in scores]))
    }


def bootstrap_gain(
    scores: Sequence[Scores], over: Sequence[Scores], *, groups: Sequence[str] | None = None
) -> tuple[float, float]:
    """
    Return the mean gain of R@10 and the lower end of its 95 % interval.

    Questions are resampled, or whole groups of them. Percentile bootstrap. Source: Efron, 1979.
    """
    gains = np.array([a.recall[10] - b.recall[10] for a, b in zip(scores, over, strict=True)])
    rng = np.random.default_rng(SEED)
    if groups is None:
        picks = rng.integers(0, len(gains), (RESAMPLES, len(gains)))
        means = gains[picks].mean(axis=1)
    else:
        names = np.array(groups)
        members = [gains[names == name] for name in dict.fromkeys(groups)]
        picks = rng.integers(0, len(members), (RESAMPLES, len(members)))
        means = np.array([np.concatenate([members[i] for i in pick]).mean() for pick in picks])
    return float(gains.mean()), float(np.percentile(means, 2.5))


def choose_share(groups: Sequence[str], recall: Callable[[int, float], float]) -> dict[str, float]:
    """
    Return for each group the share that is best on all the other groups, the smallest of equals.

    `recall` gives R@10 of the question at a place, fused with a share.
    """
    table = np.array([[recall(place, share) for share in SHARES] for place in range(len(groups))])
    names = np.array(groups)
    return {
        name: SHARES[int(table[names != name].mean(axis=0).argmax())]
        for name in dict.fromkeys(groups)
    }
