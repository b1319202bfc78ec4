"""`mahavishnu ai profile export|import`: profiles from and for other machines, people and programs."""

from pathlib import Path
from typing import Any

import click

from mahavishnu.ai.profiles.profile import Entry, entry_of
from mahavishnu.ai.profiles.profile_files import folder_of, render, values_of, write_file
from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.ai.profile_foreign import (
    SOURCES,
    Report,
    Wishes,
    addresses_of,
    take_over,
)
from mahavishnu.interfaces.cli.ai.profile_store import check_import, turn
from mahavishnu.interfaces.cli.ai.telling import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.clients import require_trusted
from mahavishnu.operations.ai.profile_entries import entry_of_values, read_export
from mahavishnu.operations.ai.profiles import find_profile, own_profiles
from mahavishnu.operations.ai.team_profiles import accept


def _show_exported(body: dict[str, Any]) -> None:
    if said := body["profiles"]:
        print_line(render({"ai_environments": {"llm_profiles": said}}).decode().rstrip("\n"))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answers(_show_exported)
def export(names: tuple[str, ...]) -> dict[str, Any]:
    """
    Print profiles as settings: your own, or those named. They hold references, no keys.

    The text can go into a mahavishnu.yaml, and `mahavishnu ai profile import FILE` reads it.
    """
    loaded = load_quietly()
    tell_profiles(loaded)
    found = [find_profile(loaded, name) for name in names] or own_profiles(loaded).values()
    return {"profiles": {each.name: values_of(entry_of(each)) for each in found}}


def _show_accepted(body: dict[str, Any]) -> None:
    print_line(
        f"Accepted: {body['accepted']} takes {body['key']} to {', '.join(body['addresses'])}"
    )


@click.command("accept")
@click.argument("name")
@answers(_show_accepted)
def accept_(name: str) -> dict[str, Any]:
    """Accept the shared profile NAME as it is now, after its key or address changed."""
    loaded = load_quietly()
    profile = find_profile(loaded, name)
    if not accept(loaded, profile):
        raise UsageError(
            f"The profile {name} is not shared.",
            hint="Your own profiles and those that are shipped need no acceptance.",
            code="ai.not_shared",
        )
    addresses = sorted(set(profile.endpoints.values()))
    return {"accepted": name, "key": str(profile.key), "addresses": addresses}


def _show_report(report: Report) -> None:
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
    "--to",
    "destination",
    metavar="keyring:SERVICE[/NAME]",
    help="Where keys in plain text go.",
)
@click.option("--yes", is_flag=True, help="Move keys without asking.")
@click.option("--replace", is_flag=True, help="Replace profiles and keys of the same name.")
@answers(_show_report)
def import_(file: Path | None, source: str | None, **wished: Any) -> Report:
    """
    Import profiles from FILE, an export, or from another program.

    A key in plain text goes to a keyring, if you agree; it is taken out of Claude Code's
    settings once the keyring has given it back. The database of cc-switch is not changed.
    """
    loaded = load_quietly()
    require_trusted(loaded)
    if (file is None) == (source is None):
        raise UsageError(
            "Name either a file, or a program with --from.",
            hint=f"Programs: {', '.join(SOURCES)}.",
            code="ai.import_source",
        )
    wishes = Wishes(**wished)
    with turn(loaded):
        return take_over(loaded, source, wishes) if source else _import_file(loaded, file, wishes)


def _import_file(loaded: Loaded, file: Path | None, wishes: Wishes) -> Report:
    assert file is not None
    wanted = {
        name: entry
        for name, entry in _read_export(file).items()
        if not wishes.only or name in wishes.only
    }
    new = check_import(loaded, wanted, replace=wishes.replace)
    for name in new:
        write_file(folder_of(loaded.locations), name, wanted[name])
    unchanged = tuple(name for name in wanted if name not in new)
    return Report(new, unchanged, addresses_of(loaded, wanted, new))


def _read_export(file: Path) -> dict[str, Entry]:
    """Return the entries of an export by name."""
    return {
        name: entry_of_values(name, said, origin=f"{file}")
        for name, said in read_export(file).items()
    }
