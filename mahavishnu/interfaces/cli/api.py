"""`mahavishnu api`: the description of the HTTP API, without a daemon."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from mahavishnu.base.errors import Forbidden
from mahavishnu.base.files import write_atomically


@click.group()
def api() -> None:
    """The daemon's HTTP API."""


@api.command()
@click.option("--output", type=click.Path(path_type=Path), help="A file, instead of stdout.")
def docs(output: Path | None) -> None:
    """Write the API as an HTML page."""
    from mahavishnu.interfaces.http.page import render_page  # noqa: PLC0415 - slow

    _write(render_page(_describe()).encode() + b"\n", output)


@api.command()
@click.option("--output", type=click.Path(path_type=Path), help="A file, instead of stdout.")
def openapi(output: Path | None) -> None:
    """Write the API as an OpenAPI 3.1 document (JSON)."""
    _write(msgspec.json.format(msgspec.json.encode(_describe()), indent=2) + b"\n", output)


def _describe() -> dict[str, Any]:
    from mahavishnu.interfaces.http.openapi import describe_api  # noqa: PLC0415 - slow

    return describe_api()


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        write_atomically(output, content, mode=0o644)
    except OSError as error:
        raise Forbidden(
            f"{output} cannot be written: {error.strerror}.",
            hint="Choose another place.",
            code="output.not_writable",
        ) from error
