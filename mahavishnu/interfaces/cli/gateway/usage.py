"""`mahavishnu gateway usage`."""

from datetime import datetime, time

import click

from mahavishnu.interfaces.cli.metrics.plotting import draw
from mahavishnu.interfaces.cli.options import answers, load_quietly, parameter
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.gateway import GatewayUsage, GatewayUse, find_usage

PLOT_WIDTH = 60


def show_cost(cost: float, unpriced: int) -> str:
    """Return dollars at list price; `+` where there is more whose price is not known."""
    if not cost and unpriced:
        return "unknown"
    return f"${cost:,.2f}{'+' if unpriced else ''}"


def _show(body: GatewayUse) -> None:
    print_table(
        ("day", "profile", "requests", "failed", "tokens in", "cached", "tokens out", "cost", "first ms"),
        (
            (
                each.day.isoformat(), each.profile, f"{each.requests:,}", f"{each.failures:,}", f"{each.input:,}",
                f"{each.cached:,}", f"{each.output:,}", show_cost(each.cost, each.unpriced),
                "" if each.first_ms is None else f"{each.first_ms:,.0f}",
            )
            for each in body.days
        ),
        empty="Nothing went through the gateway in this time.",
    )  # fmt: skip
    if parameter("plot"):
        _plot(body)


def _plot(body: GatewayUse) -> None:
    for profile in dict.fromkeys(each.profile for each in body.days):
        days = [each for each in body.days if each.profile == profile]
        points = [
            (datetime.combine(each.day, time()).timestamp(), float(each.input + each.output))
            for each in days
        ]
        print_line(f"\n{profile}: tokens by day, {days[0].day} to {days[-1].day}")
        for line in draw(points, PLOT_WIDTH):
            print_line(line)


@click.command()
@click.option(
    "--since", metavar="WHEN", default="7d", show_default=True, help="7d, 12h, 2w, or a date."
)
@click.option("--plot", is_flag=True, help="Draw the tokens of each day.")
@answers(_show)
def usage(since: str, plot: bool) -> GatewayUse:  # noqa: ARG001 - read where it is shown
    """Show requests, failures, tokens and cost of each profile by day."""
    request = GatewayUsage(since=since)
    request.check()
    return find_usage(load_quietly(), request)
