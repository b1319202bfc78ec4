"""`mahavishnu ai hooks add`."""

from collections.abc import Iterator
from typing import Any

import click

from mahavishnu.ai.clients.claude_code.own_settings.hooks import add_hook
from mahavishnu.ai.clients.hook_entries import Hook
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.merge import Change
from mahavishnu.ai.secrets.showing import is_secret
from mahavishnu.interfaces.cli.ai.claude_file import changes
from mahavishnu.operations.ai.claude_settings import ChangedSettings


def _note_keys(done: ChangedSettings, command: str, **_: object) -> Iterator[str]:
    if is_secret("", command):
        yield (
            f"The command seems to hold a key, which {done.path} now has in plain text. Let it read the key"
            " from the environment or a file of its own."
        )


def _plan(document: Document, timeout: float | None, **words: Any) -> list[Change]:
    seconds = int(timeout) if timeout is not None and timeout.is_integer() else timeout
    return add_hook(document, Hook(**words, timeout_s=seconds))


@click.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only where this matches, as in Edit|Write.")
@click.option(
    "--timeout", type=float, metavar="S", help="Seconds it may take; Claude Code's own by default."
)
@changes(_plan, notes=_note_keys)
def add() -> None:
    """Run COMMAND, a line for a shell, at EVENT; once, however often it is added."""
