"""
A seeded world of memories: clusters of skewed size that overlap, words by Zipf's law.

Points are gaussians in a 64-dimensional latent space, turned into 768 dimensions; a project owns
whole clusters, so that a filter's questions can come from inside and from far outside of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.world import DIMENSIONS

LATENT = 64
CLUSTERS = 200
SPREAD = 1.0  # of a cluster, where the centres have 1: the clusters overlap
VOCABULARY = 30_000
WORDS = 30  # of one memory, on average
QUERY_NOISE = 0.5
# Part of all memories; "rest" projects hold what is left.
PROJECTS = {"fifteen": 0.15, "five": 0.05, "tenth": 0.001}
REST = 6
COLLECTIONS = {"note": 0.6, "conversation": 0.2, "document": 0.15, "code": 0.05}
# Ranks in the vocabulary, from the commonest word on.
FREQUENCIES = {"rare": (8_000, 20_000), "middling": (300, 1_500), "very common": (0, 12)}


@dataclass(frozen=True)
class World:
    """Memories by number: vector (unit, half precision), text, project and collection."""

    vectors: np.ndarray
    texts: list[str]
    projects: list[str]
    collections: list[str]
    clusters: np.ndarray
    words: list[str]
    seed: int

    def members(self, project: str) -> np.ndarray:
        """Return the numbers of a project's memories."""
        return np.flatnonzero(np.array(self.projects) == project)


def make_world(size: int, *, seed: int = 11) -> World:
    """Return `size` memories; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, CLUSTERS + 1) ** 0.8
    clusters = rng.choice(CLUSTERS, size=size, p=weights / weights.sum())
    vectors = _vectors(_latent(rng, clusters, seed), seed)
    words = _vocabulary(seed)
    collections = rng.choice(list(COLLECTIONS), size=size, p=list(COLLECTIONS.values()))
    return World(
        vectors=vectors,
        texts=make_texts(words, size, seed=seed),
        projects=_projects(rng, clusters),
        collections=[str(name) for name in collections],
        clusters=clusters,
        words=words,
        seed=seed,
    )


def make_more(world: World, size: int, *, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return vectors and texts of further memories from the same clusters."""
    rng = np.random.default_rng(seed)
    clusters = rng.choice(world.clusters, size=size)
    vectors = _vectors(_latent(rng, clusters, world.seed), world.seed)
    return vectors, make_texts(world.words, size, seed=seed)


def make_questions(world: World, count: int, *, among: np.ndarray, seed: int) -> np.ndarray:
    """Return vectors near random ones of the memories `among`, but none of them."""
    rng = np.random.default_rng(seed)
    near = world.vectors[rng.choice(among, size=count)].astype(np.float32)
    latent = near @ _basis(world.seed).T
    noise = rng.standard_normal(latent.shape).astype(np.float32)
    scale = np.linalg.norm(latent, axis=1, keepdims=True) / np.sqrt(LATENT)
    return _vectors(latent + QUERY_NOISE * scale * noise, world.seed)


def make_word_questions(world: World, count: int, kind: str, *, seed: int) -> list[str]:
    """Return questions of three words of one frequency class; the same one may come again."""
    rng = np.random.default_rng(seed)
    low, high = FREQUENCIES[kind]
    picks = (rng.choice(high - low, size=3, replace=False) for _ in range(count))
    return [" ".join(world.words[low + place] for place in pick) for pick in picks]


def nearest(vectors: np.ndarray, questions: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the numbers of the `count` nearest vectors of each question, exactly, best first."""
    whole = vectors.astype(np.float32)
    found: list[np.ndarray] = []
    for start in range(0, len(questions), 100):
        scores = questions[start : start + 100].astype(np.float32) @ whole.T
        kept = min(count, scores.shape[1])
        top = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
        found += list(np.take_along_axis(top, order, axis=1))
    return found


def make_texts(words: Sequence[str], size: int, *, seed: int) -> list[str]:
    """Return texts whose words follow Zipf's law; each ends with a word of its own."""
    rng = np.random.default_rng(seed + 1)
    weights = 1 / (np.arange(len(words)) + 2.7)
    lengths = rng.integers(WORDS // 2, WORDS * 3 // 2, size=size)
    drawn = rng.choice(len(words), size=int(lengths.sum()), p=weights / weights.sum())
    parts = np.split(drawn, np.cumsum(lengths)[:-1])
    return [
        " ".join(words[place] for place in part) + f" k{seed}x{number}"
        for number, part in enumerate(parts)
    ]


def _latent(rng: np.random.Generator, clusters: np.ndarray, seed: int) -> np.ndarray:
    centres = np.random.default_rng(seed + 2).standard_normal((CLUSTERS, LATENT))
    spread = SPREAD * rng.standard_normal((len(clusters), LATENT))
    latent: np.ndarray = (centres[clusters] + spread).astype(np.float32)
    return latent


def _basis(seed: int) -> np.ndarray:
    """Return 64 orthonormal directions of the 768."""
    matrix = np.random.default_rng(seed + 3).standard_normal((DIMENSIONS, LATENT))
    return np.linalg.qr(matrix)[0].T.astype(np.float32)


def _vectors(latent: np.ndarray, seed: int) -> np.ndarray:
    whole = latent @ _basis(seed)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    halved: np.ndarray = whole.astype(np.float16)
    return halved


def _vocabulary(seed: int) -> list[str]:
    """Return made-up words that stemming leaves apart: syllables that end in a vowel."""
    rng = np.random.default_rng(seed + 4)
    syllables = [a + b for a in "bdfgklmnprtvz" for b in "aou"]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(rng.choice(syllables, size=int(rng.integers(2, 5))))] = None
    return list(words)


def _projects(rng: np.random.Generator, clusters: np.ndarray) -> list[str]:
    """Give each filter's project whole clusters up to its part, the rest to the others."""
    names = np.array([f"rest-{number}" for number in clusters % REST], dtype="U10")
    free = list(rng.permutation(np.unique(clusters)))
    for project, part in PROJECTS.items():
        wanted = round(part * len(clusters))
        while wanted > 0:
            cluster = free.pop()
            members = np.flatnonzero(clusters == cluster)[:wanted]
            names[members] = project
            wanted -= len(members)
    return [str(name) for name in names]
