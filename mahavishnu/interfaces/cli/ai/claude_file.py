"""What the commands for Claude Code's settings share: which file, how it is changed, what is printed."""

import json
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import click
from msgspec import Struct

from mahavishnu.ai.clients.claude_code.own_settings.file import Scope
from mahavishnu.ai.foreign_files.merge import Change
from mahavishnu.interfaces.cli.ai.options import dry_run_option, scope_option
from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import (
    ChangedSettings,
    FaultBody,
    StepBody,
    change_settings,
)
from mahavishnu.operations.ai.site import Environments

settings_scope_option = scope_option(
    "project: for you alone in this project, in .claude/settings.local.json."
)


def reads(
    read: Callable[[Environments, Scope], Struct], show: Callable[[Any], object]
) -> Callable[[Callable[[], None]], click.Command]:
    """Make the command that shows what is read of the settings file."""

    def decorate(command: Callable[[], None]) -> click.Command:
        @wraps(command)
        def run(scope: Scope) -> Struct:
            return read(Environments(load_quietly()), scope)

        name = command.__name__.rstrip("_")
        return click.command(name)(settings_scope_option(answers(show)(run)))

    return decorate


def changes(
    plan: Callable[..., list[Change]], *, notes: Callable[..., Iterable[str]] = lambda *_, **__: ()
) -> Callable[[Callable[[], None]], Callable[..., None]]:
    """
    Make a command that changes the settings file, and tells what it changed.

    `plan` gets the document and the command's words; `notes` are those on a change that was made, and get
    the words too.
    """

    def decorate(command: Callable[[], None]) -> Callable[..., None]:
        @wraps(command)
        def run(scope: Scope, dry_run: bool, **words: Any) -> ChangedSettings:
            done, rights = change_settings(
                Environments(load_quietly()), scope, partial(plan, **words), dry_run=dry_run
            )
            for each in (*rights, *(() if dry_run else notes(done, **words))):
                tell_note(each)
            return done

        return settings_scope_option(dry_run_option(answers(_show)(run)))

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
