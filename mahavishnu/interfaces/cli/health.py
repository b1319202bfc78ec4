"""`mahavishnu health`: how every component is, for people and scripts."""

import click
import msgspec

from mahavishnu.base.daemon.client import DaemonClient, ask_health
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.options import answers, load_quietly, opened_app
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.health import SystemHealth, check_health

EXITS = {"healthy": 0, "degraded": 8, "unhealthy": 9}  # below are those of errors
START_LIMIT_S = 20.0  # the embedded server may have to start, and a model to load
DAEMON_LIMIT_S = 30.0  # longer than the slowest component may take
_log = get_logger(__name__)


def _show(body: SystemHealth) -> None:
    print_table(
        ("component", "status", "ms", "message"),
        (
            (each.name, each.status,
             "" if each.latency_ms is None else f"{each.latency_ms:,.1f}", each.message)
            for each in body.components
        ),
    )  # fmt: skip
    asked = "the daemon" if body.answered_by == "daemon" else "this command; no daemon answers"
    print_line(f"\nAll in all: {body.status}, seen by {asked}.")


@click.command()
@answers(_show, code=lambda body: EXITS[body.common_status])
async def health() -> SystemHealth:
    """
    Show how every component is.

    The exit code is 0 where all are healthy, 8 where the worst is degraded, starting or shutting down, and 9
    where it is unhealthy. Asks the daemon; where none runs, this command looks itself.
    """
    loaded = load_quietly()
    answered = _ask_daemon(loaded)
    if answered is not None:
        return answered
    async with opened_app(required=False, drain=False, reach=False) as app:
        return await check_health(app, limit_s=START_LIMIT_S)


def _ask_daemon(loaded: Loaded) -> SystemHealth | None:
    """Return the daemon's answer; None where none runs, or it gives none, which the look at it then says."""
    record = find_listening(loaded.locations.daemon_lock)
    if record is None or record.port is None or ask_health(record.port) is None:
        return None
    try:
        client = DaemonClient(record, read_token(loaded.locations.token), timeout_s=DAEMON_LIMIT_S)
        return msgspec.convert(client.ask("GET", "/api/v1/health"), SystemHealth)
    except (MahavishnuError, msgspec.ValidationError) as error:
        _log.info("daemon_does_not_tell", reason=str(error))
        return None
