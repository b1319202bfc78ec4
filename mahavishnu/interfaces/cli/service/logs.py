"""`mahavishnu service logs`."""

import time
from pathlib import Path

import click

from mahavishnu.base.masking import mask_secrets
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.interfaces.services import ask_log
from mahavishnu.operations.service_bodies import ServiceLines, ServiceLog

LOOK_EVERY_S = 0.5


def _show(body: ServiceLines) -> None:
    for line in body.lines:
        print_line(line)


def _follow(path: Path) -> None:
    """Print what is added to a log, until Ctrl-C; a new file is read from its beginning."""
    place = path.stat().st_size if path.exists() else 0
    while True:
        size = path.stat().st_size if path.exists() else 0
        place = 0 if size < place else place
        if size > place:
            with path.open("rb") as stream:
                stream.seek(place)
                text = stream.read(size - place)
            whole = text.rpartition(b"\n")[0]
            place += len(whole) + 1 if whole or text.startswith(b"\n") else 0
            for line in whole.decode("utf-8", "replace").splitlines():
                print_line(mask_secrets(line))
        time.sleep(LOOK_EVERY_S)


@click.command()
@click.argument("name")
@click.option(
    "--lines",
    default=100,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Most lines, the last ones.",
)
@click.option("--follow", is_flag=True, help="Go on printing new lines.")
@answers(_show)
def logs(name: str, lines: int, *, follow: bool) -> ServiceLines:
    """Show what a service printed; what looks like a key is hidden."""
    body = ask_log(load(), ServiceLog(name=name, lines=lines))
    if follow:
        _show(body)
        _follow(Path(body.path))
    return body
