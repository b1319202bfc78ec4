"""`mahavishnu ai run`."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

import click

from mahavishnu.ai.clients.places import search_path
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.launch import Launch, plan_launch, recognise
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import NotFound, Unavailable, UsageError
from mahavishnu.base.masking import Secret
from mahavishnu.interfaces.cli.options import load
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.bindings import find_bound, require_free
from mahavishnu.operations.ai.clients import require_trusted
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.ai.team_profiles import accept, require_accepted


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("profile", required=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- PROGRAM ...")
@click.option("--bound", is_flag=True, help="Use the profile that this directory is bound to.")
@click.option(
    "--client",
    type=click.Choice(list(CLIENTS)),
    help="Which client the program is, if not by name.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be started; start nothing.")
@click.option(
    "--json", "as_json", is_flag=True, help="As --dry-run, in JSON (schema 1): nothing is started."
)
def run(
    profile: str | None,
    words: tuple[str, ...],
    bound: bool,
    client: ClientName | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Start PROGRAM, a client, on PROFILE: this session alone, and no file is changed.

    For example: mahavishnu ai run deepseek -- claude --continue; in a directory that is bound to a profile,
    where no other is used: mahavishnu ai run --bound -- claude

    The program takes the place of this one. Variables of other providers are taken out of its
    environment; the key is not among its words.
    """
    from mahavishnu.ai.secrets.resolve import resolve  # noqa: PLC0415 - slow

    if bound and profile is not None:
        words, profile = (profile, *words), None
    words = words[words[:1] == ("--",) :]
    if not words or (profile is None and not bound):
        raise UsageError(
            "No program is named.", hint="For example: -- claude", code="ai.no_program"
        )
    loaded = load()
    require_trusted(loaded)
    site = open_site(loaded)
    name = _bound_name(site) if profile is None else profile
    require_free(site, name)

    def key_of(reference: Reference) -> Secret:
        return resolve(
            reference, environ=loaded.environ, identity=site.identity, stores=site.stores
        )

    chosen = find_profile(loaded, name)
    require_accepted(loaded, chosen)
    launch = plan_launch(
        chosen,
        client or recognise(words[0]),
        words,
        environ={**loaded.environ, "PATH": search_path(loaded.environ)},
        folder=site.folder,
        helper=site.helper,
        resolve=key_of,
    )
    launch = _with_own_path(launch, loaded.environ)
    if dry_run or as_json:
        _print_launch(launch, as_json=as_json)
        return
    accept(loaded, chosen)
    _become(launch)


def _bound_name(site: Site) -> str:
    row = find_bound(site)
    if row is None:
        raise NotFound(
            f"{site.folder} is not bound to a profile.",
            hint="Name one: mahavishnu ai run PROFILE -- PROGRAM; or bind it: mahavishnu ai bind PROFILE",
            code="ai.not_bound",
        )
    return row.profile


def _with_own_path(launch: Launch, environ: Mapping[str, str]) -> Launch:
    """Give the program the user's PATH as it is; only the search for it passes over what is not whole."""
    kept = {name: value for name, value in launch.environ.items() if name != "PATH"}
    own = {name: value for name, value in environ.items() if name == "PATH"}
    return replace(launch, environ=kept | own)


def _print_launch(launch: Launch, *, as_json: bool) -> None:
    if as_json:
        about = {"dry_run": True, "program": str(launch.program), "words": launch.words}
        print_json({**about, "taken_out": launch.taken_out})
        return
    import shlex  # noqa: PLC0415 - only here

    print_line(shlex.join((str(launch.program), *launch.words[1:])))
    for name in launch.taken_out:
        print_line(f"without {name}")


def _become(launch: Launch) -> None:
    """Let the program take the place of this process, with its terminal and its pid."""
    sys.stdout.flush()
    try:
        os.execve(launch.program, launch.words, launch.environ)  # noqa: S606 - that is its purpose
    except OSError as error:
        raise Unavailable(
            f"{launch.program} cannot be started ({error.strerror}).",
            hint="Start it without mahavishnu to see why.",
            code="ai.not_started",
        ) from error
