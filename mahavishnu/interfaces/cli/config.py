"""`mahavishnu config`: show, validate, path, trust."""

import sys
from pathlib import Path

import click
import msgspec

from mahavishnu.base.settings.shown import Places, ShownSettings, shown_settings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.settings.trust import Trusted, trust
from mahavishnu.embedding.addresses import require_openai_url, resolve_ollama_url
from mahavishnu.interfaces.cli.options import answers, json_option, load, load_quietly, parameter
from mahavishnu.interfaces.cli.render import print_json, print_line, print_table
from mahavishnu.operations.ai.clients import check_environments
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.operations.ai.results import SettingsCheck
from mahavishnu.operations.ai.secret_settings import require_declared
from mahavishnu.operations.ai.team_profiles import read_shared


@click.group()
def config() -> None:
    """Show and check the settings."""


def _show_values(body: ShownSettings) -> None:
    columns = ("setting", "value", "origin") if parameter("origin") else ("setting", "value")
    rows = (
        (key, "" if each.value is None else str(each.value), each.origin)[: len(columns)]
        for key, each in body.settings.items()
    )
    print_table(columns, rows)


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@answers(_show_values)
def show(origin: bool) -> ShownSettings:  # noqa: ARG001 - `_show_values` asks for it
    """Print every setting with its value; secrets are masked."""
    return shown_settings(load())


@config.command()
@json_option
def validate(as_json: bool) -> None:
    """Check all settings and profiles; names what replaced and unknown keys should be."""
    loaded = load_quietly()
    _check_addresses(loaded)
    require_declared(loaded)
    notices = [*loaded.notices, *check_environments(loaded)]
    own, shared = read_own(loaded), read_shared(loaded)
    if as_json:
        print_json(SettingsCheck(valid=not own.broken, notices=notices, unusable=own.unusable))
    else:
        for line in (*notices, *own.reasons):
            print_line(line)
        if own.broken:
            print_line(
                f"Profiles that cannot be used: {len(own.broken)}; the other settings are valid."
            )
        elif shared.broken or shared.unread:
            print_line("Your settings are valid, but not all that your team shares can be used.")
        else:
            print_line("The settings are valid.")
    sys.exit(max((each.exit_code for each in own.broken.values()), default=0))


def _check_addresses(loaded: Loaded) -> None:
    """Raise what a command would raise that uses them; nothing is asked on the network."""
    from mahavishnu.app import external_target  # noqa: PLC0415 - loads the driver

    external_target(loaded.settings.postgresql)
    embedding = loaded.settings.embedding
    if embedding.provider == "openai":
        require_openai_url(embedding.openai_base_url)
    if embedding.provider == "ollama" or (
        embedding.provider == "auto" and embedding.ollama_base_url
    ):
        resolve_ollama_url(embedding.ollama_base_url, loaded.environ)


def _show_places(body: Places) -> None:
    for name, place in msgspec.structs.asdict(body).items():
        print_line(f"{name}: {place}")


@config.command()
@answers(_show_places)
def path() -> Places:
    """Print where settings, data and state live."""
    places = load().locations
    return Places(str(places.user_settings), str(places.data), str(places.state))


@config.command("trust")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@answers(lambda body: print_line(f"Trusted: {body.trusted}"))
def trust_folder(folder: Path) -> Trusted:
    """Use the settings/ of FOLDER (here by default); only for repositories you trust."""
    return Trusted(str(trust(folder, load_quietly().locations)))
