"""`mahavishnu service enable`."""

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import show_file
from mahavishnu.operations.service_bodies import ServiceFile
from mahavishnu.operations.services import enable_service


@click.command()
@click.argument("name")
@answers(show_file)
def enable(name: str) -> ServiceFile:
    """Let a service start with the daemon; starts nothing now."""
    return enable_service(load(), name, enabled=True)
