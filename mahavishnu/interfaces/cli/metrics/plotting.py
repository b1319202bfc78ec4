"""Figures over time as blocks of characters. Pure."""

from collections.abc import Sequence

HEIGHT = 8
LABEL = 10  # characters of a figure beside the plot
_BLOCKS = " ▁▂▃▄▅▆▇█"


def draw(points: Sequence[tuple[float, float]], width: int, *, height: int = HEIGHT) -> list[str]:
    """Return bars of (time, figure) with the scale beside them; of zero a thin line, of a gap nothing."""
    start, end = points[0][0], points[-1][0]
    columns: list[list[float]] = [[] for _ in range(width)]
    for at, value in points:
        columns[round((at - start) / ((end - start) or 1) * (width - 1))].append(value)
    values = [value for _, value in points]
    top, low = max(0.0, *values), min(0.0, *values)
    eighth = ((top - low) or 1) / (height * 8)
    bars = [max(1, round((max(each) - low) / eighth)) if each else 0 for each in columns]
    lines = []
    for row in reversed(range(height)):
        label = f"{top:,.4g}" if row == height - 1 else f"{low:,.4g}" if row == 0 else ""
        cells = "".join(_BLOCKS[min(8, max(0, each - 8 * row))] for each in bars)
        lines.append(f"{label:>{LABEL}} ┤{cells.rstrip()}")
    return lines
