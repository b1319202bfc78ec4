"""`mahavishnu ai profile import`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_imports import (
    SOURCES,
    ImportedProfiles,
    Wishes,
    import_profiles,
)


def _show(report: ImportedProfiles) -> None:
    for name in report.imported:
        key = f"; its key is at {report.keys[name]}" if name in report.keys else ""
        print_line(f"Imported: {name}, at {', '.join(report.addresses[name])}{key}")
    for name in report.unchanged:
        print_line(f"As it was: {name}")
    for passed in report.passed_over:
        print_line(f"Passed over: {passed.label}: {passed.reason}")
    for note in report.notes:
        print_line(note)


@click.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--from", "source", type=click.Choice(SOURCES), help="Import from this program.")
@click.option(
    "--path", type=click.Path(path_type=Path), help="Its file, if that is in another place."
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only the profile of this name; repeatable."
)
@click.option("--name", metavar="NAME", help="Name for a single profile.")
@click.option(
    "--key", metavar="REFERENCE", help="Where the key of the one profile is; none is moved."
)
@click.option(
    "--to", "destination", metavar="keyring:SERVICE[/NAME]", help="Where keys in plain text go."
)
@click.option("--yes", is_flag=True, help="Move keys without asking.")
@click.option("--replace", is_flag=True, help="Replace profiles and keys of the same name.")
@answers(_show)
def import_(file: Path | None, source: str | None, **wished: Any) -> ImportedProfiles:
    """
    Import profiles from FILE, an export, or from another program.

    A key in plain text goes to a keyring, if you agree; it is taken out of Claude Code's
    settings once the keyring has given it back. The database of cc-switch is not changed.
    """
    wishes = Wishes(**wished, ask=_ask if sys.stdin.isatty() else None)
    return import_profiles(load_quietly(), file, source, wishes)


def _ask(moves: Mapping[str, Reference]) -> bool:
    for name, reference in moves.items():
        click.echo(f"The key of {name} goes to {reference}", err=True)
    return click.confirm("Move what is in plain text there?", err=True)
