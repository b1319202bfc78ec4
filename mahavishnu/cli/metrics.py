"""`mahavishnu metrics`: what was measured of components."""

from typing import TYPE_CHECKING, Any

import click

from mahavishnu.cli.asking import ask
from mahavishnu.cli.lazy import LazyGroup
from mahavishnu.cli.options import (
    asynchronous,
    json_option,
    metadata_option,
    read_object,
    read_time,
)
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.identifiers import shown

if TYPE_CHECKING:
    from mahavishnu.operations.records import Recorded


@click.group(cls=LazyGroup, later=("show",))
def metrics() -> None:
    """Record measurements of components."""


@metrics.command()
@click.argument("component")
@click.argument("metric_type", metavar="TYPE")
@click.option("--figures", "metrics", metavar="JSON", callback=read_object,
              help='Figures by name: {"latency_ms": 12.5}.')  # fmt: skip
@click.option("--text", metavar="TEXT", help="A state in words, such as healthy.")
@click.option("--recorded-at", metavar="WHEN", callback=read_time,
              help="When it was measured; now by default.")  # fmt: skip
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@metadata_option
@json_option
@asynchronous
async def record(metrics: dict[str, Any] | None, as_json: bool, **fields: Any) -> None:
    """Record figures of a COMPONENT at one moment, its state in words, or both."""
    recorded: Recorded = await ask("record_metrics", metrics=metrics or {}, **fields)
    if as_json:
        print_json(recorded)
    else:
        print_line(f"Recorded {shown(recorded.id)}")
