"""`mahavishnu model status`."""

import click

from mahavishnu.interfaces.cli.options import asynchronous, json_option, opened_app
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.model import find_model


@click.command()
@json_option
@asynchronous
async def status(as_json: bool) -> None:
    """Show which model the database uses, which embedder is chosen, and why."""
    async with opened_app() as app:
        body, name = await find_model(app)
    if as_json:
        print_json(body)
        return
    print_line(f"vectors stored: {name or 'none yet'}")
    print_line(f"embedder: {body.reason}")
    for refusal in body.tried:
        print_line(f"  not {refusal.provider}: {refusal.why}")
    if body.blocked:
        print_line(f"no vectors can be stored: {body.blocked}")
    print_line(f"waiting for vectors: {body.waiting}")
