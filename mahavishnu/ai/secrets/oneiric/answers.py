"""What a cloud answers: the text of a secret, since when it is that, and how the store is doing."""

from dataclasses import dataclass
from datetime import datetime

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.health import ComponentHealth, HealthStatus
from mahavishnu.base.masking import Secret


def health_of(
    name: str, error: MahavishnuError | None, latency_ms: float | None
) -> ComponentHealth:
    """Return the health that an answer, or its error, shows; a key is asked for itself."""
    if error is None:
        return ComponentHealth(name, "healthy", latency_ms=latency_ms)
    answers = error.code in ("secret.denied", "secret.malformed")
    status: HealthStatus = "degraded" if answers else "unhealthy"
    return ComponentHealth(name, status, f"{error.message} [{error.code}]", latency_ms)


@dataclass(frozen=True)
class FoundSecret:
    """
    What stands at an id: None where there is nothing, `created_at` where the cloud tells it.

    `store` is the name of the one that answered, as PROVIDER/NAME.
    """

    store: str
    text: Secret | None
    created_at: datetime | None = None
