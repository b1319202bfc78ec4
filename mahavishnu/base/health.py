"""How a component is doing, in one form wherever it is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The five states of `oneiric.runtime.mcp_health`. degraded: it answers, and refuses or holds back.
type HealthStatus = Literal["healthy", "degraded", "unhealthy", "starting", "shutting_down"]
STATUSES: tuple[HealthStatus, ...] = (  # best first
    "healthy",
    "starting",
    "shutting_down",
    "degraded",
    "unhealthy",
)
# And their meaning in the three states of `mcp_common.health`: who starts or ends does not serve all it could.
THREE_STATES: dict[HealthStatus, Literal["healthy", "degraded", "unhealthy"]] = {
    "healthy": "healthy",
    "degraded": "degraded",
    "unhealthy": "unhealthy",
    "starting": "degraded",
    "shutting_down": "degraded",
}


@dataclass(frozen=True)
class ComponentHealth:
    """
    The state of one component; `message` says why it is not healthy, and never holds a key.

    `memory_mb` is that of its own process, where that is known.
    """

    name: str
    status: HealthStatus
    message: str = ""
    latency_ms: float | None = None
    memory_mb: float | None = None


def worst_status(components: Iterable[ComponentHealth]) -> HealthStatus:
    """Return the worst status of all; "healthy" of none."""
    return max((each.status for each in components), key=STATUSES.index, default="healthy")
