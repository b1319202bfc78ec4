"""`mahavishnu api openapi`."""

import sys
from pathlib import Path

import click
import msgspec

from mahavishnu.base.errors import Forbidden
from mahavishnu.base.files import write_atomically
from mahavishnu.interfaces.http.openapi import describe_api

output_option = click.option(
    "--output", type=click.Path(path_type=Path), help="A file, instead of stdout."
)


@click.command()
@output_option
def openapi(output: Path | None) -> None:
    """Write the API as an OpenAPI 3.1 document (JSON)."""
    described = msgspec.json.encode(describe_api())
    write(msgspec.json.format(described, indent=2) + b"\n", output)


def write(content: bytes, output: Path | None) -> None:
    """Write to a file, or to stdout."""
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
