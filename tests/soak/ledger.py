"""What clients were told about their writes, and what follows for what is there in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

type Fate = Literal["there", "gone", "unsure"]


@dataclass
class Ledger:
    """The fate of each write by its key; one that got no answer is `unsure`: there once, or not at all."""

    fates: dict[str, Fate] = field(default_factory=dict)

    def note(self, fate: Fate, *keys: str) -> None:
        """Write down what is known now; call it with `unsure` before a write is sent."""
        self.fates |= dict.fromkeys(keys, fate)

    def check(self, found: Mapping[str, int]) -> list[str]:
        """Return what is wrong: lost, twice there, there though it is gone, or never written by anybody."""
        allowed: dict[Fate, tuple[int, ...]] = {"there": (1,), "gone": (0,), "unsure": (0, 1)}
        wrong = [
            f"{key}: {found.get(key, 0)} times there, and it is {fate}"
            for key, fate in self.fates.items()
            if found.get(key, 0) not in allowed[fate]
        ]
        return wrong + [f"{key}: nobody wrote it" for key in found if key not in self.fates]
