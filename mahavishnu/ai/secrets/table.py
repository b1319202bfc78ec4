"""
Which stores of keys there are, by the scheme of their references. Nothing else names them all.

A store's module is imported with the first reference to it: the helper that clients start for a key reads this.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.scheme import Scheme

# By its name, the module whose `SCHEME` is all of it, in the order in which hints name them.
SCHEMES = {
    "env": "mahavishnu.ai.secrets.in_environment",
    "keyring": "mahavishnu.ai.secrets.in_keyring",
    "file": "mahavishnu.ai.secrets.in_file",
    "oneiric": "mahavishnu.ai.secrets.oneiric.scheme",
    "gateway": "mahavishnu.ai.secrets.in_gateway",
}


def scheme_of(name: str) -> "Scheme":
    """Return a scheme of `SCHEMES`."""
    found: Scheme = import_module(SCHEMES[name]).SCHEME
    return found
