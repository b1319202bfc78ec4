"""`mahavishnu model verify`."""

import click

from mahavishnu.embedding.models import ModelResult, NewModel, verify_model
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


def _show(verb: str, body: ModelResult) -> None:
    print_line(f"{verb} {body.model.name} ({body.model.dimensions} dimensions)")


def show_new(verb: str, body: NewModel) -> None:
    """Print a model that came in, and that nobody could try it where that is so."""
    _show(verb, body)
    if not body.usable:
        print_line("It was not tried, and is of use once Mahavishnu has its extra `local`.")


@click.command()
@click.argument("name")
@answers(lambda body: _show("Intact:", body))
def verify(name: str) -> ModelResult:
    """Compare every file of the model NAME with its recorded SHA-256."""
    return ModelResult(verify_model(load().locations.models, name).body)
