"""A stdio server of MCP spoken to line by line, bad lines and all; the SDK's client is too polite."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from tests.support.command import Command
from tests.support.daemon import STDIO

HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


class Line:
    """A stdio server that is spoken to line by line; everything that it says is kept."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said: list[bytes] = []
        self._news = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)

    def read_on(self) -> None:
        """Begin to read what it says."""
        self._reading.start()

    def wait_for_end(self) -> None:
        """Wait until everything was read that a process that is gone had said."""
        if self._reading.ident is not None:
            self._reading.join(60)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self.said.append(line)
                self._news.notify_all()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it said; asserts that each line is a message of the protocol."""
        decoded = [json.loads(line) for line in self.said]
        assert all(each["jsonrpc"] == "2.0" for each in decoded)
        return decoded

    def write(self, raw: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def send(self, method: str, params: object = None, number: int | None = None) -> None:
        body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        self.write(json.dumps(body if number is None else {**body, "id": number}).encode() + b"\n")

    def answer(self, number: int | None, timeout_s: float = 20) -> dict[str, Any]:
        """Wait for the answer to a request."""

        def found() -> list[dict[str, Any]]:
            return [m for m in self.messages if "method" not in m and m.get("id") == number]

        with self._news:
            assert self._news.wait_for(lambda: bool(found()), timeout_s), self.said
        return found()[0]

    def ask(self, number: int, method: str, params: object = None) -> dict[str, Any]:
        self.send(method, params, number)
        return self.answer(number)

    def tool(self, number: int, name: str, **arguments: object) -> dict[str, Any]:
        answered = self.ask(number, "tools/call", {"name": name, "arguments": arguments})
        result: dict[str, Any] = answered["result"]
        assert not result.get("isError"), result
        return dict(result["structuredContent"])


@contextlib.contextmanager
def served(
    command: Command, *words: str, reading: bool = True, greet: bool = True
) -> Iterator[Line]:
    """Start `mcp serve` and greet it; afterwards it is gone."""
    process = command.start(*words, *STDIO, stdin=subprocess.PIPE)
    line = Line(process)
    try:
        if reading:
            line.read_on()
        if greet:
            hello = line.ask(0, "initialize", HELLO)
            assert hello["result"]["serverInfo"]["name"] == "mahavishnu"
            line.send("notifications/initialized")
        yield line
    finally:
        process.kill()
        line.wait_for_end()  # its thread reads what is closed then
        dispose(process)


def dispose(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and close what led to it."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            assert stream
            stream.close()


def end(line: Line) -> tuple[int, bytes]:
    """Close its input; returns the exit code and what it said on stderr."""
    assert line.process.stdin and line.process.stderr
    line.process.stdin.close()
    err = line.process.stderr.read()
    return line.process.wait(120), err
