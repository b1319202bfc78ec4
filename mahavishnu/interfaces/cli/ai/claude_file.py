"""What the commands for Claude Code's settings share: which file, how it is changed, what is printed."""

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import (
    ChangedSettings,
    FaultBody,
    StepBody,
    change_settings,
)
from mahavishnu.operations.ai.site import Environments

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


def changes(
    *, notes: Callable[..., Iterable[str]] = lambda *_, **__: ()
) -> Callable[[Callable[..., Plan]], Callable[..., None]]:
    """
    Make a command of a function that returns a plan: it changes the settings file, and tells what it changed.

    `notes` are those on a change that was made; they get it with the command's words.
    """

    def decorate(command: Callable[..., Plan]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(scope: Scope, dry_run: bool, **words: Any) -> ChangedSettings:
            plan = command(**words)
            done, rights = change_settings(
                Environments(load_quietly()), scope, plan, dry_run=dry_run
            )
            for each in (*rights, *(() if dry_run else notes(done, **words))):
                tell_note(each)
            return done

        return scope_option(dry_run_option(answers(_show)(run)))

    return decorate


def _show(done: ChangedSettings) -> None:
    if not done.steps:
        print_line(f"Nothing to change: {done.path} says so already.")
    else:
        print_line(f"{'Would change' if done.dry_run else 'Changed'} {done.path}:")
        for step in done.steps:
            print_line(f"  {_tell_step(step)}")
    note_faults(done.path, done.faults)


def note_faults(path: str, faults: Iterable[FaultBody]) -> None:
    """Tell on stderr what Claude Code does not take."""
    for fault in faults:
        what = "the whole file" if fault.voids_file else "that entry"
        tell_note(f"Claude Code ignores {what}: in {path}, {fault.member} must be {fault.must_be}.")


def _tell_step(step: StepBody) -> str:
    if step.action == "remove":
        return f"{step.action} {step.member}"
    return f"{step.action} {step.member}: {text_of(step.value)}"


def text_of(value: Any) -> str:
    """Return a value for people."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
