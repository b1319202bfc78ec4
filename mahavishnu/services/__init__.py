"""What runs around memory, and what Mahavishnu does by itself; to Python programs, the services that it runs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahavishnu.interfaces.python_services import (
        add,
        enable,
        log,
        remove,
        restart,
        start,
        status,
        stop,
    )

__all__ = ["add", "enable", "log", "remove", "restart", "start", "status", "stop"]


def __getattr__(name: str) -> Any:
    """Load what is offered to Python programs on first use (PEP 562): it stands above this package."""
    if name not in __all__:
        raise AttributeError(f"module 'mahavishnu.services' has no attribute {name!r}")
    return getattr(import_module("mahavishnu.interfaces.python_services"), name)
