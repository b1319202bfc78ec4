"""`mahavishnu alert test`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.alert_channels import alert_channels
from mahavishnu.operations.alerts import TestAlerts, TestedChannels, send_tests


def _show(body: TestedChannels) -> None:
    for each in body.channels:
        print_line(
            f"{each.name}: sent" if each.sent else f"{each.name}: {each.message} [{each.code}]"
        )


def _has_failed(body: TestedChannels) -> int:
    return 0 if all(each.sent for each in body.channels) else 5


@click.command()
@click.argument("channel", metavar="[CHANNEL]", required=False)
@answers(_show, code=_has_failed)
async def test(channel: str | None) -> TestedChannels:
    """Send a test to all channels, or one. Exit code 5 where one did not take it; asks no database."""
    return await send_tests(alert_channels(load_quietly()), TestAlerts(channel=channel))
