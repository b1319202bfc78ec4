"""Rows of text as a table that fits: wrapped between words, or as blocks where that is not enough."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP = 2
# A longer word, an address for instance, may be broken; nothing shorter ever is.
_UNBROKEN = 40


def lay_out(
    columns: Sequence[str], cells: Sequence[Sequence[str]], *, width: int | None, styled: bool
) -> str:
    """Return the rows below their columns' names, ending in a newline; no `width` is no limit."""
    whole = list(zip(columns, *cells, strict=True))
    natural = [max(map(_longest_line, each)) for each in whole]
    widths = natural if width is None else _narrowed(natural, list(map(_least, whole)), width)
    if widths is None:
        return "".join(f"{_block(columns, row)}\n" for row in cells)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, each in zip(columns, widths, strict=True):
        table.add_column(column, width=each, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(width=max(_total(widths), 1), highlight=False, force_terminal=styled)
    with console.capture() as captured:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _narrowed(natural: Sequence[int], least: Sequence[int], width: int) -> list[int] | None:
    """Take from the widest columns until all fit; none where some would break words."""
    widths = list(natural)
    while _total(widths) > width:
        spare = [place for place, each in enumerate(widths) if each > least[place]]
        if not spare:
            return None
        widths[max(spare, key=lambda place: widths[place])] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _longest_line(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _least(column: Sequence[str]) -> int:
    """Return how narrow a column may become; its name is a word too."""
    return max(min(cell_len(word), _UNBROKEN) for cell in column for word in cell.split() or [""])


def _block(columns: Sequence[str], row: Sequence[str]) -> str:
    """Return a row as lines, the first cell above the others."""
    margin = max(map(cell_len, columns)) + _GAP
    further = "\n" + " " * (2 + margin)
    told = [
        f"  {column:{margin}}{cell.replace('\n', further)}"
        for column, cell in zip(columns[1:], row[1:], strict=True)
        if cell
    ]
    return "\n".join([row[0], *told])
