"""Units run by a supervisord of the user's, which is asked by XML-RPC on its socket."""

import asyncio
import base64
import contextlib
import http.client
import socket
import xmlrpc.client
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from mahavishnu.base.errors import Unavailable
from mahavishnu.services.backends.owned_files import place, sealed
from mahavishnu.services.backends.supervisord_files import SupervisordPlaces, render_program
from mahavishnu.services.backends.system_backend import not_started, unreachable
from mahavishnu.services.units.backend import RunState, UnitState
from mahavishnu.services.units.unit import Unit

ASK_TIMEOUT_S = 10.0
START_TIMEOUT_S = 30.0  # it counts as started after a second
SLACK_S = 15.0  # beyond the grace that a unit has
# Of its faults: http://supervisord.org/api.html
BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90
_STATES: dict[str, RunState] = {
    "STARTING": "running",
    "RUNNING": "running",
    "STOPPING": "running",
    "BACKOFF": "failed",
    "FATAL": "failed",
    "UNKNOWN": "failed",
}


class SupervisordBackend:
    """Runs units as programs of their names; a `SystemBackend`. A program of the user's is taken as it is."""

    def __init__(self, settings: SupervisordPlaces, logs: Path) -> None:
        self._settings = settings
        self._logs = logs

    def knows(self, name: str) -> bool:
        """Tell whether it has a program of that name which we did not write, or runs ours."""
        if not self._settings.socket.exists() or self._info(name) is None:
            return False
        ours = self._settings.file_of(name).exists()
        return not ours or self.state(name).state == "running"

    async def check(self, unit: Unit) -> None:
        """Raise `service.backend_cannot`, where a program's file cannot say what the unit is."""
        render_program(unit, log=self._own_log(unit.name))

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:  # noqa: ARG002 - it does not count
        """Start a program, and write its file first, unless it is the user's; as `Backend.start`."""
        await asyncio.to_thread(self._start, unit)

    async def stop(self, unit: Unit) -> None:
        """Stop a program and its process group."""
        await asyncio.to_thread(self._stop, unit)

    def state(self, name: str) -> UnitState:
        """Return what it says of a program."""
        info = self._info(name)
        if info is None:
            return UnitState(state="stopped", why="supervisord has no program of that name.")
        failed = info["statename"] == "EXITED" and info["exitstatus"] != 0
        state = "failed" if failed else _STATES.get(info["statename"], "stopped")
        return UnitState(
            state=state,
            pid=info["pid"] or None,
            since=datetime.fromtimestamp(info["start"], UTC) if info["start"] else None,
            why=info["spawnerr"] or ("" if state == "running" else _ending(info)),
        )

    def log(self, name: str) -> Path:
        """Return the file that a program prints to, as supervisord says, or as we would say."""
        try:
            info = self._info(name)
        except Unavailable:
            info = None
        told = info["stdout_logfile"] if info else ""
        return Path(told) if told else self._own_log(name)

    def _own_log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _start(self, unit: Unit) -> None:
        path = self._settings.file_of(unit.name)
        known = self._info(unit.name) is not None
        if path.exists() or not known:
            # The daemon says what starts when: supervisord alone must not.
            text = render_program(
                structs.replace(unit, enabled=False), log=self._own_log(unit.name)
            )
            self._logs.mkdir(parents=True, exist_ok=True)
            if place(path, sealed(text)) or not known:
                self._update(unit, known=known)
        try:
            with self._asked(START_TIMEOUT_S) as supervisor:
                supervisor.startProcess(unit.name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                why = self.state(unit.name).why
                raise not_started(unit, "supervisord", f"{fault.faultString} {why}") from fault

    def _stop(self, unit: Unit) -> None:
        try:
            with self._asked(unit.grace_s + SLACK_S) as supervisor:
                supervisor.stopProcess(unit.name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (BAD_NAME, NOT_RUNNING):
                raise unreachable("supervisord", fault.faultString) from fault

    def _update(self, unit: Unit, *, known: bool) -> None:
        """Let it read the file of one program; what else changed in its folder is the user's to take over."""
        try:
            with self._asked(unit.grace_s + SLACK_S) as supervisor:
                supervisor.reloadConfig()
                if known:
                    supervisor.stopProcessGroup(unit.name)
                    supervisor.removeProcessGroup(unit.name)
                supervisor.addProcessGroup(unit.name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_ADDED:
                raise not_started(unit, "supervisord", fault.faultString) from fault

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            with self._asked(ASK_TIMEOUT_S) as supervisor:
                info = supervisor.getProcessInfo(name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != BAD_NAME:
                raise unreachable("supervisord", fault.faultString) from fault
            return None
        assert isinstance(info, dict)
        return info

    @contextlib.contextmanager
    def _asked(self, timeout_s: float) -> Iterator[Any]:
        """Yield what answers; raises `service.backend_unreachable`, and its own faults as they are."""
        transport = _SocketTransport(self._settings, timeout_s)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                yield proxy.supervisor
        except (
            xmlrpc.client.ProtocolError
        ) as error:  # its text has the headers, and thereby the password
            raise unreachable("supervisord", f"{error.errcode} {error.errmsg}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.ResponseError) as error:
            raise unreachable("supervisord", str(error)) from error


class _SocketTransport(xmlrpc.client.Transport):
    """XML-RPC on a socket in the file system."""

    def __init__(self, settings: SupervisordPlaces, timeout_s: float) -> None:
        words = f"{settings.username}:{settings.password}".encode()
        signed = ("Authorization", f"Basic {base64.b64encode(words).decode()}")
        super().__init__(headers=[signed] if settings.username else [])
        self._path, self._timeout_s = settings.socket, timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """Return the connection to the socket, which is closed with this."""
        connection = self._connection[1]
        if connection is None:
            connection = _SocketConnection(self._path, self._timeout_s)
            self._connection = host, connection
        return connection


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _ending(info: dict[str, Any]) -> str:
    return f"It ended with status {info['exitstatus']}." if info["stop"] else ""
