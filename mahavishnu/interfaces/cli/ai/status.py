"""`mahavishnu ai status`."""

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.ai.client_output import offer, tell_drift, use_of
from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.requests import LlmStatus
from mahavishnu.operations.ai.results import LlmState
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.state import find_state


def _show(body: LlmState) -> None:
    print_table(
        ("client", "uses", "address", "model", "key", "sessions"),
        (
            (
                f"{CLIENTS[each.client].title}{' (project)' if each.scope == 'project' else ''}",
                use_of(each),
                each.url,
                each.model,
                each.key,
                str(each.sessions or ""),
            )
            for each in body.clients
        ),
    )
    if body.bound is not None and body.bound.problem is not None:
        print_line(body.bound.problem.message)
    elif body.bound is not None:
        print_line(
            f"{body.bound.folder} is bound to {body.bound.profile}: sessions there use that one."
        )
    for each in body.clients:
        if each.problem is not None:
            print_line(each.problem.message)
    for entry in body.switches:
        if entry.interrupted:
            print_line(
                f"The {entry.title} ({shown(entry.id)}) was interrupted; the next switch or undo settles it."
            )
    tell_drift(body.clients)
    offer(body.clients)


@click.command()
@answers(_show)
def status() -> LlmState:
    """Tell which provider each client uses, and where its settings were changed since."""
    loaded = load()
    tell_profiles(loaded)
    return find_state(Environments(loaded), LlmStatus())
