"""`mahavishnu ai permissions list`."""

from functools import partial

from mahavishnu.ai.clients.claude_code.schema import VERDICTS
from mahavishnu.base.paths import APP
from mahavishnu.interfaces.cli.ai.claude_file import reads
from mahavishnu.interfaces.cli.ai.permissions.fence import FENCE
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.claude_settings import Permissions, list_permissions


def _show(body: Permissions) -> None:
    rules = ((verdict, rule) for verdict in VERDICTS for rule in body.permissions[verdict])
    print_table(("list", "rule"), rules, empty=f"{body.path} has no rules.")
    if missing := len(body.not_fenced):
        print_line(f"Of the fence {missing} rules are missing: {APP} ai permissions fence")


@reads(partial(list_permissions, fence=FENCE), _show)
def list_() -> None:
    """Print the rules, and whether the fence is whole."""
