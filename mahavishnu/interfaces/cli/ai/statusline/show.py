"""`mahavishnu ai statusline show`."""

from mahavishnu.interfaces.cli.ai.claude_file import reads
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import show_statusline


@reads(show_statusline, lambda body: print_line(body.command or "There is no status line."))
def show() -> None:
    """Print the command that makes the line."""
