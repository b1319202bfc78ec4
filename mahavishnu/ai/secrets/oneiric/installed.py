"""Whether Oneiric is installed, without importing it."""

import sys
from importlib.util import find_spec

from mahavishnu.base.errors import Unavailable

# What the extra is, by line of Python.
PINS = (
    ("oneiric==0.17.0", "aioboto3>=15.5,<16")
    if sys.version_info < (3, 14)
    else ("oneiric==0.33.3", "aioboto3>=15.5,<16")
)


def is_installed() -> bool:
    """Tell whether the extra is installed."""
    return all(find_spec(name) is not None for name in ("oneiric", "aioboto3"))


def require_installed() -> None:
    """
    Refuse where it is not.

    Raises:
        Unavailable: `secret.no_oneiric`, with the command that installs it.
    """
    if not is_installed():
        raise Unavailable(
            "Keys in cloud stores need Oneiric, which is not installed.",
            hint=f"Install it: {sys.executable} -m pip install {' '.join(map(repr, PINS))}",
            code="secret.no_oneiric",
        )
