"""`mahavishnu ai permissions`: allow, deny, ask, remove, list, fence."""

from collections.abc import Callable, Iterator

import click

from mahavishnu.ai.clients.claude_code.own_settings.fence import fence_rules
from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.ai.clients.claude_code.own_settings.permissions import add_rules, remove_rules
from mahavishnu.ai.clients.claude_code.schema import VERDICTS, Verdict
from mahavishnu.ai.clients.mcp import NAME
from mahavishnu.ai.secrets.showing import shown_text
from mahavishnu.base.paths import APP
from mahavishnu.interfaces.cli.ai.claude_file import changes, scope_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.claude_settings import (
    Body,
    find_stronger,
    list_permissions,
)
from mahavishnu.operations.ai.site import Environments

_FENCE = tuple(fence_rules(program=APP, server=NAME))


@click.group()
def permissions() -> None:
    """What Claude Code may do: allow, deny, ask; deny counts before ask, and ask before allow."""


def _adding(verdict: Verdict, summary: str) -> Callable[..., None]:
    def note_stronger(done: Body, rules: tuple[str, ...]) -> Iterator[str]:
        for rule in set(rules):
            for stronger in find_stronger(
                Environments(load_quietly()), done["scope"], verdict, rule
            ):
                yield f"{shown_text(rule)} is on the list {stronger} too, which counts first."

    @permissions.command(verdict, help=summary)
    @click.argument("rules", metavar="RULE...", nargs=-1, required=True)
    @changes(notes=note_stronger)
    def add(rules: tuple[str, ...]) -> Plan:
        return lambda document: add_rules(document, verdict, rules)

    return add


_adding("allow", "Let it do this without asking, as in 'Bash(make test)'.")
_adding("deny", "Never let it do this, as in 'Read(./.env)'.")
_adding("ask", "Let it do this only after asking, as in 'Bash(git push *)'.")


@permissions.command()
@click.argument("rules", metavar="RULE...", nargs=-1, required=True)
@changes()
def remove(rules: tuple[str, ...]) -> Plan:
    """Take rules off all three lists."""
    return lambda document: remove_rules(document, rules)


def _show(body: Body) -> None:
    rules = [(verdict, rule) for verdict in VERDICTS for rule in body["permissions"][verdict]]
    if rules:
        print_table(("list", "rule"), rules)
    else:
        print_line(f"{body['path']} has no rules.")
    if missing := len(body["not_fenced"]):
        print_line(f"Of the fence {missing} rules are missing: {APP} ai permissions fence")


@permissions.command("list")
@scope_option
@answers(_show)
def list_(scope: Scope) -> Body:
    """Print the rules, and whether the fence is whole."""
    return list_permissions(Environments(load_quietly()), scope, _FENCE)


@permissions.command()
@click.option("--remove", "removes", is_flag=True, help="Take the fence down.")
@changes()
def fence(removes: bool) -> Plan:
    """Deny Claude Code our commands and tools that delete, open, tell keys or change clients."""
    if removes:
        return lambda document: remove_rules(document, _FENCE, verdicts=("deny",))
    return lambda document: add_rules(document, "deny", _FENCE)
