"""How a component is doing, in one form wherever it is asked for."""

from dataclasses import dataclass
from typing import Literal

# The five states of `oneiric.runtime.mcp_health`. degraded: it answers, and refuses or holds back.
type HealthStatus = Literal["healthy", "degraded", "unhealthy", "starting", "shutting_down"]
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
    """The state of one component; `message` says why it is not healthy, and never holds a key."""

    name: str
    status: HealthStatus
    message: str = ""
    latency_ms: float | None = None
