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
from mahavishnu.ai.clients.claude_code.own_settings.hooks import Found, read_hooks
from mahavishnu.ai.clients.claude_code.own_settings.permissions import read_rules
from mahavishnu.ai.clients.claude_code.own_settings.plugins import read_plugins
from mahavishnu.ai.clients.claude_code.own_settings.statusline import read_statusline
from mahavishnu.ai.clients.claude_code.schema import Fault, Verdict
from mahavishnu.ai.clients.claude_code.settings import RESERVED_ENV
from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.documents.port import Document, show_path
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.secrets.showing import shown, shown_text
from mahavishnu.operations.ai.clients import lock_folder, place_of, require_enabled
from mahavishnu.operations.ai.site import Environments

_KINDS = ("command", "prompt", "url", "tool")


type Body = dict[str, Any]


def change_settings(
    environments: Environments, scope: Scope, plan: Plan, *, dry_run: bool
) -> tuple[Body, tuple[str, ...]]:
    """Carry out what is planned, or only say what would change; returns notes on rights, too."""
    environments.require_trusted()
    require_enabled(environments.loaded, CLIENT)
    done = carry_out(_file(environments, scope), plan, dry_run=dry_run)
    body = {
        **_about(scope, done.path),
        "changed": bool(done.steps) and not dry_run,
        "dry_run": dry_run,
        "steps": [_step(each) for each in done.steps],
        "faults": _faults(done.faults),
    }
    return body, done.notes


def show_settings(environments: Environments, scope: Scope) -> Body:
    """Return all that the file says."""
    about, document = _read(environments, scope)
    there = Path(about["path"]).exists()
    whole = shown("", file.read_all(document))
    return {
        **about,
        "there": there,
        "settings": whole,
        "faults": _faults(file.read_faults(document)),
    }


def list_variables(environments: Environments, scope: Scope) -> Body:
    """Return the variables; those that are `owned` change by switches."""
    about, document = _read(environments, scope)
    rows = [
        {"name": name, "value": shown(name, value), "owned": name in RESERVED_ENV}
        for name, value in read_variables(document).items()
    ]
    return {**about, "variables": rows}


def list_hooks(environments: Environments, scope: Scope) -> Body:
    """Return the hooks of all kinds."""
    about, document = _read(environments, scope)
    return {**about, "hooks": [_hook(each) for each in read_hooks(document)]}


def _hook(found: Found) -> Body:
    runs = next((found.hook[kind] for kind in _KINDS if kind in found.hook), "")
    return {
        "event": found.event,
        "matcher": found.matcher,
        "type": str(found.hook.get("type", "")),
        "runs": shown("", str(runs)),
        "timeout_s": found.hook.get("timeout"),
    }


def list_permissions(environments: Environments, scope: Scope, fence: Collection[str]) -> Body:
    """Return the rules by list, and which of a fence are missing."""
    about, document = _read(environments, scope)
    rules = read_rules(document)
    missing = [rule for rule in fence if rule not in rules["deny"]]
    told = {verdict: [*map(shown_text, each)] for verdict, each in rules.items()}
    return {**about, "permissions": told, "fenced": not missing, "not_fenced": missing}


def find_stronger(
    environments: Environments, scope: Scope, verdict: Verdict, rule: str
) -> list[Verdict]:
    """Return the lists on which a rule is, too, and that count before the one of a verdict."""
    rules = read_rules(_read(environments, scope)[1])
    order: tuple[Verdict, ...] = ("deny", "ask", "allow")
    return [each for each in order[: order.index(verdict)] if rule in rules[each]]


def list_plugins(environments: Environments, scope: Scope) -> Body:
    """Return the plugins that the file names."""
    about, document = _read(environments, scope)
    found = read_plugins(document).items()
    return {**about, "plugins": [{"name": name, "enabled": on is True} for name, on in found]}


def show_statusline(environments: Environments, scope: Scope) -> Body:
    """Return the command that makes the line below the prompt."""
    about, document = _read(environments, scope)
    command = read_statusline(document)
    return {**about, "command": None if command is None else shown_text(command)}


def _about(scope: Scope, path: Path) -> Body:
    """Return how each answer begins: whose file, and which."""
    return {"client": CLIENT, "scope": scope, "path": str(path)}


def _read(environments: Environments, scope: Scope) -> tuple[Body, Document]:
    found = _file(environments, scope)
    return _about(scope, found.path), found.read()


def _file(environments: Environments, scope: Scope) -> SettingsFile:
    return settings_file(
        place_of(environments.loaded, CLIENT),
        scope,
        environ=environments.loaded.environ,
        folder=Path.cwd(),
        locks=lock_folder(environments.loaded),
    )


def _step(step: Step) -> Body:
    value = None if step.value is ABSENT else shown(step.path[-1], step.value)
    return {"action": step.action, "member": show_path(step.path), "value": value}


def _faults(faults: tuple[Fault, ...]) -> list[Body]:
    """Return what Claude Code does not take: a member, or all of the file for its sake."""
    return [
        {"member": show_path(each.path), "must_be": each.must_be, "voids_file": each.voids_file}
        for each in faults
    ]
