"""`mahavishnu gateway status`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.operations.ai.gateway import GatewayState, GatewayStatus, find_status


def _show(body: GatewayState) -> None:
    print_line(f"{'Listening on' if body.running else 'Nothing answers at'} {body.url}")
    print_table(
        ("profile", "state", "until", "cause", "tokens today", "limit", "cost today", "limit"),
        (
            (
                each.profile, each.state, local_time(each.until) if each.until else "", each.cause or "",
                f"{each.tokens_today:,}", "" if each.daily_tokens is None else f"{each.daily_tokens:,}",
                f"${each.cost_today:,.2f}", "" if each.daily_cost is None else f"${each.daily_cost:,.2f}",
            )
            for each in body.profiles
        ),
        empty="No client goes through it.",
    )  # fmt: skip


@click.command()
@answers(_show)
def status() -> GatewayState:
    """Show whether the gateway runs, and which profiles it passes over."""
    return find_status(load_quietly(), GatewayStatus())
