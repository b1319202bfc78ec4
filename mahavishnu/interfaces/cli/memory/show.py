"""`mahavishnu memory show`."""

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import local_time, print_line
from mahavishnu.operations.results import MemoryPart


def _show(found: MemoryPart) -> None:
    names = found.__struct_fields__
    for name in names[: names.index("char_start")]:
        value = getattr(found, name)
        if value not in (None, "", {}) and name != "content":
            print_line(f"{name}: {local_time(value) if hasattr(value, 'astimezone') else value}")
    print_line(f"\n{found.content}")


@click.command()
@click.argument("reference", metavar="ID")
@answers(_show)
async def show(reference: str) -> Struct:
    """Show one memory whole."""
    return await ask("get_memory", id=reference, max_tokens=None)
