"""What a target of the outbox is given, what it answers, and what it has to be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mahavishnu.memory.models import Memory


@dataclass(frozen=True)
class MemoryChange:
    """
    What happened to a memory, and the memory as it is now: None where it is gone.

    `xid` and `number` together name it for ever. `kind` is stored, superseded or forgotten; there may be others.
    """

    number: int
    xid: int
    kind: str
    memory_id: UUID
    changed_at: datetime
    memory: Memory | None


@dataclass(frozen=True)
class DeliveryRefusal:
    """The first change that was not taken, by its index; `final` where trying again is of no use."""

    index: int
    message: str
    code: str
    final: bool = False


class SyncTarget(Protocol):
    """
    Something that follows changes.

    A change may come again, and several deliverers may try at once; that must do no harm. What `deliver` took outlives
    a power cut when it returns. Both methods raise `MahavishnuError` where nothing can be taken now. Where it names
    `collections`, it is given the changes of those alone.
    """

    name: str
    collections: Sequence[str] | None

    async def open(self) -> str:
        """Make it ready, and return what identifies it; where that is new, everything is delivered again."""

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        """Take changes in their order; where one is refused, take nothing behind it."""
