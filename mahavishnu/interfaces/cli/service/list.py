"""`mahavishnu service list`."""

import shlex

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.interfaces.services import ask_status
from mahavishnu.operations.service_bodies import Services, ServiceStatus


def _show(body: Services) -> None:
    print_table(
        ("name", "state", "starts", "after", "command"),
        (
            (
                each.name,
                each.state,
                "with the daemon" if each.enabled else "on request" if each.command else "",
                ", ".join(each.depends_on),
                shlex.join(each.command),
            )
            for each in body.services
        ),
    )


@click.command()
@answers(_show)
def list() -> Services:
    """List the services, and what each runs."""
    return ask_status(load(), ServiceStatus())
