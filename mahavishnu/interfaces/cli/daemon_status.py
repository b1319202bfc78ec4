"""`mahavishnu status`: whether the daemon runs, and how it is."""

from typing import Any

import click

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import DaemonRecord, find_daemon
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether the daemon runs, and its state; starts nothing."""
    locations = load_quietly().locations
    record = find_daemon(locations.daemon_lock)
    state: dict[str, Any] | None = None
    problem: MahavishnuError | None = None
    if record is not None and record.port is not None:
        try:
            state = DaemonClient(record, read_token(locations.token)).ask("GET", "/api/v1/status")
        except MahavishnuError as error:
            problem = error
    log = str(locations.daemon_log) if locations.daemon_log.exists() else None
    if as_json:
        told = problem and {"code": problem.code, "message": problem.message, "hint": problem.hint}
        body = {
            "running": record is not None,
            "daemon": record and record_body(record),
            "state": state,
            "problem": told,
            "log": log,
        }
        print_json(body)
        return
    if record is None:
        print_line("The daemon is not running. Start it with: mahavishnu up --detach")
    elif record.port is None:
        print_line(f"The daemon is starting or ending (pid {record.pid}).")
    else:
        print_line(
            f"Running on {record.url} (pid {record.pid}) since {record.since}, version {record.version}"
        )
    if state is not None:
        _print_state(state)
    if problem is not None:
        print_line(f"Problem: {problem.message}")
        print_line(f"Hint: {problem.hint}")
    if log is not None:
        print_line(f"Log: {log}")


def _print_state(state: dict[str, Any]) -> None:
    database = state["database"]
    if database["reachable"]:
        print_line(
            f"Database: PostgreSQL {database['server_version']}, pgvector "
            f"{database.get('vector_version')}, connections open: {database['connections']}"
        )
        waiting = state.get("waiting", 0)
        print_line(f"Embedding: {state['embedder']}" + (f" {waiting:,} wait." if waiting else ""))
    else:
        print_line(f"Database: {database['reason']}")


def record_body(record: DaemonRecord) -> dict[str, Any]:
    """Return what is shown of a daemon."""
    return {
        "pid": record.pid,
        "port": record.port,
        "url": record.url if record.port is not None else None,
        "version": record.version,
        "since": record.since,
    }
