"""`mahavishnu model`: the embedding model."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    summaries={
        "download": "Fetch the model NAME once from the Hugging Face hub.",
        "import": "Keep the ONNX model in the folder PATH; for machines without network.",
        "list": "List the models kept on this machine.",
        "status": "Show which model the database uses, which embedder is chosen, and why.",
        "verify": "Compare every file of the model NAME with its recorded SHA-256.",
    },
)
def model() -> None:
    """Manage the embedding model."""
