"""`mahavishnu ai secrets list`."""

import click

from mahavishnu.interfaces.cli.ai.secrets.reading import day_of
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.keys import Keys, list_keys


def _show(body: Keys) -> None:
    rows = (
        (key.profile, key.reference or "", key.store, key.state, day_of(key.dated_at))
        for key in body.keys
    )
    print_table(("profile", "key", "where", "state", "changed"), rows)


@click.command("list")
@answers(_show)
def list_() -> Keys:
    """List which key each profile uses, and where it is; nothing is opened or asked."""
    return list_keys(load())
