"""What is asked and shown of services: the daemon, the database, clients' sessions, and units."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from mahavishnu.base.health import HealthStatus
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Request
from mahavishnu.services.supervision.acts import ActOutcome

MAX_NAMES = 64
type ServiceState = Literal[
    "running", "stopped", "failed", "stale", "waiting", "given_up", "elsewhere", "not_configured"
]
ServiceName = Annotated[str, Meta(max_length=48)]
Names = Annotated[
    list[ServiceName], Meta(max_length=MAX_NAMES, description="Services by name, or `all`.")
]
Confirm = Annotated[bool, Meta(description="false only says what would be done.")]


class ServiceStatus(Request, frozen=True, kw_only=True):
    """Which services; all without any."""

    names: Names = field(default_factory=list)


class StartServices(Request, frozen=True, kw_only=True):
    """Which services to start, after what they depend on."""

    names: Names


class StopServices(Request, frozen=True, kw_only=True):
    """Which services to stop."""

    names: Names
    confirm: Confirm = False


class RestartServices(Request, frozen=True, kw_only=True):
    """Which services to restart."""

    names: Names
    confirm: Confirm = False


class RestartAiServices(Request, frozen=True, kw_only=True):
    """Nothing to choose."""

    confirm: Confirm = False


class ServiceLog(Request, frozen=True, kw_only=True):
    """Whose log, and how much of it."""

    name: ServiceName
    lines: Annotated[int, Meta(ge=1, le=10_000, description="Most lines, the last ones.")] = 100


class ServiceHealth(Body, frozen=True, kw_only=True):
    """What the last check said."""

    status: HealthStatus
    message: str = ""
    latency_ms: float | None = None


class Service(Body, frozen=True, kw_only=True):
    """One service."""

    name: str
    state: Annotated[
        ServiceState,
        Meta(
            description="waiting: it is started again after a pause. stale: who kept it was killed. "
            "elsewhere: somebody else runs it."
        ),
    ]
    pid: int | None = None
    since: datetime | None = None
    restarts: Annotated[int, Meta(description="Since somebody last started it.")] = 0
    memory_mb: Annotated[float | None, Meta(description="With all that it started.")] = None
    health: ServiceHealth | None = None
    enabled: Annotated[bool, Meta(description="It starts with the daemon.")] = False
    detached: bool = False
    command: list[str] = field(default_factory=list)
    depends_on: list[str] = field(default_factory=list)
    why: str = ""


class Services(Body, frozen=True, kw_only=True):
    """The services."""

    supervised: Annotated[bool, Meta(description="A daemon supervises them.")]
    services: list[Service]


class ServiceResult(Body, frozen=True, kw_only=True):
    """What became of one service; `before` and `after` are its health, or its state where it has no check."""

    name: str
    outcome: Annotated[
        ActOutcome,
        Meta(
            description="rolled_back: the new definition does not work, and the earlier one runs "
            "again. left: nothing was done, for the reason given."
        ),
    ]
    before: str
    after: str
    reason: str = ""
    code: str | None = None


class ServiceResults(Body, frozen=True, kw_only=True):
    """One result for each service."""

    confirmed: bool
    services: list[ServiceResult]


class ServiceLines(Body, frozen=True, kw_only=True):
    """The end of a log; what looks like a key is hidden."""

    name: str
    path: str
    lines: list[str]


class ServiceFile(Body, frozen=True, kw_only=True):
    """A service whose file was written or removed, and what that means for one that runs."""

    name: str
    path: str
    enabled: bool
    note: str
