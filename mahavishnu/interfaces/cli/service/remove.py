"""`mahavishnu service remove`."""

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import show_file
from mahavishnu.operations.service_bodies import ServiceFile
from mahavishnu.operations.services import remove_service


@click.command()
@click.argument("name")
@answers(show_file)
def remove(name: str) -> ServiceFile:
    """Remove a service that `service add` wrote; those in your settings are yours to remove."""
    return remove_service(load(), name)
