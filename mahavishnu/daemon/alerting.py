"""The daemon's work for one channel of alerts: it follows the journal of events for as long as the daemon runs."""

import asyncio
from datetime import UTC, datetime

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.services.alerts.channel import Channel, Follower, claim
from mahavishnu.services.alerts.ledger import OWN_ACTS
from mahavishnu.services.events.journal import FailureStreak

LOOK_EVERY_S = 2.0
TRY_AGAIN_S = 60.0  # after a failure; twice as long after each further one
LAST_PAUSE_S = 3600.0
_log = get_logger(__name__)


async def follow_events(app: App, channel: Channel) -> None:
    """
    Tell a channel what happens, for ever; of daemons that share a state folder one does.

    What a channel did not take waits, and is sent with what comes meanwhile. Its failure is an event where it begins
    and where it is over.
    """
    began = datetime.now(UTC)
    with claim(channel.folder, channel.name) as ours:
        if not ours:
            return
        follower = await asyncio.to_thread(Follower, channel, app.events, since=began)
        streak = FailureStreak(app.events, f"{OWN_ACTS}send {channel.name}")
        pause_s = LOOK_EVERY_S
        while True:
            try:
                sent = await follower.look(datetime.now(UTC))
            except MahavishnuError as error:
                _log.warning("alert_not_sent", channel=channel.name, code=error.code)
                await streak.failed(error)
                pause_s = min(max(2 * pause_s, TRY_AGAIN_S), LAST_PAUSE_S)
            else:
                if sent:
                    await streak.worked()
                pause_s = LOOK_EVERY_S
            await asyncio.sleep(pause_s)
