"""
Whether a client, by its environment, takes a key just where the key is bound to, and nobody between can read it.

A proxy can read what goes to this machine unencrypted. Each client reads NO_PROXY in its own way; here counts
what the strictest of them takes: whole hosts between commas, in both variables where both are set. Tests against
the real clients show it.
"""

from collections.abc import Mapping

from mahavishnu.ai.clients.facts import Facts
from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.ai.secrets.binding import origin_of, origin_or_none
from mahavishnu.base.errors import Forbidden, UsageError

EXCEPTIONS = ("NO_PROXY", "no_proxy")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")
_OFF = frozenset({"", "0", "false", "no", "off"})


def find_clouds(facts: Facts, environ: Mapping[str, str]) -> list[str]:
    """Return the variables by which the client asks a cloud, and takes the key there."""
    return [name for name in facts.clouds if environ.get(name, "").lower() not in _OFF]


def require_bound(bound: str, client: str, environ: Mapping[str, str]) -> None:
    """
    Refuse unless the client, by the environment it gave, asks where the key is bound to.

    Raises:
        Forbidden: `secret.other_host`, `secret.unchecked_tls`.
        UsageError: as `origin_of`; `secret.client`.
    """
    if client not in PACKAGES or not facts_of(client).key_settings:
        raise UsageError(
            f"There is no client {client!r}.",
            hint=f"Clients that ask for keys: {', '.join(asking_clients())}.",
            code="secret.client",
        )
    wanted, facts = origin_of(bound), facts_of(client)
    variable = facts.url_variable
    if not variable:
        return
    clouds = find_clouds(facts, environ)
    if clouds:
        raise Forbidden(
            f"The key is bound to {wanted}, and the client asks a cloud instead ({clouds[0]}).",
            hint="Take that variable out of the environment, or switch with: mahavishnu ai switch-llm",
            code="secret.other_host",
        )
    asked = origin_or_none(environ.get(variable) or facts.default_url)
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


def asking_clients() -> list[str]:
    """Return the clients that ask a command for their key."""
    return [name for name in PACKAGES if facts_of(name).key_settings]


def require_no_proxy(url: str, client: str, environ: Mapping[str, str]) -> None:
    """
    Refuse where a proxy would read what the client sends to `url`; through https it reads nothing.

    Raises:
        Forbidden: `secret.proxy`.
    """
    origin, facts = origin_of(url), facts_of(client)
    named = next((name for name in facts.proxies if environ.get(name)), None)
    if origin.scheme == "https" or named is None or _is_excepted(origin.host, facts, environ):
        return
    known = origin.host in LOCAL_HOSTS
    hosts = ",".join(LOCAL_HOSTS if known else (*LOCAL_HOSTS, origin.host.strip("[]")))
    raise Forbidden(
        f"Requests for {origin} would go through the proxy in {named}, which could read the key.",
        hint=f"Add {hosts} to NO_PROXY and no_proxy where the client is started.",
        code="secret.proxy",
    )


def _is_excepted(host: str, facts: Facts, environ: Mapping[str, str]) -> bool:
    name = host if facts.brackets else host.strip("[]")
    given = [
        [each.strip().lower() for each in environ[variable].split(",")]
        for variable in EXCEPTIONS
        if variable in environ
    ]
    stars = [["*"]] if facts.star else []
    return bool(given) and all(name in hosts or hosts in stars for hosts in given)
