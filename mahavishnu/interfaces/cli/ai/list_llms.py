"""`mahavishnu ai list-llms`."""

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.client_output import tell_drift, tell_missing, use_of
from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.requests import ListLlms
from mahavishnu.operations.ai.results import Profiles
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.state import find_profiles


def _show(body: Profiles) -> None:
    print_table(
        ("name", "key", "model", "used by"),
        (
            (
                each.name,
                f"{each.key or ''} {each.key_state}".strip(),
                each.model or "",
                ", ".join(each.used_by),
            )
            for each in body.profiles
        ),
    )
    for broken in body.unusable:
        hint = f" {broken.hint}" if broken.hint else ""
        print_line(f"The profile {broken.profile} cannot be used. {broken.message}{hint}")
    for each in body.clients:
        if each.installed and each.use != "profile":
            print_line(f"{CLIENTS[each.client].title} uses {use_of(each)}.")
    tell_missing(body.missing)
    tell_drift(body.clients)


@click.command()
@answers(_show)
def list_llms() -> Profiles:
    """List the profiles, and which of them each client uses."""
    loaded = load()
    tell_profiles(loaded, listed=True)
    return find_profiles(Environments(loaded), ListLlms())
