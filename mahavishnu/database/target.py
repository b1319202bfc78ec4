"""Which PostgreSQL to talk to: the embedded one, or a server named by a DSN or by parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import MASK
from mahavishnu.database.embedded.state import PORT
from mahavishnu.database.parameters import keep_honoured

SCHEMES = frozenset({"postgresql", "postgres"})
_PASSWORDS = frozenset({"password", "passfile", "sslpassword"})
# What the driver would take from PGSSLMODE and the like, which mean a server of the user's.
_NOT_FROM_ENVIRONMENT = {
    "password": "",
    "ssl": "disable",
    "direct_tls": False,
    "target_session_attrs": "any",
    "krbsrvname": "",
    "gsslib": "gssapi",
}


@dataclass(frozen=True)
class Target:
    """
    A reachable database.

    `parameters` are `asyncpg.connect` keywords for everyday work; `direct` those for migrations and
    LISTEN, which a transaction-mode pooler breaks. `pooled` says that the two differ. `url` is for
    other programs, as it was given, password included: never log it.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    direct: Mapping[str, Any] = field(repr=False)
    pooled: bool
    embedded: bool
    shown: str
    url: str = field(repr=False)


def target_of_dsn(dsn: str, direct_dsn: str | None = None) -> Target:
    """
    Return the target for a DSN; a second, direct DSN means that the first goes to a pooler.

    Raises:
        UsageError: `settings.invalid_dsn`, where one of them is no PostgreSQL URL, or asks for what
            cannot be done.
    """
    parameters = {"dsn": _for_driver(dsn, "dsn")}
    return Target(
        parameters=parameters,
        direct={"dsn": _for_driver(direct_dsn, "direct_dsn")} if direct_dsn else parameters,
        pooled=direct_dsn is not None,
        embedded=False,
        shown=mask_password(dsn),
        url=dsn,
    )


def target_of_socket(folder: str) -> Target:
    """Return the target for the embedded server listening in `folder`."""
    dsn = f"postgresql://mahavishnu@/mahavishnu?host={quote(folder, safe='')}&port={PORT}"
    parameters = {"dsn": dsn, **_NOT_FROM_ENVIRONMENT}
    return Target(
        parameters=parameters,
        direct=parameters,
        pooled=False,
        embedded=True,
        shown=dsn,
        url=dsn,
    )


def configured_target(
    *,
    dsn: str | None,
    direct_dsn: str | None,
    host: str | None,
    port: int | None,
    database: str,
    user: str | None,
    password: str | None,
) -> Target | None:
    """
    Return the server that the settings name, whole or in parts; None means the embedded one.

    Raises:
        UsageError: `settings.invalid_dsn`, for a direct address alone too.
    """
    if not dsn and host:
        dsn = build_dsn(host=host, port=port, database=database, user=user, password=password)
    if dsn:
        return target_of_dsn(dsn, direct_dsn)
    if direct_dsn:
        raise UsageError(
            "postgresql.direct_dsn is set, but neither postgresql.dsn nor a host.",
            hint="Without a pooler, the address belongs into postgresql.dsn (MAHAVISHNU_PG_DSN).",
            code="settings.invalid_dsn",
        )
    return None


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
    """
    Return `dsn` with its password, in the address or in the query, replaced by `***`.

    Of what is no PostgreSQL URL nothing is shown: the password may be anywhere in it.
    """
    parts = _split(dsn)
    if parts is None:
        return MASK
    location = parts.netloc
    if "@" in location:
        credentials, _, host = location.rpartition("@")
        user, colon, _ = credentials.partition(":")
        location = f"{user}{colon}{MASK if colon else ''}@{host}"
    query = "&".join(
        f"{name}={MASK}" if name.lower() in _PASSWORDS else f"{name}{eq}{value}"
        for name, eq, value in (item.partition("=") for item in parts.query.split("&"))
    )
    return _join(parts, netloc=location, query=query)


def split_password(dsn: str) -> tuple[str, str | None]:
    """Return `dsn` without its password, and the password, for a program that is given both."""
    parts = urlsplit(dsn)
    credentials, at, host = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    query = parse_qsl(parts.query)
    word = next((value for name, value in query if name == "password"), None)
    kept = urlencode([item for item in query if item[0] != "password"], quote_via=quote)
    stripped = _join(parts, netloc=f"{user}{at}{host}", query=kept)
    return stripped, unquote(password) or word


def database_of(dsn: str) -> str | None:
    """Return the database that a PostgreSQL URL names; None where it leaves that open."""
    parts = urlsplit(dsn)
    return unquote(parts.path[1:]) or dict(parse_qsl(parts.query)).get("dbname")


def place_of(dsn: str) -> str:
    """Return user, servers and database of a PostgreSQL URL, as far as it names them; never its password."""
    parts = urlsplit(dsn)
    given = dict(parse_qsl(parts.query))
    credentials, _, servers = parts.netloc.rpartition("@")
    user = given.get("user") or unquote(credentials.partition(":")[0])
    return f"{user}@{servers or given.get('host', '')}/{database_of(dsn) or ''}"


def override_dsn(
    dsn: str,
    *,
    port: str | None = None,
    database: str | None = None,
    user: str | None = None,
    password: str | None = None,
) -> str:
    """Return `dsn` with the given parts in place of its own; its host stays."""
    parts = _split(dsn)
    if parts is None:
        return dsn  # refused where it is used
    credentials, _, host = parts.netloc.rpartition("@")
    own_user, _, own_password = credentials.partition(":")
    name, secret = quote(user, safe="") if user else own_user, own_password
    if password:
        secret = quote(password, safe="")
    if port and host:
        bare = host[: host.rindex(":")] if re.search(r":\d+$", host) else host
        host = f"{bare}:{port}"
    dropped = {
        word
        for word, given in (("user", user), ("password", password), ("dbname", database))
        if given
    }
    items = [item for item in parts.query.split("&") if item.partition("=")[0] not in dropped]
    if port and not host:
        items = [item for item in items if not item.startswith("port=")] + [f"port={port}"]
    login = f"{name}{':' if secret else ''}{secret}"
    path = "/" + quote(database, safe="") if database else parts.path
    return _join(
        parts._replace(path=path),
        netloc=f"{login}{'@' if login else ''}{host}",
        query="&".join(item for item in items if item),
    )


def _for_driver(dsn: str, setting: str) -> str:
    parts = _split(dsn)
    if parts is None:
        raise UsageError(
            f"postgresql.{setting} is not a PostgreSQL URL.",
            hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "with %-escapes for special characters in a password.",
            code="settings.invalid_dsn",
        )
    return _join(parts, netloc=parts.netloc, query=keep_honoured(parts.query, setting=setting))


def _join(parts: SplitResult, *, netloc: str, query: str) -> str:
    """Return the URL of its parts; unlike urlunsplit it keeps the slashes of an empty address."""
    return f"{parts.scheme}://{netloc}{parts.path}{'?' if query else ''}{query}"


def _split(dsn: str) -> SplitResult | None:
    """Return the parts of a PostgreSQL URL; None where it is none, or a character lacks its escape."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return None
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    well_formed = (
        parts.scheme in SCHEMES
        and dsn.startswith(f"{parts.scheme}://")
        and not parts.fragment
        and parts.netloc.count("@") <= 1
        and "@" not in parts.path
        and all(not port or (port.isdecimal() and int(port) <= 65_535) for port in ports)
        and all("=" in item for item in parts.query.split("&") if parts.query)
    )
    return parts if well_formed else None
