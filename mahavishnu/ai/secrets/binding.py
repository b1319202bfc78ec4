"""
A key belongs to one endpoint: scheme, host and port; only a client that asks just there gets it.

What is not plainly an address is refused, since clients read odd ones in other ways than we would.
"""

import string
from typing import NamedTuple

from mahavishnu.base.errors import UsageError
from mahavishnu.base.hosts import is_this_machine

_PORTS = {"http": 80, "https": 443}
_HOST = frozenset(string.ascii_lowercase + string.digits + "-._")
_ADDRESS = frozenset(string.hexdigits + ":.")
_PATH = frozenset(string.ascii_letters + string.digits + "-._~/:+%")


class Origin(NamedTuple):
    """Where requests go; two are one where all three are equal."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def origin_of(url: str) -> Origin:
    """
    Return where requests to a base URL go.

    Raises:
        UsageError: `secret.endpoint`; `secret.insecure_endpoint`, where the key would travel in the open.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    authority, _, path = rest.partition("/")
    if scheme not in _PORTS or not separator or not _PATH.issuperset(path):
        raise _bad()
    host, port = _split(authority.lower())
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65_536:
        raise _bad()
    if scheme == "http" and not is_this_machine(host):
        raise UsageError(
            f"The key would travel unencrypted to {host}.",
            hint="Use https, or a tunnel that ends on this machine.",
            code="secret.insecure_endpoint",
        )
    return Origin(scheme, host, number)


def origin_or_none(url: str) -> Origin | None:
    """Return the same; None for what is no such address."""
    try:
        return origin_of(url)
    except UsageError:
        return None


def _split(authority: str) -> tuple[str, str]:
    """Return host and port, the latter empty where none is given; a name or password is refused."""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        mark, port = rest[:1], rest[1:]
        known = bracket and _ADDRESS.issuperset(host[1:]) and host.count(":") > 1
        host = f"{host}]"
    else:
        host, mark, port = authority.partition(":")
        host = host.removesuffix(".")
        known = host and _HOST.issuperset(host) and ".." not in host and host[0] != "."
    if not known or mark not in ("", ":") or (mark and not port):
        raise _bad()
    if port and not (port.isascii() and port.isdecimal() and len(port) <= 5):
        raise _bad()
    return host, port


def _bad() -> UsageError:
    return UsageError(
        "This is not the address of an endpoint, or it has a password, a query or odd characters.",
        hint="For example: https://api.anthropic.com",
        code="secret.endpoint",
    )
