"""`mahavishnu config path`."""

import click
import msgspec

from mahavishnu.base.settings.shown import Places
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


def _show(body: Places) -> None:
    for name, place in msgspec.structs.asdict(body).items():
        print_line(f"{name}: {place}")


@click.command()
@answers(_show)
def path() -> Places:
    """Print where settings, data and state live."""
    places = load().locations
    return Places(str(places.user_settings), str(places.data), str(places.state))
