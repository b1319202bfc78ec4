"""`mahavishnu model download`."""

import click

from mahavishnu.embedding.model_download import fetch, require_download
from mahavishnu.embedding.models import NewModel, runs_here
from mahavishnu.interfaces.cli.model.verify import show_new
from mahavishnu.interfaces.cli.options import answers, load, parameter
from mahavishnu.interfaces.cli.render import progress


@click.command()
@click.argument("name", default="nomic-embed-text-v1.5")
@answers(lambda body: show_new("Downloaded", body))
def download(name: str) -> NewModel:
    """Fetch the model NAME once from the Hugging Face hub."""
    loaded, pinned = load(), require_download(name)
    with progress("Downloading", quiet=parameter("as_json"), in_bytes=True) as advance:
        there = 0

        def report(done: int, total: int) -> None:
            nonlocal there
            advance(done - there, total)
            there = done

        stored = fetch(pinned, loaded.locations.models, environ=loaded.environ, progress=report)
    return NewModel(stored.body, runs_here())
