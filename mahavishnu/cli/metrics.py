"""`mahavishnu metrics`: what was measured of components."""

import click

from mahavishnu.cli.options import (
    METADATA_HELP,
    asynchronous,
    json_option,
    opened_app,
    parse_metadata,
    parse_object,
)
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.identifiers import shown
from mahavishnu.operations.moments import parse_moment


@click.group()
def metrics() -> None:
    """Record what was measured of components."""


@metrics.command()
@click.argument("component")
@click.argument("metric_type", metavar="TYPE")
@click.option("--figures", metavar="JSON", help='Figures by name: {"latency_ms": 12.5}.')
@click.option("--text", metavar="TEXT", help="A state in words, such as healthy.")
@click.option("--recorded-at", metavar="WHEN", help="When it was measured; now by default.")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@click.option("--metadata", multiple=True, metavar="K=V|JSON", help=f"Repeatable. {METADATA_HELP}")
@json_option
@asynchronous
async def record(
    component: str,
    metric_type: str,
    figures: str | None,
    text: str | None,
    recorded_at: str | None,
    project: str | None,
    metadata: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Record figures of a COMPONENT at one moment, its state in words, or both."""
    from mahavishnu.memory.models import utc_now  # noqa: PLC0415 - after option errors
    from mahavishnu.memory.records import Metric  # noqa: PLC0415

    metric = Metric(
        source=component,
        name=metric_type,
        figures={} if figures is None else parse_object(figures, option="--figures"),
        text=text,
        labels=parse_metadata(metadata),
        recorded_at=parse_moment(recorded_at, what="--recorded-at") or utc_now(),
    )
    async with opened_app() as app:
        identifier = await app.records.record_metric(metric, project=project)
    if as_json:
        print_json({"id": identifier})
        return
    print_line(f"Recorded {shown(identifier)}")
