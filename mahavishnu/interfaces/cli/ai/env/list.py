"""`mahavishnu ai env list`."""

from mahavishnu.interfaces.cli.ai.claude_file import reads, text_of
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.claude_settings import Variables, list_variables


def _show(body: Variables) -> None:
    rows = (
        (each.name, text_of(each.value), "ai switch-llm" if each.owned else "ai env set")
        for each in body.variables
    )
    print_table(("name", "value", "changes by"), rows, empty=f"{body.path} has no variables.")


@reads(list_variables, _show)
def list_() -> None:
    """Print the variables; what looks like a key is hidden."""
