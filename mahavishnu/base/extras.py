"""Extras of the wheel, and among them the engines that feed the memory, which `adapters.NAME` turns off."""

import sys
from importlib.util import find_spec

from mahavishnu.base.errors import Unavailable, UsageError

PACKAGES = {"prefect": "prefect", "agno": "agno", "llamaindex": "llama_index"}


def require_enabled(engine: str, enabled: bool) -> None:
    """Raise `UsageError`, `engine.off`, where the settings turn an engine off."""
    if not enabled:
        raise UsageError(
            f"The setting adapters.{engine} is false.", hint="Set it to true.", code="engine.off"
        )


def require_installed(engine: str) -> None:
    """Raise `Unavailable`, `engine.not_installed`, where the package of an engine is missing."""
    if find_spec(PACKAGES[engine]) is None:
        raise not_installed(engine)


def not_installed(extra: str) -> Unavailable:
    """Return the error for an extra of the wheel that is missing."""
    return Unavailable(
        f"The extra {extra} is not installed.",
        hint=f"In a checkout of Mahavishnu: {sys.executable} -m pip install '.[{extra}]'",
        code="engine.not_installed",
    )


def require_prefect(*, enabled: bool) -> None:
    """Refuse where Prefect is turned off or not installed."""
    require_enabled("prefect", enabled)
    require_installed("prefect")
