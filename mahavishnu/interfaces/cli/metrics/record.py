"""`mahavishnu metrics record`."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import (
    answers,
    metadata_option,
    project_option,
    read_object,
    read_time,
)
from mahavishnu.interfaces.cli.render import print_recorded


@click.command()
@click.argument("component")
@click.argument("metric_type", metavar="TYPE")
@click.option("--figures", "metrics", metavar="JSON", callback=read_object,
              help='Figures by name: {"latency_ms": 12.5}.')  # fmt: skip
@click.option("--text", metavar="TEXT", help="A state in words, such as healthy.")
@click.option("--recorded-at", metavar="WHEN", callback=read_time,
              help="When it was measured; now by default.")  # fmt: skip
@project_option
@metadata_option
@answers(print_recorded)
async def record(metrics: dict[str, Any] | None, **fields: Any) -> Struct:
    """Record figures of a COMPONENT at one moment, its state in words, or both."""
    return await ask("record_metrics", metrics=metrics or {}, **fields)
