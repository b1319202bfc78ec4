"""`mahavishnu ai history`."""

from datetime import datetime

import click

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.operations.ai.results import Switches
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.state import find_history


def _show(body: Switches) -> None:
    if not body.switches:
        print_line("There was no switch yet.")
        return
    print_table(
        ("id", "when", "what", "profile", "scope", "clients", ""),
        (
            (
                shown(each.id),
                local_time(datetime.fromisoformat(each.at)),
                each.kind,
                each.profile,
                each.scope,
                ", ".join(each.clients),
                "interrupted" if each.interrupted else "taken back" if each.undone else "",
            )
            for each in body.switches
        ),
    )


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@answers(_show)
def history(limit: int) -> Switches:
    """List switches, the latest first."""
    return find_history(Environments(load_quietly()), limit)
