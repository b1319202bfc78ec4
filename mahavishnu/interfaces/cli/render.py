"""Results to JSON or to tables; colours only on a terminal, times local, ids in short."""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.identifiers import shown

SCHEMA = 1
# C0 but newline and tab, DEL, C1 (one of which begins an escape sequence), lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def print_json(body: object) -> None:
    """Print a body as one JSON object with `"schema": 1` first."""
    whole = {"schema": SCHEMA, **msgspec.to_builtins(body, enc_hook=_encode)}
    try:
        encoded = msgspec.json.format(msgspec.json.encode(whole), indent=2)
    except UnicodeEncodeError:  # a path that is not UTF-8: such bytes are written as escapes
        encoded = json.dumps(whole, indent=2).encode()
    sys.stdout.buffer.write(encoded + b"\n")
    sys.stdout.buffer.flush()


def print_json_line(body: object) -> None:
    """Print a body as `print_json` does, but on one line, at once: one of a stream of bodies."""
    whole = {"schema": SCHEMA, **msgspec.to_builtins(body)}
    sys.stdout.buffer.write(msgspec.json.encode(whole) + b"\n")
    sys.stdout.buffer.flush()


def print_line(text: str) -> None:
    """Print one line for people; control characters of stored text cannot steer the terminal."""
    sys.stdout.write(printable(text) + "\n")


def print_error(error: MahavishnuError, *, as_json: bool) -> None:
    """Write an error to stderr, as JSON where that was asked for."""
    if as_json:
        body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        sys.stderr.write(json.dumps(body) + "\n")
        return
    sys.stderr.write(f"Error: {printable(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"Hint: {printable(error.hint)}\n")


def print_recorded(recorded: Any) -> None:
    """Print the id of what was recorded."""
    if recorded.waits:
        print_spooled(recorded)
    else:
        known = not getattr(recorded, "created", True)
        print_line(f"{'Already recorded as' if known else 'Recorded'} {shown(recorded.id)}")


def print_spooled(kept: Any) -> None:
    """Print the id of what waits in the spool, and why."""
    print_line(f"Waits in the spool as {shown(kept.id)}: {kept.waits}")
    print_line("It is stored once PostgreSQL can be reached (mahavishnu spool status).")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str | None = None
) -> None:
    """
    Print a table, or the line `empty` where there is no row.

    What is too wide for a terminal wraps between words, or each row becomes a block.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if empty is not None and not cells:
        print_line(empty)
        return
    from mahavishnu.interfaces.cli.tables import lay_out  # noqa: PLC0415 - Rich takes 0.04 s, which --json does not pay

    sys.stdout.write(lay_out(columns, cells, width=_width(), styled=sys.stdout.isatty()))


def _width() -> int | None:
    """Return the width to keep to; none where a program reads, which wants a row in a line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@contextmanager
def progress(
    label: str, *, quiet: bool, in_bytes: bool = False, about: bool = False
) -> "Iterator[Any]":
    """
    Show a bar on stderr while work goes on; yields a function that advances it (by, of total).

    With `about` it shows the time left, and a text that the function takes, in place of the numbers.
    """
    if quiet or not sys.stderr.isatty():
        yield _ignore
        return
    from mahavishnu.interfaces.cli.bars import opened_bar  # noqa: PLC0415 - Rich, as above

    with opened_bar(label, in_bytes=in_bytes, about=about) as advance:
        yield advance


def _ignore(count: float, total: float | None = None, about: str = "") -> None:
    """Advance nothing."""


def printable(text: str) -> str:
    """Replace what could steer a terminal or not be written to it; a CRLF becomes a newline."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def excerpt(text: str, *, start: int = 0, width: int = 160) -> str:
    """Return one line of about `width` characters around `start`."""
    begin = 0 if start < width // 2 else start
    piece = " ".join(text[begin : begin + 4 * width].split())
    cut = piece[:width].rstrip()
    return f"{'… ' if begin else ''}{cut}{' …' if len(piece) > width else ''}"


def local_time(moment: datetime) -> str:
    """Return a stored time as the reader's clock shows it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _encode(value: Any) -> Any:
    if isinstance(value, UUID | Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")
