"""`mahavishnu gateway log`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import local_time, print_table
from mahavishnu.memory.checks import check_limit
from mahavishnu.operations.ai.gateway import GatewayLog, GatewayRequests, find_log


def _show(body: GatewayRequests) -> None:
    print_table(
        ("when", "client", "profile", "model", "status", "cause", "first ms", "total ms", "in", "out", "moved from"),
        (
            (
                local_time(each.at), each.client, each.profile, each.sent_model, str(each.status or ""), each.cause,
                "" if each.first_ms is None else f"{each.first_ms:,.0f}", f"{each.total_ms:,.0f}",
                _count(each.input), _count(each.output), each.moved_from,
            )
            for each in body.requests
        ),
        empty="Nothing went through the gateway yet.",
    )  # fmt: skip


def _count(tokens: int | None) -> str:
    return "" if tokens is None else f"{tokens:,}"


@click.command()
@click.option("--client", metavar="NAME", help="Only of this client.")
@click.option("--limit", default=20, show_default=True, help="Most requests, the last ones.")
@answers(_show)
def log(client: str | None, limit: int) -> GatewayRequests:
    """Show the last requests: profile, latency, tokens, and why one failed."""
    check_limit(limit)
    return find_log(load_quietly(), GatewayLog(client=client, limit=limit))
