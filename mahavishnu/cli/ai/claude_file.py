"""What the commands for Claude Code's settings share: which file, how it is changed, what is printed."""

import json
import sys
from pathlib import Path
from typing import Any, cast

import click

from mahavishnu.ai_env.claude_settings.file import (
    CLIENT,
    Done,
    Plan,
    Scope,
    Step,
    carry_out,
    settings_file,
)
from mahavishnu.ai_env.clients.claude_schema import Fault
from mahavishnu.ai_env.documents import ABSENT
from mahavishnu.ai_env.documents.port import show_path
from mahavishnu.ai_env.files import SettingsFile
from mahavishnu.ai_env.showing import shown
from mahavishnu.cli.ai.places import place_of, require_enabled
from mahavishnu.cli.options import load_quietly
from mahavishnu.cli.render import print_json, print_line, printable
from mahavishnu.environments.clients import lock_folder, require_trusted
from mahavishnu.settings.sources import Loaded

scope_option = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="project: for you alone in this project, in .claude/settings.local.json.",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would change; write nothing."
)


def open_file(scope: str) -> SettingsFile:
    """Return the settings file of Claude Code that is meant, to be read."""
    return _open(load_quietly(), scope)


def change_file(scope: str, plan: Plan, *, dry_run: bool, as_json: bool) -> Done:
    """Carry out what a command plans, and tell it; what may be a key is hidden."""
    loaded = load_quietly()
    require_trusted(loaded)
    require_enabled(loaded, CLIENT)
    done = carry_out(_open(loaded, scope), plan, dry_run=dry_run)
    for each in done.notes:
        note(each)
    if as_json:
        print_json(
            {
                **describe_file(scope, done.path),
                "changed": bool(done.steps) and not dry_run,
                "dry_run": dry_run,
                "steps": [_describe_step(step) for step in done.steps],
                "faults": describe_faults(done.faults),
            }
        )
        return done
    if not done.steps:
        print_line(f"Nothing to change: {done.path} says so already.")
    else:
        print_line(f"{'Would change' if dry_run else 'Changed'} {done.path}:")
        for step in done.steps:
            print_line(f"  {_tell_step(step)}")
    note_faults(done.path, done.faults)
    return done


def describe_file(scope: str, path: Path) -> dict[str, Any]:
    """Return how each answer begins: whose file, and which."""
    return {"client": CLIENT, "scope": scope, "path": str(path)}


def describe_faults(faults: tuple[Fault, ...]) -> list[dict[str, Any]]:
    """Return what Claude Code does not take, for programs."""
    return [
        {"member": show_path(each.path), "must_be": each.must_be, "voids_file": each.voids_file}
        for each in faults
    ]


def note_faults(path: Path, faults: tuple[Fault, ...]) -> None:
    """Tell on stderr what Claude Code does not take."""
    for fault in faults:
        what = "the whole file" if fault.voids_file else "that entry"
        note(
            f"Claude Code ignores {what}: in {path}, {show_path(fault.path)} must be {fault.must_be}."
        )


def note(text: str) -> None:
    """Tell what the user should know beside the result."""
    sys.stderr.write(f"Note: {printable(text)}\n")


def _open(loaded: Loaded, scope: str) -> SettingsFile:
    return settings_file(
        place_of(loaded, CLIENT),
        cast(Scope, scope),
        environ=loaded.environ,
        folder=Path.cwd(),
        locks=lock_folder(loaded),
    )


def _describe_step(step: Step) -> dict[str, Any]:
    value = None if step.value is ABSENT else shown(step.path[-1], step.value)
    return {"action": step.action, "member": show_path(step.path), "value": value}


def _tell_step(step: Step) -> str:
    if step.value is ABSENT:
        return f"{step.action} {show_path(step.path)}"
    value = shown(step.path[-1], step.value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{step.action} {show_path(step.path)}: {text}"
