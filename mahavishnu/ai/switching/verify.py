"""
Ask a provider one cheap thing, as a client would, and say what came of it.

The key goes to the profile's own endpoint and nowhere else: who answers is checked, and no redirect is
followed. Proxies that the environment names are passed by.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.binding import Origin, origin_of
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.answers import AnswerVerdict, Reading, quotable, read_answer
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret

TIMEOUT_S = 20.0
MAX_BYTES = 64 * 1024
_PROMPT = "Say OK."
_LEAST_RESPONSE_TOKENS = 16  # fewer are refused by OpenAI's Responses
_NEWER_LIMIT = b"max_completion_tokens"

type Resolve = Callable[[Reference], Secret]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """
    What came of asking one endpoint of a profile.

    `code` is ours, of an error before anything was sent; `resets_at` when a quota is given again.
    """

    profile: str
    verdict: AnswerVerdict
    protocol: Protocol | None = None
    url: str = ""
    model: str | None = None
    status: int | None = None
    detail: str = ""
    code: str = ""
    resets_at: datetime | None = None
    duration_s: float = 0.0


def verify(
    profile: Profile,
    *,
    resolve: Resolve,
    timeout_s: float = TIMEOUT_S,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Trial]:
    """Ask each endpoint of the profile once; one whose key cannot be had is not asked."""
    if profile.auth == "native":
        return [
            Trial(
                profile=profile.name,
                verdict="untried",
                detail="The client's own sign-in is the client's alone and cannot be tried from here.",
            )
        ]
    try:
        key = resolve(profile.key) if profile.key else Secret("")
    except MahavishnuError as error:
        text = f"{error.message} {error.hint or ''}".strip()
        return [Trial(profile=profile.name, verdict="auth", code=error.code, detail=text)]
    return [
        _try_endpoint(profile, protocol, url, key, timeout_s=timeout_s, now=now)
        for protocol, url in profile.endpoints.items()
    ]


def _try_endpoint(
    profile: Profile,
    protocol: Protocol,
    url: str,
    key: Secret,
    *,
    timeout_s: float,
    now: Callable[[], datetime],
) -> Trial:
    model = profile.model or profile.small_model
    began = time.monotonic()
    status: int | None = None
    try:
        sending = _Sending(origin_of(url), _path_of(url), protocol, key.reveal(), timeout_s)
        status, headers, body = sending.ask(model)
        reading = read_answer(protocol, status, headers, body, key=key.reveal(), now=now())
    except ssl.SSLError as error:
        reading = Reading("tls", getattr(error, "verify_message", "") or error.reason or "")
    except (OSError, http.client.HTTPException) as error:
        reading = _failed(error, key.reveal())
    return Trial(
        profile=profile.name,
        verdict=reading.verdict,
        protocol=protocol,
        url=url,
        model=model,
        status=status,
        detail=reading.detail,
        resets_at=reading.resets_at,
        duration_s=round(time.monotonic() - began, 3),
    )


def _failed(error: Exception, key: str) -> Reading:
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return Reading("unexpected", quotable(f"This is not HTTP: {type(error).__name__}", key))
    if isinstance(error, TimeoutError):
        return Reading("unreachable", "It did not answer in time.")
    if isinstance(error, socket.gaierror):
        return Reading("unreachable", "There is no such host.")
    return Reading("unreachable", getattr(error, "strerror", None) or type(error).__name__)


@dataclass(frozen=True)
class _Sending:
    """Requests to one endpoint."""

    origin: Origin
    path: str
    protocol: Protocol
    key: str
    timeout_s: float

    def ask(self, model: str | None) -> tuple[int, Mapping[str, str], bytes]:
        """Ask for one token; without a model for the list of models, which needs the key too."""
        if model is None:
            listing = "/v1/models" if self.protocol == "anthropic" else "/models"
            return self._send("GET", listing, None)
        path, request = _request(self.protocol, model)
        answer = self._send("POST", path, request)
        if answer[0] == 400 and "max_tokens" in request and _NEWER_LIMIT in answer[2]:
            # OpenAI's later models know the limit by another name alone.
            request[_NEWER_LIMIT.decode()] = request.pop("max_tokens")
            answer = self._send("POST", path, request)
        return answer

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = self._connect()
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, self.path + path, text, self._headers())
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, self._read(response)
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host = self.origin.host.strip("[]")
        if self.origin.scheme == "http":
            return http.client.HTTPConnection(host, self.origin.port, timeout=self.timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, self.origin.port, timeout=self.timeout_s, context=context
        )

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        """Return the beginning of the body; one that drips is not waited for without end."""
        until = time.monotonic() + self.timeout_s
        body = b""
        while len(body) < MAX_BYTES and (piece := response.read1(MAX_BYTES - len(body))):
            body += piece
            if time.monotonic() > until:
                raise TimeoutError
        return body

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "mahavishnu",
        }
        if self.protocol == "anthropic":
            headers["anthropic-version"] = "2023-06-01"
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
            if self.protocol == "anthropic":
                headers["x-api-key"] = self.key  # Claude Code with a helper sends both
        return headers


def _request(protocol: Protocol, model: str) -> tuple[str, dict[str, Any]]:
    """Return path and body of the cheapest request."""
    said = [{"role": "user", "content": _PROMPT}]
    if protocol == "anthropic":
        return "/v1/messages", {"model": model, "max_tokens": 1, "messages": said}
    if protocol == "openai-chat":
        return "/chat/completions", {"model": model, "max_tokens": 1, "messages": said}
    limit = {"max_output_tokens": _LEAST_RESPONSE_TOKENS, "store": False}
    return "/responses", {"model": model, "input": _PROMPT, **limit}


def _path_of(url: str) -> str:
    _, slash, path = url.partition("://")[2].partition("/")
    return f"{slash}{path}".rstrip("/")
