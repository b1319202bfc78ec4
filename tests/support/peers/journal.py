"""What clients asked of providers and what was done meanwhile, in the order of time: for a test that is red."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.support.peers.provider_stub import Asked

HEADING = "What was asked and done, in seconds:"
_LINE_CHARACTERS = 200


@dataclass
class Journal:
    """
    Notes events and requests; of `keys` it says the names, and never more.

    `changed` is when settings were last changed, and `reached` which provider was last found asked.
    """

    keys: Mapping[str, str] = field(repr=False)
    changed: float = float("-inf")
    reached: str = ""
    _lines: list[tuple[float, str]] = field(default_factory=list, repr=False)

    def note(self, what: str) -> None:
        """Note that something is done now."""
        self._lines.append((time.monotonic(), f"-- {self._without_keys(what)}"))

    @contextlib.contextmanager
    def during(self, what: str, *, changes: bool = False) -> Iterator[None]:
        """Note the begin and the end of something, which `changes` settings, or does not."""
        self.note(f"{what}: begins")
        try:
            yield
        finally:
            self.note(f"{what}: ended")
            if changes:
                self.changed = time.monotonic()

    def note_request(self, name: str, asked: Asked) -> None:
        """Note what a provider was asked, by the time when it came in."""
        found = self.keys_in(asked) or (["another key"] if asked.credentials else ["no key"])
        words = (name, asked.method, asked.path, ", ".join(found), asked.body.get("model", ""))
        self._lines.append((asked.when, self._without_keys(" ".join(map(str, words)))))

    def keys_in(self, asked: Asked) -> list[str]:
        """Return the names of the keys that a request brings, wherever in it."""
        told = json.dumps([asked.path, asked.headers, asked.body])
        return [name for name, key in self.keys.items() if key in told]

    def __str__(self) -> str:
        lines = sorted(self._lines)
        told = [f"{when - lines[0][0]:8.3f}  {line}" for when, line in lines]
        return "\n".join([HEADING, *told])

    def _without_keys(self, text: str) -> str:
        for name, key in self.keys.items():
            text = text.replace(key, f"({name})")
        return " ".join(text.split())[:_LINE_CHARACTERS]
