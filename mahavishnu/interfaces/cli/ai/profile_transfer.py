"""`mahavishnu ai profile export|import|accept`: profiles from and for other machines, people and programs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mahavishnu.ai.profiles.profile_files import render
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.interfaces.cli.ai.telling import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import (
    AcceptedProfile,
    ExportedProfiles,
    accept_profile,
    export_profiles,
)
from mahavishnu.operations.ai.profile_imports import (
    SOURCES,
    ImportedProfiles,
    Wishes,
    import_profiles,
)


def _show_exported(body: ExportedProfiles) -> None:
    if said := body.profiles:
        print_line(render({"ai_environments": {"llm_profiles": said}}).decode().rstrip("\n"))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answers(_show_exported)
def export(names: tuple[str, ...]) -> ExportedProfiles:
    """
    Print profiles as settings: your own, or those named. They hold references, no keys.

    The text can go into a mahavishnu.yaml, and `mahavishnu ai profile import FILE` reads it.
    """
    loaded = load_quietly()
    tell_profiles(loaded)
    return export_profiles(loaded, names)


def _show_accepted(body: AcceptedProfile) -> None:
    print_line(f"Accepted: {body.accepted} takes {body.key} to {', '.join(body.addresses)}")


@click.command("accept")
@click.argument("name")
@answers(_show_accepted)
def accept_(name: str) -> AcceptedProfile:
    """Accept the shared profile NAME as it is now, after its key or address changed."""
    return accept_profile(load_quietly(), name)


def _show_report(report: ImportedProfiles) -> None:
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
@answers(_show_report)
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
