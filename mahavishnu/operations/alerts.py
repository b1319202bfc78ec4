"""The operation on alerts: send a test to the channels."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from mahavishnu.base.errors import Conflict, MahavishnuError, NotFound
from mahavishnu.operations.ai.alert_channels import alert_channels
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import Name
from mahavishnu.services.alerts.channel import Channel, claim

NO_CHANNEL = "No channel of alerts is set up."


class TestAlerts(Request, frozen=True, kw_only=True):
    """Which channel."""

    __test__ = False  # to pytest

    channel: Annotated[Name | None, Meta(description="Only this one; all by default.")] = None


class TestedChannel(Body, frozen=True, kw_only=True):
    """How a test of a channel went."""

    name: str
    sent: Annotated[bool, Meta(description="Whether the channel took the test.")]
    code: str | None = None
    message: Annotated[str | None, Meta(description="Why it did not.")] = None


class TestedChannels(Body, frozen=True, kw_only=True):
    """How the tests went."""

    __test__ = False

    channels: list[TestedChannel]


async def send_tests(channels: Mapping[str, Channel], request: TestAlerts) -> TestedChannels:
    """
    Send a test to each channel, or the one that was named, all at once.

    Raises:
        NotFound: `alerts.no_channel`.
        Conflict: `alerts.busy`, another test runs: each is a process.
    """
    wanted = [each for each in channels.values() if request.channel in (None, each.name)]
    if not wanted:
        told = f"There is no channel {request.channel}." if request.channel else NO_CHANNEL
        raise NotFound(
            told,
            hint=f"There are: {', '.join(channels)}."
            if channels
            else "Name one in the settings, below alerts.channels.",
            code="alerts.no_channel",
        )
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(claim(wanted[0].folder, "test")):
            raise Conflict(
                "Another test of alerts runs.", hint="Wait until it has ended.", code="alerts.busy"
            )
        return TestedChannels(channels=list(await asyncio.gather(*map(_test, wanted))))


async def _test(channel: Channel) -> TestedChannel:
    try:
        await channel.test()
    except MahavishnuError as error:
        return TestedChannel(name=channel.name, sent=False, code=error.code, message=error.message)
    return TestedChannel(name=channel.name, sent=True)


async def test_alerts(call: Call, request: TestAlerts) -> TestedChannels:
    """Send tests with the settings and the environment of this process; no database is asked."""
    return await send_tests(alert_channels(call.app.loaded), request)


ALERT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="test_alerts",
        title="Test the channels of alerts",
        description="Send a message that says it is a test to the channels that the user set up for "
        "alerts, and tell which of them took it.",
        request=TestAlerts,
        result=TestedChannels,
        run=test_alerts,
        method="POST",
        path="/alerts/test",
        idempotent=False,
    ),
)
