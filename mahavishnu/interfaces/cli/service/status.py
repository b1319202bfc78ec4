"""`mahavishnu service status`."""

from datetime import UTC, datetime

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.interfaces.services import ask_status
from mahavishnu.operations.service_bodies import Service, Services, ServiceStatus


def _uptime(each: Service) -> str:
    if each.since is None:
        return ""
    seconds = int((datetime.now(UTC) - each.since).total_seconds())
    days, rest = divmod(max(seconds, 0), 86_400)
    return f"{days}d " * bool(days) + f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"


def _health(each: Service) -> str:
    if each.health is None:
        return ""
    latency = each.health.latency_ms
    return each.health.status + (f" ({latency:g} ms)" if latency is not None else "")


def _row(each: Service) -> tuple[str, ...]:
    pid = str(each.pid or "")
    memory = f"{each.memory_mb:g} MB" if each.memory_mb is not None else ""
    restarts = str(each.restarts or "")
    return each.name, each.state, pid, _uptime(each), restarts, memory, _health(each), each.why


def _show(body: Services) -> None:
    columns = ("name", "state", "pid", "uptime", "restarts", "memory", "health", "why")
    print_table(columns, map(_row, body.services))
    if not body.supervised:
        print_line("No daemon supervises them: mahavishnu up --detach")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@answers(_show)
def status(names: tuple[str, ...]) -> Services:
    """
    Show how services are: all, or those that are named.

    Without a daemon it shows what the files say; health is known to the daemon alone.
    """
    return ask_status(load(), ServiceStatus(names=[*names]))
