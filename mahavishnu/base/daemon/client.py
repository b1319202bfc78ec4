"""Speak to the running daemon from the same machine: small requests, answered soon. Blocking."""

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mahavishnu import __version__
from mahavishnu.base.daemon.record import HOST, DaemonRecord, find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.telemetry.spans import trace_headers

TIMEOUT_S = 10.0
ANSWER_LIMIT_S = 6.0  # its own check of the database takes 5 at most
KINDS = {
    kind.http_status: kind for kind in (UsageError, Forbidden, NotFound, Conflict, Unavailable)
}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "mahavishnu", "version": __version__},
}


class DaemonClient:
    """Asks a daemon, with its token."""

    def __init__(self, record: DaemonRecord, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.record = record
        self._token = token
        self._timeout_s = timeout_s

    @classmethod
    def find(cls, lock: Path, token: Path) -> "DaemonClient":
        """
        Return a client of the daemon that serves the data directory of `lock`.

        Raises:
            NotFound: `daemon.not_running`; else as `read_token`.
        """
        record = find_listening(lock)
        if record is None:
            raise not_running()
        return cls(record, read_token(token))

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """
        Return the decoded JSON answer.

        Raises:
            Unavailable: `daemon.unreachable`.
            MahavishnuError: the daemon's own error.
        """
        status, text = self._send(method, path, body, headers or {})
        decoded = _decoded(text, status)
        if status >= 400:
            raise _as_told(decoded, status)
        return decoded

    def _send(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.record.port, timeout=self._timeout_s)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                    "Accept": "application/json, text/event-stream",
                    **trace_headers(),
                    **headers,
                },
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The daemon does not answer at {self.record.url}.",
                hint="If that lasts: mahavishnu down --force; mahavishnu up --detach",
                code="daemon.unreachable",
            ) from error
        finally:
            connection.close()

    def probe_mcp(self) -> tuple[dict[str, Any], list[str], float]:
        """Initialize over MCP and list the tools; returns who answered, the names, and how long it took (ms)."""
        started = time.perf_counter()
        hello = self._call("initialize", HELLO)
        listed = self._call("tools/list", {})
        spent_ms = (time.perf_counter() - started) * 1000
        return hello["serverInfo"], [tool["name"] for tool in listed["tools"]], spent_ms

    def _call(self, method: str, params: object) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, text = self._send("POST", "/mcp", message, {})
        if status >= 400:
            raise _as_told(_decoded(text, status), status)
        pieces = [line[5:] for line in text.splitlines() if line.startswith(b"data:")] or [text]
        try:
            return json.loads(pieces[-1])["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"{self.record.url}/mcp does not speak MCP.", code="daemon.unreachable"
            ) from error


def ask_health(port: int) -> int | None:
    """Return the HTTP status of what the daemon says of itself; None where it does not answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_LIMIT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except (OSError, OverflowError, http.client.HTTPException):  # or a port that cannot be
        return None
    finally:
        connection.close()


def not_running() -> NotFound:
    """Return the error for a daemon that is not there."""
    return NotFound(
        "No daemon is running.",
        hint="Start it with: mahavishnu up --detach",
        code="daemon.not_running",
    )


def _decoded(text: bytes, status: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unavailable(
            f"The daemon answered {status} with something other than JSON.",
            code="daemon.unreachable",
        ) from error


def _as_told(decoded: Any, status: int) -> MahavishnuError:
    """Return the daemon's own error, of the class that its status stands for."""
    told = decoded.get("error") if isinstance(decoded, dict) else None
    told = told if isinstance(told, dict) else {}
    kind = KINDS.get(status, Corrupt if status == 500 else Unavailable)
    return kind(
        str(told.get("message", f"The daemon answered {status}.")),
        hint=told.get("hint"),
        code=str(told.get("code", "daemon.unreachable")),
    )
