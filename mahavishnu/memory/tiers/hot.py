"""`hot`: what `cold` answers, its vectors found in the memory of a server."""

from copy import replace
from typing import Protocol

from mahavishnu.memory.arms import MatchVectors
from mahavishnu.memory.models import Degraded, SearchResult
from mahavishnu.memory.search import SearchRequest, Tier


class HotVectors(Protocol):
    """Vectors in memory; a port, so that their libraries are needed where there are some."""

    @property
    def match(self) -> MatchVectors:
        """What finds vectors."""
        ...

    @property
    def missing(self) -> str:
        """Why they do not answer, or nothing."""
        ...


class HotTier:
    """Searches by `tier`, which matches by `vectors`; says so where PostgreSQL compares them itself."""

    def __init__(self, tier: Tier, vectors: HotVectors) -> None:
        self._tier = tier
        self._vectors = vectors

    async def search(self, request: SearchRequest) -> SearchResult:
        """Return the best memories for a question; raises as the tier does."""
        missing = self._vectors.missing
        result = await self._tier.search(request)
        if not missing or not {"hot", "all"} & {*request.tiers}:
            return result
        degraded = Degraded(part="tier:hot", reason=f"{missing} PostgreSQL answers for it.")
        return replace(result, degraded=(degraded, *result.degraded))
