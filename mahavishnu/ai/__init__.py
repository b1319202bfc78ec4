"""AI environments: profiles, keys, and the settings and sessions of AI clients; no database, no daemon."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahavishnu.interfaces.python import (
        AutoState,
        ClientName,
        LlmState,
        Profiles,
        RestartResult,
        Sessions,
        SwitchResult,
        UndoResult,
        auto_status,
        list_llms,
        list_sessions,
        restart,
        set_auto,
        status,
        switch_llm,
        undo,
    )

__all__ = [
    "AutoState",
    "ClientName",
    "LlmState",
    "Profiles",
    "RestartResult",
    "Sessions",
    "SwitchResult",
    "UndoResult",
    "auto_status",
    "list_llms",
    "list_sessions",
    "restart",
    "set_auto",
    "status",
    "switch_llm",
    "undo",
]


def __getattr__(name: str) -> Any:
    """Load what is offered to Python programs on first use (PEP 562): it stands above this package."""
    if name not in __all__:
        raise AttributeError(f"module 'mahavishnu.ai' has no attribute {name!r}")
    return getattr(import_module("mahavishnu.interfaces.python"), name)
