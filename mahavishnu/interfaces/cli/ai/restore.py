"""`mahavishnu ai restore`."""

from typing import Any

import click

from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.interfaces.cli.ai.options import (
    changed_clients_option,
    forget_keys_option,
    provider_scope_option,
)
from mahavishnu.interfaces.cli.ai.switch_messages import UNCHANGED
from mahavishnu.interfaces.cli.ai.switch_output import print_plan, print_switch
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import Restored
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import restore_settings


def _show(body: Restored) -> None:
    for text in body.settled:
        print_line(text)
    for each in body.restored:
        (print_plan if body.dry_run else print_switch)(each)
    if not body.restored:
        print_line(UNCHANGED)


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would change, and write nothing.")
@forget_keys_option
@click.option("--allow-missing-key", is_flag=True, help="Restore though the key is not there.")
@changed_clients_option
@provider_scope_option
@answers(_show)
def restore(dry_run: bool, **asked: Any) -> Restored:
    """
    Write again what a switch had written and another changed: address, key and models as one.

    `ai undo` brings back what the other had written.
    """
    return restore_settings(Environments(load_quietly()), SwitchOptions(**asked), dry_run=dry_run)
