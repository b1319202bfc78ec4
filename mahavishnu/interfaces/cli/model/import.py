"""`mahavishnu model import`."""

from pathlib import Path

import click

from mahavishnu.embedding.model_import import import_model
from mahavishnu.embedding.models import NewModel, runs_here
from mahavishnu.interfaces.cli.model.verify import show_new
from mahavishnu.interfaces.cli.options import answers, load


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name to keep it under; the folder's by default.")
@click.option("--sha256", help="Expected digest of the ONNX file in the folder.")
@answers(lambda body: show_new("Imported", body))
def import_(path: Path, name: str | None, sha256: str | None) -> NewModel:
    """Keep the ONNX model in the folder PATH; for machines without network."""
    stored = import_model(path, load().locations.models, name=name, sha256=sha256)
    return NewModel(stored.body, runs_here())
