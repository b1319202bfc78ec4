"""`mahavishnu workflow show`."""

import click
import msgspec
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line


def _show(found: Struct) -> None:
    for name, value in msgspec.to_builtins(found).items():
        print_line(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


@click.command()
@click.argument("id", metavar="RUN")
@asks("get_execution", _show, max_tokens=None)
def show() -> None:
    """Show everything about RUN, by its id here or in its adapter."""
