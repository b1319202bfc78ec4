"""`mahavishnu ai permissions`: allow, deny, ask, remove, list, fence."""

from collections.abc import Callable
from typing import Any

import click

from mahavishnu.ai_env.claude_settings.fence import fence_rules
from mahavishnu.ai_env.claude_settings.permissions import (
    add_rules,
    read_rules,
    remove_rules,
)
from mahavishnu.ai_env.clients.claude_schema import VERDICTS, Verdict
from mahavishnu.ai_env.showing import shown_text
from mahavishnu.cli.ai.claude_file import (
    change_file,
    describe_file,
    dry_run_option,
    note,
    open_file,
    scope_option,
)
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line, print_table
from mahavishnu.paths import APP

_STRONGER: dict[Verdict, tuple[Verdict, ...]] = {
    "deny": (),
    "ask": ("deny",),
    "allow": ("deny", "ask"),
}


@click.group()
def permissions() -> None:
    """What Claude Code may do: allow, deny, ask; deny counts before ask, and ask before allow."""


def _adding(verdict: Verdict, summary: str) -> Callable[..., None]:
    @permissions.command(verdict, help=summary)
    @click.argument("rules", metavar="RULE...", nargs=-1, required=True)
    @scope_option
    @dry_run_option
    @json_option
    def add(rules: tuple[str, ...], scope: str, dry_run: bool, as_json: bool) -> None:
        change_file(
            scope,
            lambda document: add_rules(document, verdict, rules),
            dry_run=dry_run,
            as_json=as_json,
        )
        known = read_rules(open_file(scope).read())
        for stronger in _STRONGER[verdict]:
            for rule in set(rules) & set(known[stronger]):
                note(f"{shown_text(rule)} is on the list {stronger} too, which counts first.")

    return add


_adding("allow", "Let it do this without asking, as in 'Bash(make test)'.")
_adding("deny", "Never let it do this, as in 'Read(./.env)'.")
_adding("ask", "Let it do this only after asking, as in 'Bash(git push *)'.")


@permissions.command()
@click.argument("rules", metavar="RULE...", nargs=-1, required=True)
@scope_option
@dry_run_option
@json_option
def remove(rules: tuple[str, ...], scope: str, dry_run: bool, as_json: bool) -> None:
    """Take rules off all three lists."""
    change_file(
        scope, lambda document: remove_rules(document, rules), dry_run=dry_run, as_json=as_json
    )


@permissions.command("list")
@scope_option
@json_option
def list_(scope: str, as_json: bool) -> None:
    """Print the rules, and whether the fence is whole."""
    file = open_file(scope)
    rules = read_rules(file.read())
    missing = [rule for rule in _fence() if rule not in rules["deny"]]
    told = {verdict: [shown_text(rule) for rule in each] for verdict, each in rules.items()}
    if as_json:
        body: dict[str, Any] = describe_file(scope, file.path)
        print_json({**body, "permissions": told, "fenced": not missing, "not_fenced": missing})
        return
    if any(told.values()):
        print_table(("list", "rule"), ((each, rule) for each in VERDICTS for rule in told[each]))
    else:
        print_line(f"{file.path} has no rules.")
    if missing:
        print_line(f"Of the fence {len(missing)} rules are missing: {APP} ai permissions fence")


@permissions.command()
@click.option("--remove", "removes", is_flag=True, help="Take the fence down.")
@scope_option
@dry_run_option
@json_option
def fence(removes: bool, scope: str, dry_run: bool, as_json: bool) -> None:
    """Deny Claude Code our commands and tools that delete, open, tell keys or change clients."""
    rules = _fence()
    change_file(
        scope,
        lambda document: (
            remove_rules(document, rules, verdicts=("deny",))
            if removes
            else add_rules(document, "deny", rules)
        ),
        dry_run=dry_run,
        as_json=as_json,
    )


def _fence() -> list[str]:
    from mahavishnu.mcp.clients import NAME  # noqa: PLC0415 - only where it is needed

    return list(fence_rules(program=APP, server=NAME))
