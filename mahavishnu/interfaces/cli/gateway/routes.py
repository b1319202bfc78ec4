"""`mahavishnu gateway routes`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.gateway import GatewayRouteList, GatewayRoutes, find_routes


def _show(body: GatewayRouteList) -> None:
    print_table(
        ("client", "profile", "models", "directory", "state"),
        (
            (
                f"{route.client}{' (pinned)' if route.pinned else ''}" if place == 0 else "",
                link.profile, link.models, link.directory, link.state,
            )
            for route in body.routes
            for place, link in enumerate(route.chain)
        ),
        empty="No client goes through the gateway. To make one: mahavishnu ai switch-llm NAME --via gateway",
    )  # fmt: skip


@click.command()
@answers(_show)
def routes() -> GatewayRouteList:
    """Show where the requests of each client go, in order."""
    return find_routes(load_quietly(), GatewayRoutes())
