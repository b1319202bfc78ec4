"""`mahavishnu model list`."""

import click

from mahavishnu.embedding.models import ModelList, list_models
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_table


def _show(body: ModelList) -> None:
    rows = (
        (each.name, str(each.dimensions), str(each.window_tokens), each.source)
        for each in body.models
    )
    print_table(("name", "dimensions", "window", "source"), rows)


@click.command("list")
@answers(_show)
def list_stored() -> ModelList:
    """List the models kept on this machine."""
    return ModelList([each.body for each in list_models(load().locations.models)])
