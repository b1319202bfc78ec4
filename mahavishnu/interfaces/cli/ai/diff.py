"""`mahavishnu ai diff`."""

import click

from mahavishnu.base.errors import KINDS
from mahavishnu.interfaces.cli.ai.client_output import offer, print_drift
from mahavishnu.interfaces.cli.ai.switch_messages import UNCHANGED
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import Changes
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.state import find_changes


def _show(body: Changes) -> None:
    for each in body.files:
        print_drift(each)
    for unread in body.unread:
        print_line(unread.problem.message)
    offer(body.files)
    if not body.files and not body.unread:
        print_line(UNCHANGED)


def _code(body: Changes) -> int:
    return max((KINDS[each.problem.kind].exit_code for each in body.unread), default=0)


@click.command()
@answers(_show, code=_code)
def diff() -> Changes:
    """
    Show what was changed in clients' settings since a switch wrote it; keys are masked.

    The exit code is 0 only where all of them could be read.
    """
    return find_changes(Environments(load_quietly()))
