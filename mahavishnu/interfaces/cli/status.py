"""`mahavishnu status`: whether the daemon runs, and how it is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from mahavishnu.daemon.report import DaemonReport, report_daemon
from mahavishnu.database.backup.verify import ProvenSet
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.pause import describe_pause
from mahavishnu.interfaces.cli.render import local_time, print_line


def _show(body: DaemonReport) -> None:
    daemon = body.daemon
    if daemon is None:
        print_line("The daemon is not running. Start it with: mahavishnu up --detach")
    elif daemon.url is None:
        print_line(f"The daemon is starting or ending (pid {daemon.pid}).")
    else:
        print_line(
            f"Running on {daemon.url} (pid {daemon.pid}) since {daemon.since}, version {daemon.version}"
        )
    if body.state is not None:
        _print_state(body.state)
    elif body.proven_backup_at is not None:
        _print_proof(body.proven_backup_at, body.proven_backup_created_at)
    if body.problem is not None:
        print_line(f"Problem: {body.problem.message}")
        print_line(f"Hint: {body.problem.hint}")
    if body.paused is not None:
        print_line(f"{describe_pause(body.paused)} Go on with: mahavishnu resume")
    if body.spooled:
        print_line(f"Spool: {body.spooled:,} writes wait for PostgreSQL (mahavishnu spool status).")
    if body.spool_problem is not None:
        print_line(f"Spool: {body.spool_problem.message} {body.spool_problem.hint or ''}".rstrip())
    if body.log is not None:
        print_line(f"Log: {body.log}")


def _print_state(state: dict[str, Any]) -> None:
    database = state["database"]
    if database["reachable"]:
        print_line(
            f"Database: PostgreSQL {database['server_version']}, pgvector "
            f"{database.get('vector_version')}, connections open: {database['connections']}"
        )
        waiting = state.get("waiting", 0)
        print_line(f"Embedding: {state['embedder']}" + (f" {waiting:,} wait." if waiting else ""))
        if hot := state.get("hot"):
            shown = f"{hot['vectors']:,} ({hot['mb']:.0f} MB)"
            print_line(f"Vectors in memory: {hot.get('missing') or shown}")
        if dead := state.get("dead_letters"):
            print_line(f"Sync: {dead:,} dead letters; see: mahavishnu sync status")
    else:
        print_line(f"Database: {database['reason']}")
    names = ("proven_backup_at", "proven_backup_created_at")
    _print_proof(*(msgspec.convert(state.get(name), datetime | None) for name in names))


def _print_proof(proven: datetime | None, created: datetime | None) -> None:
    if proven is None:
        print_line("Backup: none is proven; run: mahavishnu backup drill")
        return
    hours = int((datetime.now(UTC) - proven).total_seconds() // 3600)
    age = f"{hours // 24:,} days" if hours >= 48 else f"{hours} hours"
    was_older = created is not None and ProvenSet(created, proven).was_older
    of = f"; the set is of {local_time(created)}" if created and was_older else ""
    print_line(f"Backup: proven {age} ago, at {local_time(proven)}{of}")


@click.command()
@answers(_show)
def status() -> DaemonReport:
    """Show whether the daemon runs, and its state; starts nothing."""
    loaded = load_quietly()
    store = loaded.settings.backup.store
    folder = Path(store).expanduser() if store else loaded.locations.backups
    return report_daemon(loaded.locations, None if "://" in (store or "") else folder)
