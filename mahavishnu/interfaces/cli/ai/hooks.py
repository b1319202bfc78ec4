"""`mahavishnu ai hooks`: add, remove, list."""

from collections.abc import Iterator

import click

from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.ai.clients.claude_code.own_settings.hooks import Hook, add_hook, remove_hook
from mahavishnu.ai.secrets.showing import is_secret
from mahavishnu.interfaces.cli.ai.claude_file import changes, scope_option
from mahavishnu.interfaces.cli.lazy import LaterGroup
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.claude_settings import Body, list_hooks
from mahavishnu.operations.ai.site import Environments


@click.group(cls=LaterGroup, later=("install",))
def hooks() -> None:
    """Commands that Claude Code runs at events."""


def _note_keys(done: Body, command: str, **_: object) -> Iterator[str]:
    if is_secret("", command):
        yield (
            f"The command seems to hold a key, which {done['path']} now has in plain text. Let it read the key"
            " from the environment or a file of its own."
        )


@hooks.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only where this matches, as in Edit|Write.")
@click.option(
    "--timeout", type=float, metavar="S", help="Seconds it may take; Claude Code's own by default."
)
@changes(notes=_note_keys)
def add(event: str, command: str, matcher: str | None, timeout: float | None) -> Plan:
    """Run COMMAND, a line for a shell, at EVENT; once, however often it is added."""
    seconds = int(timeout) if timeout is not None and timeout.is_integer() else timeout
    wanted = Hook(event, command, matcher, seconds)
    return lambda document: add_hook(document, wanted)


@hooks.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only under this one; under any by default.")
@changes()
def remove(event: str, command: str, matcher: str | None) -> Plan:
    """Stop running COMMAND at EVENT."""
    return lambda document: remove_hook(document, event, command, matcher=matcher)


def _show(body: Body) -> None:
    if not body["hooks"]:
        print_line(f"{body['path']} has no hooks.")
        return
    print_table(
        ("event", "matcher", "type", "runs", "timeout"),
        (
            (
                each["event"],
                each["matcher"] or "",
                each["type"],
                each["runs"],
                "" if each["timeout_s"] is None else f"{each['timeout_s']} s",
            )
            for each in body["hooks"]
        ),
    )


@hooks.command("list")
@scope_option
@answers(_show)
def list_(scope: Scope) -> Body:
    """Print the hooks of all kinds."""
    return list_hooks(Environments(load_quietly()), scope)
