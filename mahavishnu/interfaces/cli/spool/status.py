"""`mahavishnu spool status`."""

import click

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.operations.spool import SpoolState, read_spool


def _show(state: SpoolState) -> None:
    if not state.waiting:
        print_line("Nothing waits.")
    else:
        print_table(
            ("database", "waiting", "refused", "since", "kinds"),
            (
                (each.database, f"{each.count:,}", f"{each.refused:,}", local_time(each.since),
                 ", ".join(f"{kind} {count:,}" for kind, count in each.kinds.items()))
                for each in state.waiting
            ),
        )  # fmt: skip
    for entry in state.refused:
        print_line(f"{shown(entry.id)} ({entry.kind}): {entry.message} [{entry.code}]")
    for path in state.damaged:
        print_line(f"A damaged spool was put aside: {path}")


@click.command()
@answers(_show)
def status() -> SpoolState:
    """Show how much waits, for which database, and what was refused; asks no database."""
    return read_spool(SpoolFile(load_quietly().locations.data))
