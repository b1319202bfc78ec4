"""Which PostgreSQL to talk to: the embedded one, or a server named by a DSN or by parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

MASK = "***"


@dataclass(frozen=True)
class Target:
    """
    A reachable database.

    `parameters` are `asyncpg.connect` keywords for everyday work; `direct` those for migrations and
    LISTEN, which a transaction-mode pooler breaks. `pooled` says that the two differ.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    direct: Mapping[str, Any] = field(repr=False)
    pooled: bool
    embedded: bool
    shown: str

    @property
    def url(self) -> str:
        """The DSN for other programs, password included; never log it."""
        return str(self.parameters.get("dsn") or self.shown)


def target_of_dsn(dsn: str, direct_dsn: str | None = None) -> Target:
    """Return the target for a DSN; a second, direct DSN means that the first goes to a pooler."""
    return Target(
        parameters={"dsn": dsn},
        direct={"dsn": direct_dsn or dsn},
        pooled=direct_dsn is not None,
        embedded=False,
        shown=mask_password(dsn),
    )


def target_of_socket(folder: str) -> Target:
    """Return the target for the embedded server listening in `folder`."""
    dsn = f"postgresql://mahavishnu@/mahavishnu?host={quote(folder, safe='')}"
    return Target(
        parameters={"dsn": dsn}, direct={"dsn": dsn}, pooled=False, embedded=True, shown=dsn
    )


def build_dsn(
    *, host: str, port: int | None, database: str | None, user: str | None, password: str | None
) -> str:
    """Return a DSN of the given parts; a host that starts with `/` is a socket folder."""
    credentials = quote(user, safe="") if user else ""
    if password:
        credentials += ":" + quote(password, safe="")
    if credentials:
        credentials += "@"
    name = quote(database or "", safe="")
    if host.startswith("/"):
        suffix = f"&port={port}" if port else ""
        return f"postgresql://{credentials}/{name}?host={quote(host, safe='')}{suffix}"
    shown = f"[{host}]" if ":" in host else host
    return f"postgresql://{credentials}{shown}{f':{port}' if port else ''}/{name}"


def mask_password(dsn: str) -> str:
    """Return `dsn` with its password, in the address or in the query, replaced by `***`."""
    parts = urlsplit(dsn)
    location = parts.netloc
    if "@" in location:
        credentials, _, host = location.rpartition("@")
        user, colon, _ = credentials.partition(":")
        location = f"{user}{colon}{MASK if colon else ''}@{host}"
    query = "&".join(
        f"{name}={MASK}"
        if name.lower() in {"password", "passfile", "sslpassword"}
        else f"{name}{eq}{value}"
        for name, eq, value in (item.partition("=") for item in parts.query.split("&"))
    )
    return urlunsplit((parts.scheme, location, parts.path, query, parts.fragment))
