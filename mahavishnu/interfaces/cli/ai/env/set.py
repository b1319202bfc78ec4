"""`mahavishnu ai env set`."""

from collections.abc import Iterator

import click

from mahavishnu.ai.clients.claude_code.own_settings.environment import set_variables
from mahavishnu.ai.secrets.showing import is_secret
from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.claude_file import changes
from mahavishnu.operations.ai.claude_settings import ChangedSettings


def _split(
    _context: click.Context, _argument: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    parted = [pair.partition("=") for pair in pairs]
    if not all(mark for _, mark, _ in parted):
        raise UsageError(
            "A variable is given as NAME=VALUE.",
            hint="For example: mahavishnu ai env set BASH_DEFAULT_TIMEOUT_MS=60000",
            code="claude_settings.variable_name",
        )
    return {name: value for name, _, value in parted}


def _note_keys(done: ChangedSettings, values: dict[str, str]) -> Iterator[str]:
    secret = sorted(name for name, value in values.items() if is_secret(name, value))
    if secret:
        yield (
            f"{', '.join(secret)} looks like a key, which {done.path} now holds in plain text."
            " Keys of providers need not be in files: mahavishnu ai profile add"
        )


@click.command("set")
@click.argument("values", metavar="NAME=VALUE...", nargs=-1, required=True, callback=_split)
@changes(set_variables, notes=_note_keys)
def set_() -> None:
    """Set variables; running sessions see them within seconds."""
