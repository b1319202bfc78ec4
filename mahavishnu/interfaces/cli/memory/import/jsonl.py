"""`mahavishnu memory import jsonl`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.base.errors import Corrupt
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.files import usable
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.transfer import ImportedLines

_NAMES = {
    "stored": "new", "known": "there before", "superseded": "superseded since",
    "same_text": "there under another id", "expired": "expired",
}  # fmt: skip


def _show(done: "ImportedLines") -> None:
    for kind, counts in done.counts.items():
        print_line(f"{kind}: " + ", ".join(f"{n:,} {_NAMES[each]}" for each, n in counts.items()))
    for refused in done.refused_lines:
        print_line(f"  line {refused.line}: {refused.reason}")
    if done.refused > len(done.refused_lines):
        print_line(f"  and {done.refused - len(done.refused_lines):,} more")
    if done.vectors_left_out:
        print_line("Its vectors are of another model than yours, and were left out.")
    if done.waiting:
        print_line(f"{done.waiting:,} wait for vectors: mahavishnu memory embed")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@answers(_show, code=lambda done: Corrupt.exit_code if done.refused else 0)
async def jsonl(file: Path) -> Struct:
    """
    Bring in what `memory export` wrote to FILE; again brings in only what is not there.

    Ends with 7 where a line was refused; the others are in.
    """
    if str(file) == "-":
        return await ask("import_memories", stream=sys.stdin.buffer)
    with usable(file), file.open("rb") as stream:
        return await ask("import_memories", bar="Importing rows", stream=stream)
