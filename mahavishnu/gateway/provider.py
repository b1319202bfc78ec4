"""Ask one endpoint of a provider: through the proxies of the environment, and never where a redirect leads."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from mahavishnu.base.hosts import is_this_machine

_CONNECTIONS = 0  # no bound here: requests are bounded where they come in
_KEPT_S = 30
_PIECE = 256 * 1024
_READ_AHEAD = 64 * 1024  # bytes; beyond twice as many the provider has to wait


class UnusableProxy(OSError):
    """The environment names a proxy that cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """
    How long, in seconds, is waited: to connect, for the first byte of an answer, and between two pieces of it.

    `held_s` is how long a stream is held that says nothing: a client has to see that its provider is still there.
    """

    connect_s: float = 10.0
    first_s: float = 300.0
    between_s: float = 300.0
    held_s: float = 10.0


class ProviderSession:
    """Open connections to providers, within an `async with` block."""

    def __init__(self, environ: Mapping[str, str], times: Times) -> None:
        self._environ = environ
        self.times = times

    async def __aenter__(self) -> "ProviderSession":
        watched = aiohttp.TraceConfig()
        watched.on_connection_reuseconn.append(_note_reuse)
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.times.connect_s, sock_read=self.times.between_s
            ),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            read_bufsize=_READ_AHEAD,
            trace_configs=[watched],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        """
        Send a request to a URL as it is, and return its answer once the head of it is there.

        Raises:
            TimeoutError: it took longer than allowed.
            OSError, aiohttp.ClientError: nobody answers, or not in HTTP.
        """
        async with asyncio.timeout(self.times.first_s):
            reused: list[bool] = []
            try:
                return await self._send(method, url, headers, body, reused)
            except aiohttp.ServerDisconnectedError:
                if not reused:  # it may have been taken, and would be paid twice
                    raise
                # A kept connection that the provider had just given up; there is a new one for this.
                return await self._send(method, url, headers, body, [])

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, reused: list[bool]
    ) -> aiohttp.ClientResponse:
        return await self._session.request(
            method,
            URL(url, encoded=True),
            data=_in_pieces(body) if body else None,
            headers={**headers, "content-length": str(len(body))} if body else headers,
            allow_redirects=False,
            proxy=find_proxy(url, self._environ),
            trace_request_ctx=reused,
        )


async def _in_pieces(body: bytes) -> AsyncIterator[memoryview]:
    """Yield a body as it is sent: of bytes all would be written at once, and io.BytesIO would be a copy."""
    whole = memoryview(body)
    for at in range(0, len(body), _PIECE):
        yield whole[at : at + _PIECE]


async def pieces_of(answer: aiohttp.ClientResponse, held_s: float | None) -> AsyncIterator[bytes]:
    """Yield what comes; from `held_s` on, once, an empty piece."""
    end = None if held_s is None else asyncio.get_running_loop().time() + held_s
    while True:
        try:
            async with asyncio.timeout_at(end) as held:
                piece = await answer.content.readany()
        except TimeoutError:
            if not held.expired():
                raise
            end = None
            yield b""
            continue
        if not piece:
            return
        yield piece


async def _note_reuse(_session: object, context: Any, _about: object) -> None:
    context.trace_request_ctx.append(True)


def find_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy that the environment names for an address; never one for this machine.

    Raises:
        UnusableProxy: it does not speak HTTP.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(host):
        return None
    excepted = {"no": environ.get("no_proxy") or environ.get("NO_PROXY") or ""}
    if urllib.request.proxy_bypass_environment(host, excepted):  # type: ignore[attr-defined]
        return None
    names = (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    found = next((environ[name] for name in names if environ.get(name)), None)
    if found is None or "://" not in found:
        return found and f"http://{found}"
    scheme = urlsplit(found).scheme
    if scheme not in ("http", "https"):
        message = f"the proxy of the environment speaks {scheme[:20]}, not HTTP; set {parts.scheme.upper()}_PROXY"
        raise UnusableProxy(message)
    return found
