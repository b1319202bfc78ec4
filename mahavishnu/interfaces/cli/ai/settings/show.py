"""`mahavishnu ai settings show`."""

import json

from mahavishnu.interfaces.cli.ai.claude_file import note_faults, reads
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import WholeSettings, show_settings


def _show(body: WholeSettings) -> None:
    print_line(f"# {body.path}{'' if body.there else ' (not there)'}")
    print_line(json.dumps(body.settings, indent=2, ensure_ascii=False))
    note_faults(body.path, body.faults)


@reads(show_settings, _show)
def show() -> None:
    """Print the file with keys hidden, and name what Claude Code does not take."""
