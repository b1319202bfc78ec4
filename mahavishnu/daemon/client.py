"""Speak to the running daemon from the same machine: small requests, answered soon. Blocking."""

import http.client
import json
from pathlib import Path
from typing import Any

from mahavishnu.daemon.record import HOST, DaemonRecord, find_listening
from mahavishnu.daemon.token import read_token
from mahavishnu.errors import MahavishnuError, NotFound, Unavailable

TIMEOUT_S = 10.0


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

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """
        Return the decoded JSON answer.

        Raises:
            Unavailable: `daemon.unreachable`, or the daemon's own words where it refuses.
        """
        connection = http.client.HTTPConnection(HOST, self.record.port, timeout=self._timeout_s)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The daemon does not answer at {self.record.url}.",
                hint="See how it is: mahavishnu status",
                code="daemon.unreachable",
            ) from error
        finally:
            connection.close()
        try:
            decoded = json.loads(text)
        except ValueError as error:
            raise Unavailable(
                f"The daemon answered {status} with what is no JSON.", code="daemon.unreachable"
            ) from error
        if status >= 400:
            raise _as_told(decoded, status)
        return decoded


def not_running() -> NotFound:
    """Return the error for a daemon that is not there."""
    return NotFound(
        "No daemon is running.",
        hint="Start it with: mahavishnu up --detach",
        code="daemon.not_running",
    )


def _as_told(decoded: Any, status: int) -> MahavishnuError:
    told = decoded.get("error", {}) if isinstance(decoded, dict) else {}
    return Unavailable(
        str(told.get("message", f"The daemon answered {status}.")),
        hint=told.get("hint"),
        code=str(told.get("code", "daemon.unreachable")),
    )
