"""The tiers, a line each. What is not among them is named where it is asked for."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mahavishnu.database.pool import Database
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Tier
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.tiers.cold import ColdTier
from mahavishnu.memory.tiers.hot import HotTier, HotVectors

if TYPE_CHECKING:
    from mahavishnu.memory.hot.index import HotIndex


def open_hot(database: Database, space: EmbeddingSpace, *, max_mb: int) -> "HotIndex | None":
    """Return an empty index in memory; None for 0 MB, or without the extra `hot`."""
    if not max_mb or find_spec("usearch") is None:
        return None
    made: HotIndex = import_module("mahavishnu.memory.hot.index").HotIndex(
        database, space, limit_bytes=max_mb * 2**20
    )
    return made


def open_tiers(
    database: Database,
    space: EmbeddingSpace,
    scopes: Scopes,
    hot: HotVectors | None = None,
    development: Tier | None = None,
) -> dict[str, Tier]:
    """Return the tiers by name; `hot` only where there are vectors in memory."""
    tiers: dict[str, Tier] = {"cold": ColdTier(database, space, scopes)}
    if hot is not None:
        tiers["hot"] = HotTier(ColdTier(database, space, scopes, hot.match), hot)
    if development is not None:
        tiers["development"] = development
    return tiers
