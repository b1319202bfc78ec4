"""`mahavishnu ai`: bind, unbind."""

from pathlib import Path

import click

from mahavishnu.ai.bindings.bind import Wanted, unbind_all
from mahavishnu.ai.bindings.bind import bind as bind_directory
from mahavishnu.ai.bindings.bind import unbind as unbind_one
from mahavishnu.ai.bindings.profiles import expected_of
from mahavishnu.ai.bindings.settings import PROJECT_CLIENT
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.bindings import guard_program
from mahavishnu.operations.ai.site import Environments, open_site

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
    environments = Environments(load_quietly())
    found = environments.find_wanted(profile)
    site = environments.site
    wanted = Wanted(
        profile=found,
        expected=expected_of(found, helper=site.helper),
        guard=guard_program(),
        home=site.environ.get("MAHAVISHNU_HOME", ""),
        overwrite=overwrite,
    )
    done = bind_directory(site, directory, wanted)
    environments.accept(found)
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
        print_line(f"{CLIENTS[PROJECT_CLIENT].title} uses it there: {row.settings}")
    for name in done.guarded:
        if not (name == PROJECT_CLIENT and row.settings) and name in row.clients:
            print_line(f"{name}: mahavishnu ai run --bound -- {CLIENTS[name].program}")
    for text in done.notes:
        tell_note(text)


@click.command()
@_DIRECTORY
@click.option("--all", "whole", is_flag=True, help="All directories, even unreadable ones.")
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def unbind(directory: Path, whole: bool, overwrite: bool, as_json: bool) -> None:
    """End the binding of DIRECTORY (here by default), and restore its settings."""

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
