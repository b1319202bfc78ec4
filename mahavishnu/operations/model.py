"""Which model the database uses, and which embedder is chosen."""

from typing import TYPE_CHECKING

from mahavishnu.base.errors import Forbidden, MahavishnuError
from mahavishnu.database.grants import require_founder
from mahavishnu.embedding.choose import Choice, Refusal
from mahavishnu.operations.ai.results import Whole

if TYPE_CHECKING:
    from mahavishnu.app import App


class ModelStatus(Whole, frozen=True, kw_only=True):
    """
    The model of the vectors that are stored, the embedder, and why it is this one.

    `tried` are the refusals before it; `blocked` says why no vectors can be stored.
    """

    database: str | None
    embedder: str | None
    reason: str
    tried: tuple[Refusal, ...]
    waiting: int
    blocked: str | None


async def find_model(app: "App") -> tuple[ModelStatus, str | None]:
    """Return which model the database uses, and the embedder; and the name of that model."""
    blocked = None
    active = await app.space.active()
    try:
        choice = await app.space.choice()
    except MahavishnuError as error:  # a configured provider that cannot be had
        choice = Choice(None, " ".join(filter(None, (error.message, error.hint))))
    if active is None and choice.embedder is not None:
        try:
            await app.database.run(require_founder)
        except Forbidden as error:
            blocked = f"{error.message} {error.hint}"
    body = ModelStatus(
        database=active[1].key if active else None,
        embedder=choice.embedder.identity.key if choice.embedder else None,
        reason=choice.reason,
        tried=choice.tried,
        waiting=await app.memories.count_waiting(),
        blocked=blocked,
    )
    return body, active[1].name if active else None
