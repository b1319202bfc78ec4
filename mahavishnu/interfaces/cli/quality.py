"""`mahavishnu quality`."""

from pathlib import Path

import click

from mahavishnu.interfaces.cli.asking import SOURCE
from mahavishnu.interfaces.cli.folders import folder_argument, show_degraded, show_quality
from mahavishnu.interfaces.cli.options import answers, opened_app
from mahavishnu.operations.checkpoints import FolderQuality, GetQuality, get_quality
from mahavishnu.operations.operation import Call


def _show(quality: FolderQuality) -> None:
    show_quality(quality)
    show_degraded(quality.degraded)


@click.command()
@folder_argument
@answers(_show, code=lambda quality: 5 if quality.score is None else 0)
async def quality(folder: Path) -> FolderQuality:
    """
    Show the quality of DIR, this folder by default, as Session-Buddy judges it; changes nothing.

    Exit code 5 where there is no score.
    """
    request = GetQuality(working_directory=str(folder.absolute()))
    request.check()
    async with opened_app(required=False, drain=False, reach=False) as app:
        return await get_quality(Call(app, SOURCE), request)
