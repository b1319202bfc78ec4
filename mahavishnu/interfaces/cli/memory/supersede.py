"""`mahavishnu memory supersede`."""

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.text import read_text
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.argument("reference", metavar="ID")
@click.argument("text", required=False)
@answers(lambda done: print_line(f"{shown(done.supersedes)} is superseded by {shown(done.id)}"))
async def supersede(reference: str, text: str | None) -> Struct:
    """Replace the text of memory ID; the old version is kept but no longer found."""
    return await ask("supersede_memory", id=reference, content=read_text(text))
