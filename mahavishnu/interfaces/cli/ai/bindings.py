"""`mahavishnu ai bindings`."""

from typing import Any

import click

from mahavishnu.ai.bindings.listing import Listed, list_bindings
from mahavishnu.ai.bindings.profiles import load_bindings
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.bindings import current_of, guard_program
from mahavishnu.operations.ai.site import Environments


def _show(body: dict[str, Any]) -> None:
    rows = body["bindings"]
    if not rows:
        print_line("No directory is bound to a profile.")
        return
    print_table(
        ("directory", "profile", "state", "guarded"),
        (
            (each["directory"], each["profile"], each["state"], ", ".join(each["guarded"]))
            for each in rows
        ),
    )
    for each in rows:
        for text in each["notes"]:
            print_line(f"{each['directory']}: {text}")


@click.command()
@answers(_show)
def bindings() -> dict[str, Any]:
    """List the bound directories, and whether sessions there can go on."""
    environments = Environments(load())
    known = load_bindings(environments.site)
    if known.damaged:
        tell_note("the list was damaged, and its copy is taken.")
    listed = list_bindings(
        environments.site,
        known.rows,
        guard=guard_program(),
        current=lambda row: current_of(row, environments.loaded.environ),
        profiles=environments.profiles,
    )
    return {"bindings": [_body(each) for each in listed], "damaged": known.damaged}


def _body(listed: Listed) -> dict[str, Any]:
    row = listed.binding
    return {
        "directory": row.folder.path,
        "profile": row.profile,
        "state": listed.state,
        "clients": list(row.clients),
        "guarded": listed.guarded,
        "settings": row.settings or None,
        "bound_at": row.at,
        "notes": listed.notes,
    }
