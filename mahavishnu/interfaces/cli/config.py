"""`mahavishnu config`: show, validate, path, trust."""

import sys
from pathlib import Path

import click

from mahavishnu.base.settings.sources import Loaded, keys_in_force, lookup, shown_value
from mahavishnu.base.settings.trust import trust
from mahavishnu.embedding.addresses import require_openai_url, resolve_ollama_url
from mahavishnu.interfaces.cli.options import json_option, load, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line, print_table
from mahavishnu.operations.ai.clients import check_environments
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.operations.ai.secret_settings import require_declared
from mahavishnu.operations.ai.team_profiles import read_shared


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@json_option
def show(origin: bool, as_json: bool) -> None:
    """Print every setting with its value; secrets are masked."""
    loaded = load()
    rows = []
    for key in keys_in_force(loaded):
        setting = loaded.origins.get(key)
        rows.append(
            (
                key,
                shown_value(key, lookup(loaded.settings, key)),
                setting.origin if setting else "default",
            )
        )
    if as_json:
        print_json(
            {"settings": {key: {"value": value, "origin": place} for key, value, place in rows}}
        )
        return
    columns = ("setting", "value", "origin") if origin else ("setting", "value")
    print_table(
        columns,
        ([str("" if cell is None else cell) for cell in row[: len(columns)]] for row in rows),
    )


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
        print_json({"valid": not own.broken, "notices": notices, "unusable": own.unusable})
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


@config.command()
@json_option
def path(as_json: bool) -> None:
    """Print where settings, data and state live."""
    places = load().locations
    named = {
        "settings": str(places.user_settings),
        "data": str(places.data),
        "state": str(places.state),
    }
    if as_json:
        print_json(named)
        return
    for name, place in named.items():
        print_line(f"{name}: {place}")


@config.command("trust")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@json_option
def trust_folder(folder: Path, as_json: bool) -> None:
    """Use the settings/ of FOLDER (here by default); only for repositories you trust."""
    resolved = trust(folder, load_quietly().locations)
    if as_json:
        print_json({"trusted": str(resolved)})
    else:
        print_line(f"Trusted: {resolved}")
