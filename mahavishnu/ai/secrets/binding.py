"""
A key belongs to one endpoint: scheme, host and port; only a client that asks just there gets it.

What is not plainly an address is refused, since clients read odd ones in other ways than we would.
"""

import string
from collections.abc import Mapping
from typing import NamedTuple

from mahavishnu.base.errors import Forbidden, UsageError
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


class Client(NamedTuple):
    """
    What of a client's environment tells its endpoint: the variable, and the endpoint without it.

    No variable: the client hands nothing on that tells (`codex_settings` looks for it). One of `clouds`,
    and the variable is passed over: the client takes the key to that cloud.
    """

    variable: str = ""
    default: str = ""
    clouds: tuple[str, ...] = ()


_OFF = frozenset({"", "0", "false", "no", "off"})
_CLOUDS = ("BEDROCK", "VERTEX", "FOUNDRY", "MANTLE", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD")

# Claude Code hands the environment of its settings on to the helper.
CLIENTS = {
    "claude-code": Client(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        tuple(f"CLAUDE_CODE_USE_{name}" for name in _CLOUDS),
    ),
    "codex": Client(),
}


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


def require_bound(bound: str, client: str, environ: Mapping[str, str]) -> None:
    """
    Refuse unless the client, by the environment it gave, asks where the key is bound to.

    Raises:
        Forbidden: `secret.other_host`, `secret.unchecked_tls`.
        UsageError: as `origin_of`; `secret.client`.
    """
    if client not in CLIENTS:
        raise UsageError(
            f"There is no client {client!r}.",
            hint=f"Clients that ask for keys: {', '.join(CLIENTS)}.",
            code="secret.client",
        )
    wanted = origin_of(bound)
    variable, default, clouds = CLIENTS[client]
    if not variable:
        return
    cloud = next((name for name in clouds if environ.get(name, "").lower() not in _OFF), None)
    if cloud:
        raise Forbidden(
            f"The key is bound to {wanted}, and the client asks a cloud instead ({cloud}).",
            hint="Take that variable out of the environment, or switch with: mahavishnu ai switch-llm",
            code="secret.other_host",
        )
    asked = _origin_or_none(environ.get(variable) or default)
    if asked != wanted:
        raise Forbidden(
            f"The key is bound to {wanted}, and the client asks {asked or 'an address of another kind'}"
            f" ({variable}{'' if environ.get(variable) else ' is not set'}).",
            hint="Switch with: mahavishnu ai switch-llm",
            code="secret.other_host",
        )
    if wanted.scheme == "https" and environ.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        raise Forbidden(
            f"The client does not check who answers for {wanted} (NODE_TLS_REJECT_UNAUTHORIZED is 0).",
            hint="Take that variable out of the environment and the client's settings.",
            code="secret.unchecked_tls",
        )


def _origin_or_none(url: str) -> Origin | None:
    try:
        return origin_of(url)
    except UsageError:
        return None


def _bad() -> UsageError:
    return UsageError(
        "This is no address of an endpoint, or one with a password, a query or odd characters.",
        hint="For example: https://api.anthropic.com",
        code="secret.endpoint",
    )
