"""
Whether a client would send what is for this machine, unencrypted, through a proxy of its environment.

Such a proxy can read the key. Each client reads NO_PROXY in its own way; here counts what the strictest of them
takes: whole hosts between commas, in both variables where both are set. Tests against the real clients show it.
"""

from collections.abc import Mapping

from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.base.errors import Forbidden

EXCEPTIONS = ("NO_PROXY", "no_proxy")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")
_HTTP, _HTTPS = ("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy")
_ALL = ("ALL_PROXY", "all_proxy")
# The variables whose proxy a client uses for http.
PROXIES = {
    "claude-code": (*_HTTP, *_HTTPS, *_ALL),
    "codex": (*_HTTP, *_ALL),
    "qwen": (*_HTTP, *_HTTPS),
}


def require_no_proxy(url: str, client: str, environ: Mapping[str, str]) -> None:
    """
    Refuse where a proxy would read what the client sends to `url`; through https it reads nothing.

    Raises:
        Forbidden: `secret.proxy`.
    """
    origin = origin_of(url)
    named = next((name for name in PROXIES[client] if environ.get(name)), None)
    if origin.scheme == "https" or named is None or _is_excepted(origin.host, client, environ):
        return
    known = origin.host in LOCAL_HOSTS
    hosts = ",".join(LOCAL_HOSTS if known else (*LOCAL_HOSTS, origin.host.strip("[]")))
    raise Forbidden(
        f"Requests for {origin} would go through the proxy in {named}, which could read the key.",
        hint=f"Add {hosts} to NO_PROXY and no_proxy where the client is started.",
        code="secret.proxy",
    )


def _is_excepted(host: str, client: str, environ: Mapping[str, str]) -> bool:
    # Of an IPv6 address, Qwen Code takes the form with brackets alone, Codex the one without.
    name = host if client == "qwen" else host.strip("[]")
    given = [environ[each] for each in EXCEPTIONS if each in environ]
    return bool(given) and all(_names(each, name, client) for each in given)


def _names(exceptions: str, host: str, client: str) -> bool:
    hosts = [each.strip().lower() for each in exceptions.split(",")]
    # For Codex * stands for names, and not for addresses.
    return host in hosts or (hosts == ["*"] and client != "codex")
