"""`mahavishnu memory show`."""

import click

from mahavishnu.interfaces.cli.asking import asks
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
@click.argument("id", metavar="ID")
@asks("get_memory", _show, max_tokens=None)
def show() -> None:
    """Show one memory whole."""
