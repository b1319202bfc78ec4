"""What Claude Code's own settings say, and changes to them; what may be a key is hidden."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.claude_code.own_settings import file
from mahavishnu.ai.clients.claude_code.own_settings.environment import read_variables
from mahavishnu.ai.clients.claude_code.own_settings.file import (
    CLIENT,
    Plan,
    Scope,
    Step,
    carry_out,
    settings_file,
)
from mahavishnu.ai.clients.claude_code.own_settings.permissions import read_rules
from mahavishnu.ai.clients.claude_code.own_settings.plugins import read_plugins
from mahavishnu.ai.clients.claude_code.own_settings.statusline import read_statusline
from mahavishnu.ai.clients.claude_code.schema import Fault, Verdict
from mahavishnu.ai.clients.claude_code.settings import RESERVED_ENV
from mahavishnu.ai.clients.hook_entries import FoundHook, read_hooks
from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.documents.port import Document, show_path
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.secrets.showing import shown, shown_text
from mahavishnu.operations.ai.clients import lock_folder, place_of, require_enabled
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import Environments

_KINDS = ("command", "prompt", "url", "tool")


class OwnSettings(Whole, frozen=True, kw_only=True):
    """How each answer begins: whose file, and which."""

    client: str = CLIENT
    scope: Scope
    path: str


class StepBody(Whole, frozen=True, kw_only=True):
    """A change of one member; of its value, what may be a key is hidden."""

    action: str
    member: str
    value: Any


class FaultBody(Whole, frozen=True, kw_only=True):
    """What Claude Code does not take: a member, or all of the file for its sake."""

    member: str
    must_be: str
    voids_file: bool


class ChangedSettings(OwnSettings, frozen=True, kw_only=True):
    """What was changed, or would be."""

    changed: bool
    dry_run: bool
    steps: list[StepBody]
    faults: list[FaultBody]


class WholeSettings(OwnSettings, frozen=True, kw_only=True):
    """All that the file says; `there`: it exists."""

    there: bool
    settings: Any
    faults: list[FaultBody]


class VariableBody(Whole, frozen=True, kw_only=True):
    """A variable of the sessions; one that is `owned` changes by switches."""

    name: str
    value: Any
    owned: bool


class Variables(OwnSettings, frozen=True, kw_only=True):
    """The variables."""

    variables: list[VariableBody]


class HookBody(Whole, frozen=True, kw_only=True):
    """What Claude Code runs at an event."""

    event: str
    matcher: str | None
    type: str
    runs: Any
    timeout_s: Any


class Hooks(OwnSettings, frozen=True, kw_only=True):
    """The hooks of all kinds."""

    hooks: list[HookBody]


class Permissions(OwnSettings, frozen=True, kw_only=True):
    """The rules by list; `not_fenced` are those of the fence that are missing."""

    permissions: dict[Verdict, list[str]]
    fenced: bool
    not_fenced: list[str]


class PluginBody(Whole, frozen=True, kw_only=True):
    """A plugin that the file names."""

    name: str
    enabled: bool


class Plugins(OwnSettings, frozen=True, kw_only=True):
    """The plugins."""

    plugins: list[PluginBody]


class StatusLine(OwnSettings, frozen=True, kw_only=True):
    """The command that makes the line below the prompt."""

    command: str | None


def change_settings(
    environments: Environments, scope: Scope, plan: Plan, *, dry_run: bool
) -> tuple[ChangedSettings, tuple[str, ...]]:
    """Carry out what is planned, or only say what would change; returns notes on rights, too."""
    environments.require_trusted()
    require_enabled(environments.loaded, CLIENT)
    done = carry_out(_file(environments, scope), plan, dry_run=dry_run)
    body = ChangedSettings(
        scope=scope,
        path=str(done.path),
        changed=bool(done.steps) and not dry_run,
        dry_run=dry_run,
        steps=[_step(each) for each in done.steps],
        faults=_faults(done.faults),
    )
    return body, done.notes


def show_settings(environments: Environments, scope: Scope) -> WholeSettings:
    """Return all that the file says."""
    path, document = _read(environments, scope)
    return WholeSettings(
        scope=scope,
        path=path,
        there=Path(path).exists(),
        settings=shown("", file.read_all(document)),
        faults=_faults(file.read_faults(document)),
    )


def list_variables(environments: Environments, scope: Scope) -> Variables:
    """Return the variables."""
    path, document = _read(environments, scope)
    rows = [
        VariableBody(name=name, value=shown(name, value), owned=name in RESERVED_ENV)
        for name, value in read_variables(document).items()
    ]
    return Variables(scope=scope, path=path, variables=rows)


def list_hooks(environments: Environments, scope: Scope) -> Hooks:
    """Return the hooks of all kinds."""
    path, document = _read(environments, scope)
    return Hooks(scope=scope, path=path, hooks=[_hook(each) for each in read_hooks(document)])


def _hook(found: FoundHook) -> HookBody:
    runs = next((found.hook[kind] for kind in _KINDS if kind in found.hook), "")
    return HookBody(
        event=found.event,
        matcher=found.matcher,
        type=str(found.hook.get("type", "")),
        runs=shown("", str(runs)),
        timeout_s=found.hook.get("timeout"),
    )


def list_permissions(
    environments: Environments, scope: Scope, fence: Collection[str]
) -> Permissions:
    """Return the rules by list, and which of a fence are missing."""
    path, document = _read(environments, scope)
    rules = read_rules(document)
    missing = [rule for rule in fence if rule not in rules["deny"]]
    told = {verdict: [*map(shown_text, each)] for verdict, each in rules.items()}
    return Permissions(
        scope=scope, path=path, permissions=told, fenced=not missing, not_fenced=missing
    )


def find_stronger(
    environments: Environments, scope: Scope, verdict: Verdict, rule: str
) -> list[Verdict]:
    """Return the lists on which a rule is, too, and that count before the one of a verdict."""
    rules = read_rules(_read(environments, scope)[1])
    order: tuple[Verdict, ...] = ("deny", "ask", "allow")
    return [each for each in order[: order.index(verdict)] if rule in rules[each]]


def list_plugins(environments: Environments, scope: Scope) -> Plugins:
    """Return the plugins that the file names."""
    path, document = _read(environments, scope)
    found = read_plugins(document).items()
    rows = [PluginBody(name=name, enabled=on is True) for name, on in found]
    return Plugins(scope=scope, path=path, plugins=rows)


def show_statusline(environments: Environments, scope: Scope) -> StatusLine:
    """Return the command that makes the line below the prompt."""
    path, document = _read(environments, scope)
    command = read_statusline(document)
    said = None if command is None else shown_text(command)
    return StatusLine(scope=scope, path=path, command=said)


def _read(environments: Environments, scope: Scope) -> tuple[str, Document]:
    found = _file(environments, scope)
    return str(found.path), found.read()


def _file(environments: Environments, scope: Scope) -> SettingsFile:
    return settings_file(
        place_of(environments.loaded, CLIENT),
        scope,
        environ=environments.loaded.environ,
        folder=Path.cwd(),
        locks=lock_folder(environments.loaded),
    )


def _step(step: Step) -> StepBody:
    value = None if step.value is ABSENT else shown(step.path[-1], step.value)
    return StepBody(action=step.action, member=show_path(step.path), value=value)


def _faults(faults: tuple[Fault, ...]) -> list[FaultBody]:
    return [
        FaultBody(member=show_path(each.path), must_be=each.must_be, voids_file=each.voids_file)
        for each in faults
    ]
