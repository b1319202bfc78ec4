"""
The parameters behind the `?` of a PostgreSQL URL: which count, which may be left out, which may not.

PostgreSQL's own programs know more of them than the driver, which hands each name it does not know to
the server as a setting. So nothing reaches it that is not in `HONOURED`.
"""

import difflib
from urllib.parse import unquote, unquote_plus

from mahavishnu.base.errors import UsageError

# The driver acts on these, or the server does: `options`.
HONOURED = frozenset(
    "host port dbname user password passfile service options target_session_attrs"
    " sslmode sslnegotiation sslcert sslkey sslpassword sslrootcert sslcrl"
    " ssl_min_protocol_version ssl_max_protocol_version krbsrvname gsslib".split()
)
# They change neither which server is reached nor how safely; or we decide (name, encoding, time-out).
IGNORED = frozenset(
    "application_name fallback_application_name client_encoding connect_timeout keepalives"
    " keepalives_idle keepalives_interval keepalives_count tcp_user_timeout load_balance_hosts"
    " sslcompression sslsni gssdelegation".split()
)
# With these words they ask for nothing that is missing here, and are ignored.
HARMLESS = {
    "channel_binding": frozenset({"prefer", "disable"}),
    "gssencmode": frozenset({"prefer", "disable"}),
    "sslcertmode": frozenset({"allow"}),
    "replication": frozenset({"false", "off", "no", "0"}),
}
# They ask for more safety than the driver has, or for another server: leaving them out would deceive.
REFUSED = frozenset({"require_auth", "requirepeer", "hostaddr", "sslcrldir"})
WORDS = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs":
        ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}  # fmt: skip
HINTS = {
    "channel_binding": "Take it out. What makes sure of the server instead is sslmode=verify-full.",
    "sslrootcert": "Name a file with the certificates, for example of your system.",
}


def keep_honoured(query: str, *, setting: str) -> str:
    """
    Return the part of `query` that the driver is to be given.

    `setting` is the name of the address in messages.

    Raises:
        UsageError: `settings.invalid_dsn`, for a parameter that is unknown or cannot be honoured.
    """
    kept = []
    for item in filter(None, query.split("&")):
        raw, _, text = item.partition("=")
        name, value = unquote(raw), unquote_plus(text)
        if (name, value) == (
            "ssl",
            "true",
        ):  # the word of JDBC, which PostgreSQL's programs take too
            item, name, value = "sslmode=require", "sslmode", "require"
        _check(name, value, setting)
        if name in HONOURED:
            kept.append(item)
    return "&".join(kept)


def _check(name: str, value: str, setting: str) -> None:
    if name in IGNORED or value in HARMLESS.get(name, ()):
        return
    if name in HARMLESS.keys() | REFUSED or (name, value) == ("sslrootcert", "system"):
        raise UsageError(
            f"postgresql.{setting} asks for {name}={value}, which this program cannot do.",
            hint=HINTS.get(name, "Take it out, if you can do without."),
            code="settings.invalid_dsn",
        )
    if name not in HONOURED:
        near = difflib.get_close_matches(name, HONOURED | IGNORED | HARMLESS.keys(), n=1)
        raise UsageError(
            f"postgresql.{setting} has the parameter {name!r}, which PostgreSQL does not know.",
            hint=f"Did you mean {near[0]}?"
            if near
            else "Take it out; a setting of the server is written options=-c%20name%3Dvalue.",
            code="settings.invalid_dsn",
        )
    if name == "port" and not all(port.isdecimal() for port in value.split(",")):
        raise UsageError(f"postgresql.{setting} has a wrong port.", code="settings.invalid_dsn")
    if name in WORDS and value not in WORDS[name]:
        raise UsageError(
            f"postgresql.{setting} has a wrong {name}.",
            hint=f"It is one of: {', '.join(WORDS[name])}.",
            code="settings.invalid_dsn",
        )
