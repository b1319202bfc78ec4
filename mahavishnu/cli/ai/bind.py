"""`mahavishnu ai`: bind, unbind, bindings."""

import sys
from pathlib import Path
from typing import Any

import click

from mahavishnu.cli.options import json_option, load, load_quietly
from mahavishnu.cli.render import print_json, print_line, print_table, printable
from mahavishnu.errors import UsageError

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path), default=Path())


@click.command()
@click.argument("profile")
@_DIRECTORY
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def bind(profile: str, directory: Path, overwrite: bool, as_json: bool) -> None:
    """
    Let sessions that are started in DIRECTORY (here by default) use PROFILE and no other.

    Below it too, by links and in its worktrees of git. Each client is given a guard in its settings, which
    stops a session there that uses something else.
    """
    from mahavishnu.ai_env.directories.bind import Wanted  # noqa: PLC0415 - after option errors
    from mahavishnu.ai_env.directories.bind import bind as bind_directory  # noqa: PLC0415
    from mahavishnu.ai_env.directories.expected import expected_of  # noqa: PLC0415
    from mahavishnu.environments.bindings import guard_program  # noqa: PLC0415
    from mahavishnu.environments.site import find_wanted, open_site  # noqa: PLC0415
    from mahavishnu.environments.team_profiles import accept  # noqa: PLC0415

    loaded = load_quietly()
    found = find_wanted(loaded, profile)
    site = open_site(loaded)
    wanted = Wanted(
        profile=found,
        expected=expected_of(found, helper=site.helper),
        guard=guard_program(),
        home=loaded.environ.get("MAHAVISHNU_HOME", ""),
        overwrite=overwrite,
    )
    done = bind_directory(site, directory, wanted)
    accept(loaded, found)
    row = done.binding
    if as_json:
        print_json(
            {
                "directory": row.folder.path,
                "profile": row.profile,
                "settings": row.settings or None,
                "guarded": done.guarded,
                "notes": done.notes,
            }
        )
        return
    print_line(f"{row.folder.path} is bound to {row.profile}.")
    if row.settings:
        print_line(f"Claude Code uses it there: {row.settings}")
    for name in done.guarded:
        if not (name == "claude-code" and row.settings) and name in row.clients:
            print_line(f"{name}: mahavishnu ai run --bound -- {_program(name)}")
    for text in done.notes:
        sys.stderr.write(f"Note: {printable(text)}\n")


@click.command()
@_DIRECTORY
@click.option("--all", "whole", is_flag=True, help="All directories, even unreadable ones.")
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def unbind(directory: Path, whole: bool, overwrite: bool, as_json: bool) -> None:
    """End the binding of DIRECTORY (here by default), and restore its settings."""
    from mahavishnu.ai_env.directories.bind import unbind as unbind_one  # noqa: PLC0415
    from mahavishnu.ai_env.directories.bind import unbind_all  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    if whole and directory != Path():
        raise UsageError("--all and a directory are two things.", code="ai.unbind_all")
    site = open_site(load_quietly())
    rows = unbind_all(site, overwrite=overwrite) if whole else ()
    rows = rows if whole else (unbind_one(site, directory, overwrite=overwrite),)
    if as_json:
        print_json({"unbound": [each.folder.path for each in rows]})
        return
    for each in rows:
        print_line(f"{each.folder.path} is no longer bound to {each.profile}.")
    if not rows:
        print_line("Nothing is bound, and no client runs the guard.")


@click.command()
@json_option
def bindings(as_json: bool) -> None:
    """List the bound directories, and whether sessions there can go on."""
    from mahavishnu.ai_env.directories.known import load_bindings  # noqa: PLC0415
    from mahavishnu.ai_env.directories.listing import Listed, list_bindings  # noqa: PLC0415
    from mahavishnu.environments.bindings import current_of, guard_program  # noqa: PLC0415
    from mahavishnu.environments.profiles import known_profiles  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    loaded = load()
    site = open_site(loaded)
    known = load_bindings(site)
    if known.damaged:
        sys.stderr.write("Note: the list was damaged, and its copy is taken.\n")
    listed = list_bindings(
        site,
        known.rows,
        guard=guard_program(),
        current=lambda row: current_of(row, loaded.environ),
        profiles=known_profiles(loaded),
    )

    def describe(each: Listed) -> dict[str, Any]:
        row = each.binding
        return {
            "directory": row.folder.path,
            "profile": row.profile,
            "state": each.state,
            "clients": list(row.clients),
            "guarded": each.guarded,
            "settings": row.settings or None,
            "bound_at": row.at,
            "notes": each.notes,
        }

    if as_json:
        print_json({"bindings": [describe(each) for each in listed], "damaged": known.damaged})
        return
    if not listed:
        print_line("No directory is bound to a profile.")
        return
    print_table(
        ("directory", "profile", "state", "guarded"),
        (
            (each.binding.folder.path, each.binding.profile, each.state, ", ".join(each.guarded))
            for each in listed
        ),
    )
    for each in listed:
        for text in each.notes:
            print_line(f"{each.binding.folder.path}: {text}")


def _program(name: str) -> str:
    from mahavishnu.ai_env.clients.table import CLIENTS  # noqa: PLC0415 - slow

    return next(each.program for known, each in CLIENTS.items() if known == name)
