"""How a folder is named, and its quality shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.bodies import DegradedBody
    from mahavishnu.operations.checkpoints import FolderQuality

folder_argument = click.argument(
    "folder", default=".", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path)
)


def show_quality(quality: "FolderQuality") -> None:
    """Print the score and its parts, or why there is none."""
    if quality.score is not None:
        print_line(f"Quality of {quality.working_directory}: {quality.score} of 100")
    for each in quality.parts:
        print_line(f"  {each.name}: {each.score:g} of {each.of}")


def show_degraded(degraded: "Sequence[DegradedBody]") -> None:
    """Print what is missing."""
    for each in degraded:
        score = "No quality score. " if each.part == "session_buddy" else f"{each.part}: "
        print_line(f"{score}{each.reason}")
