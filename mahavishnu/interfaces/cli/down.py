"""`mahavishnu down`."""

import click

from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.daemon.detach import stop
from mahavishnu.daemon.report import Stopped
from mahavishnu.interfaces.cli.options import json_option, load
from mahavishnu.interfaces.cli.render import print_json, print_line

STOP_SLACK_S = 15.0  # beyond the time that running requests get


@click.command()
@click.option("--force", is_flag=True, help="Kill it if it does not end in time.")
@json_option
def down(force: bool, as_json: bool) -> None:
    """Stop the daemon; running requests finish first."""
    loaded = load()
    record = find_daemon(loaded.locations.daemon_lock)
    killed = False
    if record is not None:
        wait_s = loaded.settings.server.drain_timeout + STOP_SLACK_S
        killed = stop(record, wait_s=wait_s, force=force)
    if as_json:
        print_json(Stopped(stopped=record is not None, killed=killed))
    elif record is None:
        print_line("No daemon is running.")
    else:
        print_line(f"{'Killed' if killed else 'Ended'} (pid {record.pid})")
