"""`mahavishnu config show`."""

import click

from mahavishnu.base.settings.shown import ShownSettings, shown_settings
from mahavishnu.interfaces.cli.options import answers, load, parameter
from mahavishnu.interfaces.cli.render import print_table


def _show(body: ShownSettings) -> None:
    columns = ("setting", "value", "origin") if parameter("origin") else ("setting", "value")
    rows = (
        (key, "" if each.value is None else str(each.value), each.origin)[: len(columns)]
        for key, each in body.settings.items()
    )
    print_table(columns, rows)


@click.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@answers(_show)
def show(origin: bool) -> ShownSettings:  # noqa: ARG001 - `_show` asks for it
    """Print every setting with its value; secrets are masked."""
    return shown_settings(load())
