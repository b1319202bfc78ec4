"""`mahavishnu ai hooks list`."""

from mahavishnu.interfaces.cli.ai.claude_file import reads
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.claude_settings import Hooks, list_hooks


def _show(body: Hooks) -> None:
    rows = (
        (each.event, each.matcher or "", each.type, each.runs,
         "" if each.timeout_s is None else f"{each.timeout_s} s")
        for each in body.hooks
    )  # fmt: skip
    columns = ("event", "matcher", "type", "runs", "timeout")
    print_table(columns, rows, empty=f"{body.path} has no hooks.")


@reads(list_hooks, _show)
def list_() -> None:
    """Print the hooks of all kinds."""
