"""`mahavishnu events`: what was done automatically."""

import time
from uuid import UUID

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly, parameter
from mahavishnu.interfaces.cli.render import local_time, print_json_line, print_line, print_table
from mahavishnu.memory.checks import MAX_LIMIT
from mahavishnu.operations.events import Events, ListEvents
from mahavishnu.services.events.journal import Event, EventJournal

LOOK_EVERY_S = 0.5


def _state(event: Event) -> str:
    return " -> ".join(filter(None, (event.before, event.after)))


def _show(body: Events) -> None:
    print_table(
        ("when", "what", "result", "state", "why"),
        (
            (local_time(each.at), each.what, each.result, _state(each), each.why)
            for each in body.events
        ),
        empty="Nothing was done automatically yet.",
    )


def _follow(journal: EventJournal, limit: int) -> None:
    """Print the last events, and each new one, until Ctrl-C."""
    seen: set[UUID] = set()
    while True:
        events = journal.read(limit=MAX_LIMIT)
        for each in events if seen else events[-limit:]:
            if each.id in seen:
                continue
            if parameter("as_json"):
                print_json_line(each)
            else:
                told = (local_time(each.at), each.what, each.result, _state(each), each.why)
                print_line("  ".join(filter(None, told)))
        seen = {each.id for each in events}
        time.sleep(LOOK_EVERY_S)


@click.command()
@click.option("--limit", default=20, show_default=True, help="Most events, the last ones.")
@click.option("--follow", is_flag=True, help="Go on printing new events; with --json one a line.")
@answers(_show)
def events(limit: int, *, follow: bool) -> Events:
    """Show what Mahavishnu did automatically, and why; asks no database."""
    ListEvents(limit=limit).check()
    journal = EventJournal(load_quietly().locations.state)
    if follow:
        _follow(journal, limit)
    return Events(events=journal.read(limit=limit))
