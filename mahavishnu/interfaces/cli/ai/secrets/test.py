"""`mahavishnu ai secrets test`."""

import click

from mahavishnu.interfaces.cli.ai.secrets.reading import tell_read
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.keys import KeyTest, try_key


def _show(body: KeyTest) -> None:
    print_line(f"{body.profile}: the key is there, in {body.store}.\n  {tell_read(body)}")


@click.command()
@click.argument("name")
@answers(_show)
def test(name: str) -> KeyTest:
    """Read the key of profile NAME, and tell from where, how old it is and how long that took."""
    return try_key(load(), name)
