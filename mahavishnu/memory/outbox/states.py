"""How deliveries end, how far targets are, and what they refused."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct, structs

type Ending = Literal["done", "busy", "waiting", "failed"]


class Ran(Struct, frozen=True, omit_defaults=True):
    """What a run did for a target. `busy`: another process delivers; `waiting`: its next attempt is not due."""

    target: str
    ending: Ending
    delivered: int = 0
    dead: int = 0
    error_code: str | None = None
    error: str | None = None

    def __add__(self, later: "Ran") -> "Ran":
        delivered, dead = self.delivered + later.delivered, self.dead + later.dead
        return structs.replace(later, delivered=delivered, dead=dead)


class TargetState(Struct, frozen=True, omit_defaults=True):
    """
    How far a target is; one that is not `configured` was once, or is on another machine.

    It lacks `pending` changes, counted to 10,000; `held_back` of these wait for transactions that are still open.
    """

    name: str
    configured: bool
    delivered: int
    pending: int
    held_back: int
    dead: int
    attempts: int
    delivered_at: datetime | None = None
    next_at: datetime | None = None
    error_code: str | None = None
    error: str | None = None


class DeadLetter(Struct, frozen=True):
    """A change that a target refused for good, by its memory."""

    target: str
    memory_id: UUID
    attempts: int
    error_code: str
    error: str
    failed_at: datetime
