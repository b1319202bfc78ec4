"""`mahavishnu metrics show`."""

import shutil
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.metrics.plotting import draw
from mahavishnu.interfaces.cli.options import answers, parameter
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table

if TYPE_CHECKING:
    from mahavishnu.memory.metrics import ComponentSummary, FigureSummary
    from mahavishnu.operations.metrics import MetricsAnswer

MAX_PLOT_WIDTH = 100
PLOT_MARGIN = 14  # characters for the figures beside a plot


def _show(answer: "MetricsAnswer") -> None:
    if answer.adapters:
        print_table(
            ["engine", "state", "runs", "errors", "last run"],
            [[each.adapter, each.state, *(("", "", "") if (runs := each.runs) is None else
              (f"{runs.runs:,}", f"{runs.errors:,}", f"{runs.last_status}, {local_time(runs.last_at)}"))]
             for each in answer.adapters],
        )  # fmt: skip
        print_line("")
    if not answer.components:
        print_line("Nothing was measured in this time.")
        return
    print_table(
        ["component", "state", "median ms", "p95 ms", "memory MB", "errors", "samples", "since"],
        [[f"{each.component} {each.metric_type}", each.state or "", *_latency(each),
          _figure(memory.last) if (memory := each.figures.get("memory_mb")) else "",
          f"{each.errors:,}", f"{each.samples:,}", local_time(each.first_at)]
         for each in answer.components],
    )  # fmt: skip
    for each in answer.components if parameter("plot") else ():
        _plot(each, _plot_width())


@click.command()
@click.option("--component", metavar="NAME", help="Only this component, such as search.")
@click.option("--since", metavar="WHEN", default="7d", show_default=True,
              help="7d, 12h, 2w, or a date.")  # fmt: skip
@click.option("--limit", default=100, show_default=True, help="Most components.")
@click.option("--plot", is_flag=True, help="Draw how they changed over time.")
@answers(_show)
async def show(plot: bool, **wanted: Any) -> Struct:
    """Show how components and engines do: state, latency, memory, errors."""
    points = _plot_width() if plot else 0
    return await ask("show_metrics", max_tokens=None, points=points, **wanted)


def _plot_width() -> int:
    return max(min(shutil.get_terminal_size().columns, MAX_PLOT_WIDTH) - PLOT_MARGIN, 20)


def _plot(component: "ComponentSummary", width: int) -> None:
    name, figure = _plotted(component)
    if figure is None or len(figure.points) < 2:
        return
    unit = f" in {component.unit}" if name == "value" and component.unit else ""
    print_line(f"\n{component.component} {component.metric_type}: {name}{unit}, medians")
    first, last = figure.points[0].at, figure.points[-1].at
    for line in draw([(each.at.timestamp(), each.median) for each in figure.points], width):
        print_line(line)
    begin, end = local_time(first), local_time(last)
    print_line(f"{'':{PLOT_MARGIN - 2}}{begin}{end:>{max(width - len(begin), len(end) + 1)}}")


def _latency(component: "ComponentSummary") -> tuple[str, str]:
    """Return the median and p95 in milliseconds: of `latency_ms`, or of a value in ms or s."""
    name, figure = _plotted(component)
    scale = 1 if name == "latency_ms" else {"ms": 1, "s": 1000}.get(component.unit or "", 0)
    if figure is None or not scale:
        return "", ""
    return _figure(scale * figure.median), _figure(scale * figure.p95)


def _plotted(component: "ComponentSummary") -> "tuple[str, FigureSummary | None]":
    """Return the figure that says most: the latency, the value, or the first one."""
    for name in ("latency_ms", "value", *component.figures):
        if name in component.figures:
            return name, component.figures[name]
    return "", None


def _figure(value: float) -> str:
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"
