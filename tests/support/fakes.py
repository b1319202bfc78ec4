"""Fakes that keep their port's whole contract; `tests/contracts` runs the same suite on them."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.embedding.port import ModelIdentity, Vector
from mahavishnu.embedding.vectors import normalize, reject_unusable, too_long
from mahavishnu.memory.models import Hit, Memory, MemoryFilter, SearchResult
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange
from mahavishnu.memory.search import SearchRequest
from mahavishnu.services.session_buddy.client import GRAPH, Abilities, Answer, SessionBuddy

_TOKENS = re.compile(r"\w{1,8}|[^\w\s]")


def fake_tokens(text: str) -> list[str]:
    """Cut `text` into the tokens of the fake model: eight letters at most, each symbol one."""
    return _TOKENS.findall(text.lower())


def fake_vector(text: str, *, dimensions: int) -> list[float]:
    """Return a bag of hashed words, not normalised: texts that share words are near each other."""
    values = [0.0] * dimensions
    for token in fake_tokens(text):
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
        for i in range(0, 32, 4):
            slot = int.from_bytes(digest[i : i + 3]) % dimensions
            values[slot] += 1.0 if digest[i + 3] & 1 else -1.0
    return values


class FakeEmbedder:
    """An Embedder without a model: same text, same vector; shared words, near vectors."""

    def __init__(
        self,
        *,
        dimensions: int = 64,
        name: str = "fake",
        revision: str = "1",
        document_prefix: str = "",
        query_prefix: str = "",
        window_tokens: int = 256,
    ) -> None:
        self.identity = ModelIdentity(
            provider="fastembed",
            name=name,
            revision=revision,
            dimensions=dimensions,
            document_prefix=document_prefix,
            query_prefix=query_prefix,
            window_tokens=window_tokens,
        )
        self.closed = False
        self.fault: MahavishnuError | None = None
        # What was embedded, prefix included, in order.
        self.seen: list[str] = []

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts that are to be found."""
        reject_unusable(texts)
        return [self._embed(self.identity.document_prefix + text) for text in texts]

    async def embed_query(self, text: str) -> Vector:
        """Embed one text that searches."""
        reject_unusable([text])
        return self._embed(self.identity.query_prefix + text)

    async def check(self) -> None:
        """Raise the fault that a test gave it."""
        if self.fault is not None:
            raise self.fault

    def count_tokens(self, text: str) -> int:
        """Count the fake model's tokens."""
        return len(fake_tokens(text))

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _embed(self, text: str) -> Vector:
        if self.closed:
            raise RuntimeError("the embedder is closed")
        tokens = self.count_tokens(text)
        if tokens > self.identity.window_tokens:
            raise too_long(self.identity, tokens=tokens)
        self.seen.append(text)
        return normalize(
            fake_vector(text, dimensions=self.identity.dimensions), identity=self.identity
        )


class FakeTier:
    """A Tier without an index: a memory's score is its share of the words of the question."""

    def __init__(self, read: Callable[[MemoryFilter], Awaitable[Sequence[Memory]]]) -> None:
        self._read = read

    async def search(self, request: SearchRequest) -> SearchResult:
        """Compare the question with every memory that the filter lets through."""
        words = set(fake_tokens(request.query))
        hits = [
            Hit(memory=each, score=len(words & {*fake_tokens(each.content)}) / len(words), arms={})
            for each in await self._read(request.wanted)
        ]
        best = sorted((h for h in hits if h.score), key=lambda hit: hit.score, reverse=True)
        return SearchResult(
            query=request.query,
            mode=request.mode,
            hits=tuple(best[: request.limit]),
            degraded=(),
            explanation={"compared": len(hits)},
        )


class FakeSessionBuddy(SessionBuddy):
    """A Session-Buddy in memory, which compares words; it fails with `problem` where there is one."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.rows: list[dict[str, Any]] = []
        self.up_s = 0.0
        self.entities: set[str] = set()
        self.relations: list[tuple[str, str]] = []
        self.problem: MahavishnuError | None = None
        self.keeps = Abilities(
            frozenset({"store_reflection", "fingerprint_search", *GRAPH}), "d" * 32
        )

    @property
    def keeps_rows(self) -> bool:
        """Whether it was given an id of its data."""
        return self.keeps.keeps_rows

    async def abilities(self, *, timeout_s: float = 0) -> Abilities:
        """Return what it was given."""
        if self.problem is not None:
            raise self.problem
        return self.keeps

    async def warm(self, *, timeout_s: float = 0) -> Abilities:
        """Return what it was given."""
        return await self.abilities()

    async def call(
        self, tool: str, arguments: Mapping[str, Any], *, timeout_s: float = 0
    ) -> Answer:
        """Store or search a row."""
        if self.problem is not None:
            raise self.problem
        if tool == "store_reflection":
            self.rows.append({"id": str(len(self.rows)), **arguments})
        if tool == "get_liveness":
            return Answer("", {"uptime_seconds": self.up_s})
        if tool != "fingerprint_search":
            return Answer("Process ID: 7", {})
        words = set(re.findall(r"\w+", arguments["query"].lower()))
        found = [
            {
                **row,
                "similarity": len(words & {*re.findall(r"\w+", row["content"].lower())})
                / len(words),
            }
            for row in self.rows
        ]
        return Answer("", {"success": True, "results": [row for row in found if row["similarity"]]})


class FakeTarget:
    """A target of the outbox in memory; it refuses the memories of `refuses`, and everything while it is `away`."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.collections: Sequence[str] | None = None
        self.instance = "1"
        self.held: list[MemoryChange] = []
        self.refuses: dict[UUID, DeliveryRefusal] = {}
        self.away = False

    async def open(self) -> str:
        """Return the identity of what is held."""
        if self.away:
            raise Unavailable("It is away.", code="fake.away")
        return self.instance

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        """Hold changes up to the first one that is refused."""
        for index, change in enumerate(changes):
            if change.memory_id in self.refuses:
                return replace(self.refuses[change.memory_id], index=index)
            if change not in self.held:
                self.held.append(change)
        return None
