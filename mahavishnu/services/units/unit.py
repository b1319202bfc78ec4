"""A unit: one program that is kept running, as plain values without any secret."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from mahavishnu.base.errors import UsageError

type RestartPolicy = Literal["always", "on-failure", "never"]
type BackendName = Literal["own", "systemd", "supervisord", "launchd"]
NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
MAX_NAME = 48


class HealthCheck(Struct, frozen=True, kw_only=True):
    """
    How a unit is asked whether it works: by the one of the first five that is given.

    `tcp` is HOST:PORT. It counts as unhealthy after so many failures in a row, and as healthy again after so many
    successes.
    """

    http: str | None = None
    tcp: str | None = None
    mcp: str | None = None
    command: tuple[str, ...] = ()
    sql: str | None = None
    interval_s: float = 10.0
    timeout_s: float = 5.0
    unhealthy_after: int = 3
    healthy_after: int = 1


class Unit(Struct, frozen=True, kw_only=True):
    """
    A program and how it is kept running.

    `environment` is `NAME=REFERENCE` or `NAME=VALUE`: a reference is looked up at each start, and what it leads to is
    never kept. A `detached` unit outlives the daemon; a `shared` one may be run by somebody else, and is left to them.
    `backend` is who runs it: the daemon where None, unless a supervisor of the system has it already.
    """

    name: Annotated[str, Meta(pattern=NAME, max_length=MAX_NAME)]
    command: tuple[str, ...]
    environment: tuple[str, ...] = ()
    working_directory: str | None = None
    health: HealthCheck | None = None
    depends_on: tuple[str, ...] = ()
    restart: RestartPolicy = "on-failure"
    stop_command: tuple[str, ...] = ()
    grace_s: float = 10.0
    start_timeout_s: float = 60.0
    enabled: bool = True
    detached: bool = False
    shared: bool = False
    backend: BackendName | None = None

    @property
    def port(self) -> int | None:
        """The port of this machine that the unit listens on, as its health check says; None where that says none."""
        check = self.health
        address = (check.tcp or check.http or check.mcp or "") if check else ""
        found = _LOCAL_PORT.match(address)
        return int(found[1]) if found else None


_LOCAL_PORT = re.compile(
    r"(?:https?://)?(?:127(?:\.\d+){3}|localhost|\[::1\]):(\d{1,5})(?:[/?#]|$)"
)


def check_name(name: str) -> str:
    """Return a name that a unit may have; raises `UsageError` (`service.name`)."""
    if len(name) > MAX_NAME or not re.match(NAME, name):
        raise UsageError(
            f"{name!r} is no name of a service.",
            hint=f"Use up to {MAX_NAME} small letters, digits and single hyphens, for example: my-server",
            code="service.name",
        )
    return name
