"""`mahavishnu up`: the daemon that all terminals share."""

import json
import sys
import time

import click

from mahavishnu.base.daemon.record import DaemonRecord, find_daemon, find_listening
from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.daemon.detach import (
    START_TIMEOUT_S,
    report_start,
    start_detached,
)
from mahavishnu.daemon.log_file import leads_to
from mahavishnu.daemon.report import DaemonBody, Started
from mahavishnu.interfaces.cli.options import asynchronous, json_option, load
from mahavishnu.interfaces.cli.render import print_json, print_line

POLL_S = 0.05


@click.command()
@click.option("--detach", is_flag=True, help="Run in the background, and return once it answers.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to use; 0: any that is free.")
@click.option("--ready-fd", type=int, hidden=True)
@json_option
def up(detach: bool, port: int | None, ready_fd: int | None, as_json: bool) -> None:
    """
    Start the daemon: MCP, HTTP API, one pool and one loaded model for all terminals.

    It listens on 127.0.0.1 alone. With --detach it does nothing if one runs already.
    """
    flags = click.get_current_context().find_root().obj
    if port is not None:
        flags["server.port"] = str(port)
    if ready_fd is not None:
        flags |= json.load(sys.stdin.buffer)  # from `start_detached`
    if detach:
        _start_detached(flags, wanted=port, as_json=as_json)
    else:
        _serve(ready_fd, as_json=as_json)


def _start_detached(flags: dict[str, str], *, wanted: int | None, as_json: bool) -> None:
    loaded = load()
    until = time.monotonic() + START_TIMEOUT_S
    started = False
    while (running := find_listening(loaded.locations.daemon_lock)) is None:
        try:
            running, started = start_detached(loaded.locations, flags), True
            break
        except Conflict as error:
            if error.code != "daemon.running" or time.monotonic() >= until:
                raise
            _await_other(loaded, until)
    if wanted and running.port != wanted:
        raise Conflict(
            f"A daemon already serves this data directory, on port {running.port} (pid {running.pid}).",
            hint="To move it: mahavishnu down, and then up with the other port.",
            code="daemon.running",
        )
    _print(
        running, "Listening" if started else "Already listening", started=started, as_json=as_json
    )


def _await_other(loaded: Loaded, until: float) -> None:
    """Wait until the daemon that was quicker listens, or one that was about to end is gone."""
    lock = loaded.locations.daemon_lock
    time.sleep(POLL_S)
    while time.monotonic() < until and find_daemon(lock) is not None:
        if find_listening(lock) is not None:
            return
        time.sleep(POLL_S)


@asynchronous
async def _serve(ready_fd: int | None, *, as_json: bool) -> None:
    def ready(record: DaemonRecord) -> None:
        if ready_fd is not None:
            report_start(ready_fd, record)
        else:
            _print(record, "Listening", "; Ctrl-C ends it", started=True, as_json=as_json)

    try:
        loaded = load()
        from mahavishnu.interfaces.http.serve import Interrupted, serve  # noqa: PLC0415 - a second; settings errors first

        # Also where a supervisor of the system started it so: `mahavishnu service install`.
        log = loaded.locations.daemon_log
        try:
            await serve(loaded, ready, log=log if leads_to(log) else None)
        except Interrupted:
            raise click.Abort from None
    except MahavishnuError as error:
        if ready_fd is not None:
            report_start(ready_fd, error)
        elif error.code == "daemon.ended":  # as it was told
            return
        raise


def _print(
    record: DaemonRecord, verb: str, more: str = "", *, started: bool, as_json: bool
) -> None:
    """Say where the daemon is, at once: whoever reads it may wait for it."""
    if as_json:
        print_json(Started(started=started, daemon=DaemonBody.of(record)))
    else:
        print_line(f"{verb} on {record.url} (pid {record.pid}){more}")
    sys.stdout.flush()
