"""`mahavishnu api`: the description of the HTTP API, without a daemon."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    summaries={
        "docs": "Write the API as an HTML page.",
        "openapi": "Write the API as an OpenAPI 3.1 document (JSON).",
    },
)
def api() -> None:
    """The daemon's HTTP API."""
