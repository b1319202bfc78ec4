"""`mahavishnu memory export`."""

import sys
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.errors import Conflict, MahavishnuError, UsageError
from mahavishnu.base.files import replacing
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.files import usable
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.options import answers, parameter

_BEGINNING = b'{"mahavishnu_export":'


def _show(done: Struct) -> None:
    counts = ", ".join(f"{getattr(done, kind):,} {kind}" for kind in done.__struct_fields__)
    file = parameter("file")
    click.echo(f"{file}: {counts}", err=str(file) == "-")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@click.option(
    "--vectors", is_flag=True, help="Write the vectors too; the file grows several times."
)
@filter_options
@answers(_show)
async def export(file: Path, **fields: Any) -> Struct:
    """
    Write your memories to FILE as JSON lines, or to stdout for -.

    With older versions, turns, executions and projects. FILE is for you alone (0600); an older export is replaced.
    """
    if str(file) == "-":
        if parameter("as_json"):
            raise UsageError("With --json the export needs a FILE.", code="transfer.no_file")
        try:
            done = await ask("export_memories", stream=sys.stdout.buffer, **fields)
            sys.stdout.buffer.flush()
        except MahavishnuError as error:
            if error.code == "output.failed":
                error.hint = (
                    "The export was cut, and is no use as it is. Make room, then export again."
                )
            raise
        return done
    with usable(file):
        if file.exists() and not _is_export(file):
            raise Conflict(
                f"{file} is there, and is no export.",
                hint="Choose another name; only an older export is replaced.",
                code="transfer.other_file",
            )
        with replacing(file) as stream:
            return await ask("export_memories", stream=stream, **fields)


def _is_export(file: Path) -> bool:
    """Tell whether a file begins as an export does."""
    with file.open("rb") as stream:
        return stream.read(len(_BEGINNING)) == _BEGINNING
