"""
The command that a client is given instead of a key: how it is written, and what it does.

    mahavishnu-key REFERENCE --for URL [--client NAME]

These words are in other programs' settings: they are read by every later release.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.requests import asking_clients
from mahavishnu.ai.clients.table import DEFAULT_CLIENT
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.base.errors import MahavishnuError, UsageError

PROGRAM = "mahavishnu-key"


class Asked(NamedTuple):
    """What the words of the command mean."""

    reference: Reference
    bound: str
    client: str


def helper_words(
    reference: Reference, *, bound: str, client: str, program: Path
) -> tuple[str, ...]:
    """
    Return the words of the command that gives the key of `reference` for the endpoint `bound`.

    `program` is the absolute path of `mahavishnu-key`. Of the endpoint only scheme, host and port
    are written. A client that starts programs without a shell (Codex) takes the words as they are.
    """
    if not program.is_absolute():
        raise UsageError(f"The path of {PROGRAM} must be absolute.", code="secret.helper_path")
    chosen = () if client == DEFAULT_CLIENT else ("--client", client)
    return (str(program), str(reference), "--for", str(origin_of(bound)), *chosen)


def helper_line(words: Sequence[str]) -> str:
    """Return the words as one line for a client that uses a shell (Claude Code)."""
    import shlex  # noqa: PLC0415 - whoever asks for a key does not need it

    return shlex.join(words)


def read_words(words: Sequence[str]) -> Asked:
    """
    Return what the words after the program's name mean; options may stand anywhere, once.

    Raises:
        UsageError: `secret.helper_words`, which repeats none of them: one may be a key.
    """
    options = {"--for": "", "--client": ""}
    references = []
    rest = iter(words)
    for word in rest:
        name, mark, value = word.partition("=")
        if name not in options:
            references.append(word)
            continue
        value = value if mark else next(rest, "")
        if options[name] or not value:
            raise _wrong_words()
        options[name] = value
    if len(references) != 1 or references[0].startswith("-") or not options["--for"]:
        raise _wrong_words()
    return Asked(
        parse_reference(references[0]), options["--for"], options["--client"] or DEFAULT_CLIENT
    )


def are_for(words: Sequence[str], expected: Expected, client: str) -> bool:
    """Tell whether a command of these words asks for the profile's key."""
    if Path(words[0]).name != PROGRAM:
        return False
    try:
        return is_for(read_words(words[1:]), expected, client)
    except MahavishnuError:
        return False


def is_for(asked: Asked, expected: Expected, client: str) -> bool:
    """Tell whether what is asked for is the profile's key, for its own endpoint."""
    return (
        bool(expected.key)
        and asked.client == client
        and str(asked.reference) == expected.key
        and origin_of(asked.bound) == origin_of(expected.url)
    )


def usage() -> str:
    """Return how the command is called."""
    return f"{PROGRAM} REFERENCE --for URL [--client {'|'.join(asking_clients())}]"


def _wrong_words() -> UsageError:
    return UsageError(
        "These are not the words of this command.",
        hint=f"It is: {usage()}",
        code="secret.helper_words",
    )
