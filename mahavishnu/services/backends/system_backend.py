"""What a supervisor of the system offers beyond a `Backend`, and the errors that all of them have."""

from typing import Protocol

from mahavishnu.base.errors import Unavailable
from mahavishnu.services.units.backend import Backend
from mahavishnu.services.units.unit import Unit


class SystemBackend(Backend, Protocol):
    """A backend that others use as well: it may have a unit of a name that we did not write."""

    def knows(self, name: str) -> bool:
        """Tell whether it has a unit of that name which we did not write, or runs one that we wrote."""


def not_started(unit: Unit, supervisor: str, why: str) -> Unavailable:
    """Return the error of a unit that a supervisor did not start."""
    return Unavailable(
        f"{supervisor} did not start {unit.name}: {why}",
        hint=f"See what it says: mahavishnu service logs {unit.name}",
        code="service.not_started",
    )


def unreachable(supervisor: str, why: str) -> Unavailable:
    """Return the error of a supervisor that does not answer, or not as it should."""
    return Unavailable(
        f"{supervisor} cannot be asked: {why}",
        hint="Start it, or let the daemon run the service: set its `backend` to own.",
        code="service.backend_unreachable",
    )
