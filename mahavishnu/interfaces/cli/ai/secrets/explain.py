"""`mahavishnu ai secrets explain`."""

import click

from mahavishnu.ai.secrets.oneiric.scheme import PROVIDERS
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.keys import RankedStores, explain_stores


def _show(body: RankedStores) -> None:
    for number, each in enumerate(body.stores, start=1):
        print_line(f"{number}. {body.provider}/{each.name}: {', '.join(each.reasons)}")


@click.command()
@click.argument("provider", type=click.Choice(list(PROVIDERS)))
@answers(_show)
def explain(provider: str) -> RankedStores:
    """Tell which of the stores of PROVIDER is asked first, and why. None is asked."""
    return explain_stores(load(), provider)
