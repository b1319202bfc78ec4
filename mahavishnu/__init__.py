"""Mahavishnu: one place for a developer's AI tools. Importing it imports nothing heavy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mahavishnu.ai.clients import table as table  # the settings have a section for each client

__version__ = "0.1.0"
__all__ = ["App", "MahavishnuError", "__version__", "ai", "open_app"]

if TYPE_CHECKING:
    from mahavishnu import ai
    from mahavishnu.app import App, open_app
    from mahavishnu.base.errors import MahavishnuError

_HOMES = {
    "App": "mahavishnu.app",
    "open_app": "mahavishnu.app",
    "MahavishnuError": "mahavishnu.base.errors",
}


def __getattr__(name: str) -> Any:
    """Load the public API on first use (PEP 562), so that `import mahavishnu` stays instant."""
    if name not in __all__:
        raise AttributeError(f"module 'mahavishnu' has no attribute {name!r}")
    if name == "ai":
        return import_module("mahavishnu.ai")
    return getattr(import_module(_HOMES[name]), name)
