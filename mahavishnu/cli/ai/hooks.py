"""`mahavishnu ai hooks`: add, remove, list."""

from typing import Any

import click

from mahavishnu.ai_env.claude_settings.hooks import (
    Found,
    Hook,
    add_hook,
    read_hooks,
    remove_hook,
)
from mahavishnu.ai_env.showing import is_secret, shown
from mahavishnu.cli.ai.claude_file import (
    change_file,
    describe_file,
    dry_run_option,
    note,
    open_file,
    scope_option,
)
from mahavishnu.cli.lazy import LaterGroup
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line, print_table

_KINDS = ("command", "prompt", "url", "tool")


@click.group(cls=LaterGroup, later=("install",))
def hooks() -> None:
    """Commands that Claude Code runs at events."""


@hooks.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only where this matches, as in Edit|Write.")
@click.option(
    "--timeout", type=float, metavar="S", help="Seconds it may take; Claude Code's own by default."
)
@scope_option
@dry_run_option
@json_option
def add(
    event: str,
    command: str,
    matcher: str | None,
    timeout: float | None,
    scope: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run COMMAND, a line for a shell, at EVENT; once, however often it is added."""
    seconds = int(timeout) if timeout is not None and timeout.is_integer() else timeout
    wanted = Hook(event, command, matcher, seconds)
    done = change_file(
        scope, lambda document: add_hook(document, wanted), dry_run=dry_run, as_json=as_json
    )
    if is_secret("", command) and not dry_run:
        note(
            f"The command seems to hold a key, which {done.path} now has in plain text. Let it read the key"
            " from the environment or a file of its own."
        )


@hooks.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only under this one; under any by default.")
@scope_option
@dry_run_option
@json_option
def remove(
    event: str, command: str, matcher: str | None, scope: str, dry_run: bool, as_json: bool
) -> None:
    """Stop running COMMAND at EVENT."""
    change_file(
        scope,
        lambda document: remove_hook(document, event, command, matcher=matcher),
        dry_run=dry_run,
        as_json=as_json,
    )


@hooks.command("list")
@scope_option
@json_option
def list_(scope: str, as_json: bool) -> None:
    """Print the hooks of all kinds."""
    file = open_file(scope)
    rows = [_describe(found) for found in read_hooks(file.read())]
    if as_json:
        print_json({**describe_file(scope, file.path), "hooks": rows})
        return
    if not rows:
        print_line(f"{file.path} has no hooks.")
        return
    print_table(
        ("event", "matcher", "type", "runs", "timeout"),
        (
            (
                row["event"],
                row["matcher"] or "",
                row["type"],
                row["runs"],
                _seconds(row["timeout_s"]),
            )
            for row in rows
        ),
    )


def _describe(found: Found) -> dict[str, Any]:
    runs = next((found.hook[kind] for kind in _KINDS if kind in found.hook), "")
    return {
        "event": found.event,
        "matcher": found.matcher,
        "type": str(found.hook.get("type", "")),
        "runs": shown("", str(runs)),
        "timeout_s": found.hook.get("timeout"),
    }


def _seconds(timeout: object) -> str:
    return "" if timeout is None else f"{timeout} s"
