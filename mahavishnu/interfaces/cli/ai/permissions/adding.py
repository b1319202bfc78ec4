"""The commands that put rules on a list."""

from collections.abc import Iterator
from functools import partial

import click

from mahavishnu.ai.clients.claude_code.own_settings.permissions import add_rules
from mahavishnu.ai.clients.claude_code.schema import Verdict
from mahavishnu.ai.secrets.showing import shown_text
from mahavishnu.interfaces.cli.ai.claude_file import changes
from mahavishnu.interfaces.cli.options import load_quietly
from mahavishnu.operations.ai.claude_settings import ChangedSettings, find_stronger
from mahavishnu.operations.ai.site import Environments

rules_argument = click.argument("rules", metavar="RULE...", nargs=-1, required=True)


def add_command(verdict: Verdict, summary: str) -> click.Command:
    """Return the command that puts rules on the list of a verdict."""

    def note_stronger(done: ChangedSettings, rules: tuple[str, ...]) -> Iterator[str]:
        for rule in set(rules):
            for stronger in find_stronger(Environments(load_quietly()), done.scope, verdict, rule):
                yield f"{shown_text(rule)} is on the list {stronger} too, which counts first."

    @click.command(verdict, help=summary)
    @rules_argument
    @changes(partial(add_rules, verdict=verdict), notes=note_stronger)
    def add() -> None:
        pass

    return add
