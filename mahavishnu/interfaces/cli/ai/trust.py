"""`mahavishnu ai trust`: the same as `config trust`, where whoever switches looks for it."""

from pathlib import Path

import click

from mahavishnu.base.settings.trust import Trusted
from mahavishnu.base.settings.trust import trust as trust_settings
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@answers(lambda body: print_line(f"Trusted: {body.trusted}"))
def trust(folder: Path) -> Trusted:
    """Let the settings/ of FOLDER (here by default) name endpoints and keys; look into them first."""
    return Trusted(trusted=str(trust_settings(folder, load_quietly().locations)))
