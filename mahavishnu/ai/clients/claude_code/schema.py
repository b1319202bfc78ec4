"""
What Claude Code makes of a settings file: what it would skip, and what makes it ignore the whole file.

Keys that are not named here are taken as they are, as Claude Code does with those it does not know.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from mahavishnu.ai.foreign_files.documents import KeyPath, Value

type Faults = Iterator["Fault"]
type Verdict = Literal["allow", "deny", "ask"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict.__value__)

EVENTS = (
    "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification",
    "UserPromptSubmit", "UserPromptExpansion", "SessionStart", "SessionEnd", "Stop", "StopFailure",
    "SubagentStart", "SubagentStop", "PreCompact", "PostCompact", "PreModelSwitch",
    "PostModelSwitch", "PermissionRequest", "PermissionDenied", "Setup", "TeammateIdle",
    "TaskCreated", "TaskCompleted", "Elicitation", "ElicitationResult", "ConfigChange",
    "WorktreeCreate", "WorktreeRemove", "InstructionsLoaded", "CwdChanged", "FileChanged",
    "DirectoryAdded", "MessageDisplay",
)  # fmt: skip
_RULE = re.compile(r"[A-Z]\w*(?:\(.+\))?|\*", re.DOTALL)
_MCP_RULE = re.compile(r"mcp__[^\s()]+")


@dataclass(frozen=True)
class Fault:
    """
    A member that Claude Code does not take: what it must be, as words that follow "must be".

    With `voids_file` nothing in the file counts; else this member alone does not.
    """

    path: KeyPath
    must_be: str
    voids_file: bool = True


TEXT, FLAG, NUMBER, LIST, OBJECT = "a text", "true or false", "a number", "a list", "an object"
_CHECKS: dict[str, Callable[[Value], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    FLAG: lambda value: isinstance(value, bool),
    NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    LIST: lambda value: isinstance(value, list),
    OBJECT: lambda value: isinstance(value, dict),
}
_NAMES = {
    TEXT: "$schema agent apiKeyHelper attributionProject autoMemoryDirectory awsAuthRefresh awsCredentialExport "
    "claudeMd model otelHeadersHelper outputStyle plansDirectory prUrlTemplate proxyAuthHelper timeZone",
    FLAG: "alwaysThinkingEnabled autoCompactEnabled autoMemoryEnabled awaySummaryEnabled disableAllHooks "
    "enableAllProjectMcpServers fastMode fileCheckpointingEnabled includeCoAuthoredBy includeGitInstructions "
    "prefersReducedMotion promptSuggestionEnabled respectGitignore showThinkingSummaries skipWebFetchPreflight "
    "spinnerTipsEnabled syntaxHighlightingDisabled verbose",
    NUMBER: "cleanupPeriodDays feedbackSurveyRate",
    LIST: "availableModels claudeMdExcludes companyAnnouncements",
    OBJECT: "enabledPlugins env fileSuggestion modelOverrides permissions pluginConfigs sandbox statusLine",
}
KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
# Each kind of hook, with the texts that it must have.
_HOOK_TYPES = {
    "command": ("command",), "prompt": ("prompt",), "agent": ("prompt",), "http": ("url",),
    "mcp_tool": ("server", "tool"),
}  # fmt: skip
# Hooks that may forbid something: rather than leave one out, Claude Code takes nothing of the file.
_GUARDS = frozenset({"PreToolUse", "PermissionRequest"})


def find_faults(settings: dict[str, Value]) -> Faults:
    """Yield each known member of a wrong type or shape, in the order of the file."""
    for name, value in settings.items():
        kind = KINDS.get(name)
        if kind is not None and not _CHECKS[kind](value):
            yield Fault((name,), kind)
        elif name in _INSIDE:
            yield from _INSIDE[name](value)


def is_rule(text: str) -> bool:
    """Tell whether Claude Code would take this for a rule; which tools there are is not checked."""
    return bool(_MCP_RULE.fullmatch(text) or _RULE.fullmatch(text))


def _permissions(value: Value) -> Faults:
    assert isinstance(value, dict)
    yield from _typed(("permissions",), value, {"defaultMode": TEXT, "additionalDirectories": LIST})
    for verdict in VERDICTS:
        rules = value.get(verdict, [])
        if not isinstance(rules, list):
            yield Fault(("permissions", verdict), LIST)
            continue
        for place, rule in enumerate(rules):
            if not isinstance(rule, str) or not is_rule(rule):
                yield Fault(("permissions", verdict, str(place)), "a rule", voids_file=False)


def _plugins(value: Value) -> Faults:
    assert isinstance(value, dict)
    for name, on in value.items():
        if not isinstance(on, bool | list):
            yield Fault(("enabledPlugins", name), FLAG)


def _statusline(value: Value) -> Faults:
    assert isinstance(value, dict)
    if value.get("type") != "command":
        yield Fault(("statusLine", "type"), '"command"')
    if not isinstance(value.get("command"), str):
        yield Fault(("statusLine", "command"), TEXT)
    yield from _typed(("statusLine",), value, {"padding": NUMBER})


def _hooks(value: Value) -> Faults:
    if not isinstance(value, dict):
        yield Fault(("hooks",), OBJECT, voids_file=False)
        return
    for event, entries in value.items():
        if event not in EVENTS:
            must_be = "named by an event that Claude Code has"
            yield Fault(("hooks", event), must_be, voids_file=False)
            continue
        for path, must_be in _event(entries):
            yield Fault(("hooks", event, *path), must_be, voids_file=event in _GUARDS)


def _event(entries: Value) -> Iterator[tuple[KeyPath, str]]:
    """Yield where below the event something is wrong, and what must be there."""
    if not isinstance(entries, list):
        yield (), LIST
        return
    for place, entry in enumerate(entries):
        path = (str(place),)
        hooks = entry.get("hooks") if isinstance(entry, dict) else None
        if not isinstance(entry, dict):
            yield path, OBJECT
            continue
        if not isinstance(entry.get("matcher", ""), str):
            yield (*path, "matcher"), TEXT
        if not isinstance(hooks, list):
            yield (*path, "hooks"), LIST
            continue
        for number, hook in enumerate(hooks):
            for member, must_be in _hook(hook):
                yield (*path, "hooks", str(number), *member), must_be


def _hook(hook: Value) -> Iterator[tuple[KeyPath, str]]:
    if not isinstance(hook, dict):
        yield (), OBJECT
        return
    kind = hook.get("type")
    needed = _HOOK_TYPES.get(kind) if isinstance(kind, str) else None
    if needed is None:
        yield ("type",), f"one of {', '.join(_HOOK_TYPES)}"
        return
    for name in needed:
        if not isinstance(hook.get(name), str):
            yield (name,), TEXT
    timeout = hook.get("timeout", 1)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        yield ("timeout",), "a number above 0"


def _typed(path: KeyPath, value: dict[str, Value], kinds: dict[str, str]) -> Faults:
    for name, kind in kinds.items():
        if name in value and not _CHECKS[kind](value[name]):
            yield Fault((*path, name), kind)


_INSIDE: dict[str, Callable[[Value], Faults]] = {
    "permissions": _permissions,
    "enabledPlugins": _plugins,
    "statusLine": _statusline,
    "hooks": _hooks,
}
# All names that anything is known of.
KNOWN = (*KINDS, *(name for name in _INSIDE if name not in KINDS))
