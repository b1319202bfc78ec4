"""
What a switch does to a running session, as the tests saw it: they write `docs/reference/running-sessions.md`.

A test says what it saw by `saw`; when all rows of the page were seen in one run, the page is written anew.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/reference/running-sessions.md"
HEADER = """# What a switch does to a running session

Written by `make test-peers`, from what its tests saw: each of these rows is one that they assert, with the real
clients in a terminal. How to restart a session: [how-to](../how-to/follow-a-switch.md).

"""
# What is changed or done, by client; the words of `ai sessions` in brackets.
ROWS: Mapping[str, tuple[str, ...]] = {
    "Claude Code": (
        "address and key",
        "the model of a profile",
        "the model, where it was the client's own choice",
        "an answer that is on its way",
        "`ai restart`, and `switch-llm` by default",
        "`claude --resume` after a switch",
    ),
    "Codex": (
        "an open thread",
        "a new thread (`/new`)",
        "`codex resume` after a switch",
        "`codex resume -m` after a switch",
        "`ai restart`: its background server is restarted",
        "a key that was exported later",
    ),
    "Qwen Code": (
        "an open session",
        "`ai restart`, and `switch-llm` by default",
        "`qwen --resume` after a switch",
    ),
}
_seen: dict[tuple[str, str], str] = {}


def saw(client: str, what: str, effect: str) -> None:
    """Note what was seen and asserted; the row must be one of the page's."""
    assert what in ROWS[client], (client, what)
    _seen[client, what] = effect


def render(seen: Mapping[tuple[str, str], str]) -> str:
    """Return the page."""
    parts = [HEADER]
    for client, rows in ROWS.items():
        parts.append(f"## {client}\n\n| what | what happens |\n|---|---|\n")
        parts += [f"| {what} | {seen[client, what]} |\n" for what in rows]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


@pytest.fixture(scope="session", autouse=True)
def page() -> Iterator[None]:
    """Write the page when every row of it was seen."""
    yield
    all_seen = _seen.keys() == {(client, what) for client, rows in ROWS.items() for what in rows}
    if all_seen and (text := render(_seen)) != PAGE.read_text(encoding="utf-8"):
        PAGE.write_text(text, encoding="utf-8")
