"""
Vectors in memory, of all scopes together, in half precision: compared one by one, or by a graph of them.

Rows are numbered in the order in which they arrive. The graph holds the first ones, and points at the values that are
kept for comparing; usearch does both on one core, where a matrix product would wait for all of them.
"""

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from usearch.compiled import MetricKind
from usearch.index import Index, search

GRAPH_FROM = 4_000  # rows; to compare so many takes half a millisecond
EXACT_UP_TO = 10_000  # rows that are compared one by one: about a millisecond
NARROWEST = 4  # a graph is asked for a part of its rows that is at least one in so many
DEEPEST = 2_000  # rows asked of a graph
PIECE = 16  # rows that are put into it at once: usearch lets nothing else run meanwhile
BLOCK = 16_384  # rows whose values lie together
CONNECTIVITY, BUILD_DEPTH, SEARCH_DEPTH = 16, 128, 96

type Halves = NDArray[np.float16]
type Cosines = NDArray[np.float32]
type Integers = NDArray[np.int64]
type RowNumbers = NDArray[np.intp]


class Nearest(NamedTuple):
    """Rows with their cosines, best first; whether a graph led to them, and whether there are no others."""

    rows: RowNumbers
    cosines: Cosines
    by_graph: bool
    is_all: bool


class KnownRows:
    """What is known of each row: its memory, scope and characters, and whether it still counts."""

    def __init__(self) -> None:
        self.memory_nos: Integers = np.empty(0, np.int64)
        self.scope_nos: Integers = np.empty(0, np.int64)
        self.ranges: Integers = np.empty((0, 2), np.int64)
        self.alive: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._sizes: Integers | None = None

    def __len__(self) -> int:
        return len(self.memory_nos)

    @property
    def nbytes(self) -> int:
        """How much memory is taken."""
        return sum(
            each.nbytes for each in (self.memory_nos, self.scope_nos, self.ranges, self.alive)
        )

    def add(self, memory_nos: Integers, scope_nos: Integers, ranges: Integers) -> None:
        """Append rows."""
        self.memory_nos = np.concatenate((self.memory_nos, memory_nos))
        self.scope_nos = np.concatenate((self.scope_nos, scope_nos))
        self.ranges = np.concatenate((self.ranges, ranges))
        self.alive = np.concatenate((self.alive, np.ones(len(memory_nos), np.bool_)))
        self._sizes = None

    def remove(self, rows: NDArray[np.bool_]) -> None:
        """Let rows count no more."""
        self.alive[rows] = False
        self._sizes = None

    def count(self, scopes: Iterable[int]) -> int:
        """Return how many rows of scopes count."""
        if self._sizes is None:
            self._sizes = np.bincount(self.scope_nos[self.alive])
        known = len(self._sizes)
        return sum(int(self._sizes[scope]) for scope in scopes if scope < known)

    def counting(self, scopes: Collection[int], rows: slice | RowNumbers) -> NDArray[np.bool_]:
        """Tell which of some rows are of scopes, and count."""
        numbers = self.scope_nos[rows]
        chosen = np.zeros(max(*scopes, int(numbers.max(initial=0)), 0) + 1, np.bool_)
        chosen[list(scopes)] = True
        return self.alive[rows] & chosen[numbers]


class Vectors:
    """Vectors of length 1, and what is known of them; for one thread."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self.rows = KnownRows()
        self._blocks: list[Halves] = []
        self._graph: Index | None = None
        self._graphed = 0  # how many rows it holds

    @property
    def size_bytes(self) -> int:
        """About how much memory is taken."""
        graph = self._graph.memory_usage if self._graph is not None else 0
        return int(graph) + len(self.rows) * self._dimensions * 2 + self.rows.nbytes

    @property
    def needs_graph(self) -> bool:
        """Whether there are rows to be put into a graph."""
        return len(self.rows) > self._graphed and (
            self._graph is not None or len(self.rows) >= GRAPH_FROM
        )

    @property
    def is_worn(self) -> bool:
        """Whether most rows do not count, so that it is better built again."""
        return len(self.rows) > GRAPH_FROM and 2 * int(self.rows.alive.sum()) < len(self.rows)

    def add(
        self, memory_nos: Integers, scope_nos: Integers, ranges: Integers, vectors: Halves
    ) -> None:
        """Append rows."""
        end = len(self.rows)
        while len(vectors):
            block, offset = divmod(end, BLOCK)
            if block == len(self._blocks):  # the system gives memory for what is written there
                self._blocks.append(np.empty((BLOCK, self._dimensions), np.float16))
            piece, vectors = vectors[: BLOCK - offset], vectors[BLOCK - offset :]
            self._blocks[block][offset : offset + len(piece)] = piece
            end += len(piece)
        self.rows.add(memory_nos, scope_nos, ranges)

    def grow_graph(self) -> None:
        """Put a few of the rows into the graph that it does not hold."""
        if self._graph is None:
            self._graph = Index(
                ndim=self._dimensions, metric="ip", dtype="f16", connectivity=CONNECTIVITY,
                expansion_add=BUILD_DEPTH, expansion_search=SEARCH_DEPTH,
            )  # fmt: skip
        block, offset = divmod(self._graphed, BLOCK)
        count = min(PIECE, len(self.rows) - self._graphed, BLOCK - offset)
        keys = np.arange(self._graphed, self._graphed + count)
        values = self._blocks[block][offset : offset + count]
        self._graph.add(keys, values, copy=False, threads=1)
        self._graphed += count

    def nearest(self, vector: Halves, depth: int, scopes: Collection[int]) -> Nearest | None:
        """Return the nearest rows of scopes, about `depth`; None where too many would have to be compared."""
        size = self.rows.count(scopes)
        deep = math.ceil(depth * len(self.rows) / size) if size else 0
        waiting = len(self.rows) - self._graphed
        if (
            self._graph is not None and waiting <= EXACT_UP_TO
            and size * NARROWEST >= len(self.rows) and deep <= DEEPEST
        ):  # fmt: skip
            return self._follow_graph(vector, deep, scopes)
        if size > EXACT_UP_TO:
            return None
        rows, cosines = self._compare(vector, depth, scopes, 0)
        return Nearest(rows, cosines, by_graph=False, is_all=len(rows) == size)

    def _follow_graph(self, vector: Halves, depth: int, scopes: Collection[int]) -> Nearest:
        assert self._graph is not None
        found = self._graph.search(vector, depth, threads=1)
        keys, similarities = found.keys.astype(np.intp), 1 - found.distances
        least = similarities[-1] if depth <= len(keys) < self._graphed else -np.inf
        counting = self.rows.counting(scopes, keys)
        late, cosines = self._compare(vector, depth, scopes, self._graphed)
        rows = np.concatenate((keys[counting], late))
        cosines = np.concatenate((similarities[counting], cosines))
        order = np.argsort(-cosines, kind="stable")
        order = order[cosines[order] >= least]  # below, the graph has others
        return Nearest(rows[order], cosines[order], by_graph=True, is_all=False)

    def _compare(
        self, vector: Halves, depth: int, scopes: Collection[int], first: int
    ) -> tuple[RowNumbers, Cosines]:
        """Compare the rows of scopes from the `first` on."""
        rows = np.flatnonzero(self.rows.counting(scopes, slice(first, None))) + first
        if not len(rows):
            return rows, np.empty(0, np.float32)
        parts = []
        for number in range(rows[0] // BLOCK, rows[-1] // BLOCK + 1):
            begin, end = np.searchsorted(rows, (number * BLOCK, (number + 1) * BLOCK))
            own = rows[begin:end] - number * BLOCK
            if len(own):
                together = own[-1] - own[0] + 1 == len(own)
                block = self._blocks[number]
                parts.append(block[own[0] : own[-1] + 1] if together else block[own])
        places, cosines = compare(
            parts[0] if len(parts) == 1 else np.concatenate(parts), vector, depth
        )
        return rows[places], cosines


def compare(vectors: Halves, vector: Halves, depth: int) -> tuple[RowNumbers, Cosines]:
    """Return the places of the nearest vectors and their cosines, at most `depth`, best first."""
    count = min(depth, len(vectors))
    found = search(vectors, vector, count, MetricKind.IP, exact=True, threads=1)
    return found.keys.astype(np.intp), (1 - found.distances).astype(np.float32)


def as_numbers(values: Collection[int]) -> Integers:
    """Return numbers as an array."""
    return np.fromiter(values, np.int64, len(values))


def read_vectors(sent: Collection[bytes], dimensions: int) -> Halves:
    """Return vectors as `halfvec_send` gives them: two numbers of 16 bits, then the values, the high byte first."""
    values = np.frombuffer(b"".join(sent), ">f2").reshape(len(sent), dimensions + 2)
    return values[:, 2:].astype(np.float16)
