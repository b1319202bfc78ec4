"""The tiers of this release, a line each. What is not among them is named where it is asked for."""

from mahavishnu.database.pool import Database
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Tier
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.tiers.cold import ColdTier


def open_tiers(database: Database, space: EmbeddingSpace, scopes: Scopes) -> dict[str, Tier]:
    """Return the tiers by name."""
    return {"cold": ColdTier(database, space, scopes)}
