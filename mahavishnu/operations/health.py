"""The operation that tells how every component is."""

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.base.health import THREE_STATES, ComponentHealth, HealthStatus, worst_status
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.components import cloud_provider, providers_of
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.services.health import LIMIT_S

if TYPE_CHECKING:
    from mahavishnu.app import App

type CommonStatus = Annotated[
    Literal["healthy", "degraded", "unhealthy"],
    Meta(description="The same in the three states of `mcp_common.health`."),
]


class ShowHealth(Request, frozen=True, kw_only=True):
    """All components are meant."""


class ComponentBody(Body, frozen=True, kw_only=True):
    """How a component is; the message says why, where it is not healthy."""

    name: str
    status: HealthStatus
    common_status: CommonStatus
    message: str = ""
    latency_ms: float | None = None
    memory_mb: float | None = None


class SystemHealth(Body, frozen=True, kw_only=True):
    """How everything is."""

    status: Annotated[HealthStatus, Meta(description="The worst of the components.")]
    common_status: CommonStatus
    answered_by: Annotated[
        Literal["daemon", "process"],
        Meta(description="The daemon, or a process of its own where none runs or answers."),
    ]
    components: list[ComponentBody]


async def check_health(app: "App", *, limit_s: float = LIMIT_S) -> SystemHealth:
    """Ask every component, each for so many seconds at most; raises nothing."""
    found = await app.components.look((*providers_of(app), cloud_provider(app)), limit_s=limit_s)
    record, status = find_daemon(app.loaded.locations.daemon_lock), worst_status(found)
    return SystemHealth(
        status=status,
        common_status=THREE_STATES[status],
        answered_by="daemon" if record and record.pid == os.getpid() else "process",
        components=[_body(each) for each in found],
    )


def _body(health: ComponentHealth) -> ComponentBody:
    return ComponentBody(**vars(health), common_status=THREE_STATES[health.status])


async def health(call: Call, _request: ShowHealth) -> SystemHealth:
    """Tell how every component is."""
    return await check_health(call.app)


HEALTH_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="health",
        title="How everything is",
        description="The database, the embedding model, the daemon, services, engines, the spool, backups, "
        "sync and cloud stores of keys: which is healthy, and why another is not. Ask when memory tools fail or "
        "answer slowly.",
        request=ShowHealth,
        result=SystemHealth,
        run=health,
        method="GET",
        path="/health",
        read_only=True,
    ),
)
