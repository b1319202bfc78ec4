"""What Claude Code may do: rules in the lists allow, deny and ask, of which deny counts first."""

import difflib
from collections.abc import Iterable

from mahavishnu.ai.clients.claude_code.schema import VERDICTS, Verdict, is_rule
from mahavishnu.ai.foreign_files.documents import Document, Value
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include
from mahavishnu.base.errors import UsageError

PATH = ("permissions",)
TOOLS = (
    "Agent", "Bash", "Edit", "Glob", "Grep", "LSP", "Monitor", "NotebookEdit", "PowerShell", "Read",
    "Skill", "Task", "TodoWrite", "ToolSearch", "WebFetch", "WebSearch", "Write",
)  # fmt: skip


def read_rules(document: Document) -> dict[Verdict, list[str]]:
    """Return the rules of each list; what is not a rule is skipped."""
    return {
        verdict: [r for r in _list(document, verdict) if isinstance(r, str)] for verdict in VERDICTS
    }


def add_rules(_: Document, verdict: Verdict, rules: Iterable[str]) -> list[Change]:
    """
    Return the changes that put the rules on a list; on others they stay where they are.

    Raises:
        UsageError: `claude_settings.rule`, one that Claude Code would skip.
    """
    wanted = list(rules)
    for rule in wanted:
        require_rule(rule)
    return [Include((*PATH, verdict), rule) for rule in wanted]


def remove_rules(
    document: Document, rules: Iterable[str], *, verdicts: Iterable[Verdict] = VERDICTS
) -> list[Change]:
    """Return the changes that take the rules off these lists; any text may go."""
    wanted, chosen = list(rules), list(verdicts)
    return [
        Exclude((*PATH, verdict), rule, made=PATH)
        for verdict in chosen
        for rule in wanted
        if rule in _list(document, verdict)
    ]


def require_rule(rule: str) -> None:
    """Refuse a rule that Claude Code would skip."""
    if is_rule(rule):
        return
    tool, bracket, rest = rule.partition("(")
    lower = {each.lower(): each for each in TOOLS}
    near = difflib.get_close_matches(tool.lower(), lower, n=1)
    offered = f"{lower[near[0]]}{bracket}{rest}" if near else ""
    raise UsageError(
        "This is not a rule of Claude Code.",
        hint=f"Did you mean {offered[:200]}?"
        if offered and is_rule(offered)
        else "Write Tool, Tool(what), mcp__SERVER or mcp__SERVER__TOOL, as in Bash(git push *).",
        code="claude_settings.rule",
    )


def _list(document: Document, verdict: Verdict) -> list[Value]:
    whole = document.get(PATH)
    found = whole.get(verdict) if isinstance(whole, dict) else None
    return found if isinstance(found, list) else []
