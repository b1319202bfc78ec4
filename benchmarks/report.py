"""What a benchmark says: rows with figures and goals, as a table and as JSON."""

import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A bound on one figure of a row; `least` says which side is good."""

    figure: str
    bound: float
    least: bool

    def met_by(self, value: float) -> bool:
        """Tell whether `value` keeps to the bound."""
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{self.figure} {'>=' if self.least else '<='} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One measured thing: figures by name, and what they should reach."""

    name: str
    figures: Mapping[str, float | str]
    goals: tuple[Goal, ...] = ()

    @property
    def missed(self) -> list[Goal]:
        """The goals that were not reached."""
        return [goal for goal in self.goals if not goal.met_by(float(self.figures[goal.figure]))]

    @property
    def verdict(self) -> str:
        """PASS, MISS with the goals missed, or nothing where there is no goal."""
        if not self.goals:
            return ""
        return f"MISS {', '.join(map(str, self.missed))}" if self.missed else "PASS"


@dataclass
class Section:
    """Rows with the same columns, and what the reader should know about them."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, name: str, *goals: Goal, **figures: float | str) -> Row:
        """Append and return a row; `__` in a figure's name stands for a blank."""
        row = Row(name, {key.replace("__", " "): value for key, value in figures.items()}, goals)
        self.rows.append(row)
        return row

    def render(self) -> str:
        """Return the section as aligned text."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row.figures))
        cells = [["", *columns, ""]]
        cells += [
            [row.name, *(shown(row.figures.get(key, "")) for key in columns), row.verdict]
            for row in self.rows
        ]
        lines = [f"{self.title} ({self.seconds:.0f} s)", *aligned(cells)]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes), ""])


def least(figure: str, bound: float) -> Goal:
    """Return the goal that `figure` is at least `bound`."""
    return Goal(figure, bound, least=True)


def most(figure: str, bound: float) -> Goal:
    """Return the goal that `figure` is at most `bound`."""
    return Goal(figure, bound, least=False)


def shown(value: float | str) -> str:
    """Return a figure with about three significant digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with the first and last columns to the left, the others to the right."""
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def finite(value: float | str) -> float | str | None:
    """Return a figure as JSON can hold it."""
    return value if isinstance(value, str) or math.isfinite(value) else None


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, memory, kernel, Python, load."""
    cpuinfo = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = named[0].partition(":")[2].strip() if named else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "date": time.strftime("%Y-%m-%d"),
    }


def as_json(machine: Mapping[str, str], sections: Sequence[Section]) -> dict[str, Any]:
    """Return everything as plain values (schema 1)."""
    return {
        "schema": 1,
        "machine": dict(machine),
        "sections": [
            {
                "title": section.title,
                "seconds": round(section.seconds, 1),
                "notes": section.notes,
                "rows": [
                    {
                        "name": row.name,
                        "figures": {name: finite(value) for name, value in row.figures.items()},
                        "goals": [asdict(goal) for goal in row.goals],
                        "missed": [str(goal) for goal in row.missed],
                    }
                    for row in section.rows
                ],
            }
            for section in sections
        ],
    }
