"""
The vectors of one scope in memory: compared one by one, and from 10,000 on by a graph.

Rows are numbered in the order in which they arrive. A graph holds the first ones, in half precision; the rest is the
tail, in single precision, until it is long enough to go into a graph too.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

GRAPH_FROM = 10_000  # rows of a tail; to compare so many takes about half a millisecond
CONNECTIVITY, BUILD_DEPTH, SEARCH_DEPTH = 16, 128, 128

type Matrix = NDArray[np.float32]
type Integers = NDArray[np.int64]


class KnownRows:
    """What is known of each row: its memory, its characters, and whether it still counts."""

    def __init__(self) -> None:
        self.memory_nos: Integers = np.empty(0, np.int64)
        self.ranges: Integers = np.empty((0, 2), np.int64)
        self.alive: NDArray[np.bool_] = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self.memory_nos)

    def add(self, memory_nos: Integers, ranges: Integers) -> None:
        """Append rows."""
        self.memory_nos = np.concatenate((self.memory_nos, memory_nos))
        self.ranges = np.concatenate((self.ranges, ranges))
        self.alive = np.concatenate((self.alive, np.ones(len(memory_nos), np.bool_)))

    def remove(self, memory_nos: Integers) -> None:
        """Let the rows of memories count no more."""
        self.alive[np.isin(self.memory_nos, memory_nos)] = False


class ScopeVectors:
    """The vectors of length 1 of one scope; not for several threads, but for `build_graph`."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self.rows = KnownRows()
        self._graph: Index | None = None
        self._graphed = 0  # how many rows it holds
        self._tail: Matrix = np.empty((0, dimensions), np.float32)  # with room behind the last row

    @property
    def size_bytes(self) -> int:
        """About how much memory is taken."""
        graph = self._graph.memory_usage if self._graph is not None else 0
        return graph + self._tail.nbytes + len(self.rows) * 25

    @property
    def needs_graph(self) -> bool:
        """Whether so many rows are compared one by one that a graph is due."""
        return len(self.rows) - self._graphed >= GRAPH_FROM

    @property
    def is_exact(self) -> bool:
        """Whether all rows are compared."""
        return self._graph is None

    def add(self, memory_nos: Integers, ranges: Integers, vectors: Matrix) -> None:
        """Append rows; those that the memories had before count no more."""
        self.rows.remove(memory_nos)
        begin = len(self.rows) - self._graphed
        end = begin + len(vectors)
        if end > len(self._tail):
            room = np.empty((max(end, 2 * begin, 64), self._dimensions), np.float32)
            room[:begin] = self._tail[:begin]
            self._tail = room
        self._tail[begin:end] = vectors
        self.rows.add(memory_nos, ranges)

    def nearest(self, vector: Matrix, depth: int) -> tuple[NDArray[np.intp], Matrix]:
        """Return the nearest rows that count and their cosines, at most `depth`, best first; a graph may miss some."""
        rows, cosines = self._nearest_of_tail(vector, depth)
        if self._graph is not None:
            found = self._graph.search(vector, depth)
            keys, similarities = found.keys.astype(np.intp), 1 - found.distances
            live = self.rows.alive[keys]
            rows = np.concatenate((rows, keys[live]))
            cosines = np.concatenate((cosines, similarities[live].astype(np.float32)))
        order = np.argsort(-cosines, kind="stable")[:depth]
        return rows[order], cosines[order]

    def _nearest_of_tail(self, vector: Matrix, depth: int) -> tuple[NDArray[np.intp], Matrix]:
        count = len(self.rows) - self._graphed
        cosines = self._tail[:count] @ vector
        alive = self.rows.alive[self._graphed :]
        if not alive.all():
            cosines[~alive] = -np.inf
        best = np.argpartition(-cosines, depth)[:depth] if count > depth else np.arange(count)
        best = best[np.isfinite(cosines[best])]
        return best + self._graphed, cosines[best]

    def build_graph(self) -> tuple[Index, int]:
        """Return a graph of all rows of now; may run in a thread while others search and append."""
        end = len(self.rows)
        if self._graph is None:
            graph = Index(
                ndim=self._dimensions, metric="ip", dtype="f16", connectivity=CONNECTIVITY,
                expansion_add=BUILD_DEPTH, expansion_search=SEARCH_DEPTH,
            )  # fmt: skip
        else:
            graph = self._graph.copy()
        keys = np.arange(self._graphed, end)
        live = self.rows.alive[self._graphed : end]
        graph.add(keys[live], self._tail[: end - self._graphed][live])
        return graph, end

    def take_graph(self, graph: Index, end: int) -> None:
        """Search a graph of the rows up to `end` from now on."""
        self._tail = self._tail[end - self._graphed : len(self.rows) - self._graphed].copy()
        self._graph, self._graphed = graph, end


def as_numbers(values: Collection[int]) -> Integers:
    """Return numbers as an array."""
    return np.fromiter(values, np.int64, len(values))


def read_vectors(sent: Collection[bytes], dimensions: int) -> Matrix:
    """Return vectors as `halfvec_send` gives them: two numbers of 16 bits, then the values, the high byte first."""
    values = np.frombuffer(b"".join(sent), ">f2").reshape(len(sent), dimensions + 2)
    return values[:, 2:].astype(np.float32)
