"""`mahavishnu ai trust`: the same as `config trust`, where whoever switches looks for it."""

from pathlib import Path

import click

from mahavishnu.cli.options import json_option, load_quietly
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.settings.trust import trust as trust_settings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@json_option
def trust(folder: Path, as_json: bool) -> None:
    """Let the settings/ of FOLDER (here by default) name endpoints and keys; look into them first."""
    resolved = trust_settings(folder, load_quietly().locations)
    if as_json:
        print_json({"trusted": str(resolved)})
    else:
        print_line(f"Trusted: {resolved}")
