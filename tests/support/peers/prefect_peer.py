"""Prefect's own server on the loopback, and programs with flows that speak to it."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.support.command import Command
from tests.support.peers.llama_peer import ended

FLOWS = Path(__file__).with_name("prefect_flows.py")
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    "PYTHONPATH": str(FLOWS.parents[3]),
}
WAIT_S = 120.0


@dataclass(frozen=True)
class PrefectServer:
    """A running server; `home` is that of all that speaks to it."""

    url: str
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """What a program needs to reach it, and to keep its files away from the user's."""
        return {"PREFECT_API_URL": f"{self.url}/api", "PREFECT_HOME": str(self.home), **QUIET}

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what the API answers; asked again, as Prefect's client does, while its SQLite is locked (503)."""
        request = urllib.request.Request(
            f"{self.url}/api{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        until = time.monotonic() + WAIT_S
        while True:
            try:
                with _opener().open(request, timeout=WAIT_S) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def wait_for_state(self, run: str, *states: str) -> None:
        """Wait until a flow run is in one of the states."""
        until = time.monotonic() + WAIT_S
        while (state := self.ask(f"/flow_runs/{run}")["state_type"]) not in states:
            assert time.monotonic() < until, state
            time.sleep(0.1)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the server as its own command does, without the second process that this starts."""
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app",
             "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2], "--log-level", "warning"],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environ},
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with ended(process):
            until = time.monotonic() + 2 * WAIT_S
            while not self._answers():
                assert process.poll() is None and time.monotonic() < until, "it does not start"
                time.sleep(0.1)
            yield

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/health"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@dataclass(frozen=True)
class Flows:
    """Runs the flows of `prefect_flows.py`, the product's home being that of `product`."""

    product: Command
    server: PrefectServer

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return subprocess.run(
            [sys.executable, FLOWS, *words], env=self.environ, cwd=self.product.home,
            capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Let one run while the block does."""
        process = subprocess.Popen(
            [sys.executable, FLOWS, *words], env=self.environ, cwd=self.product.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with ended(process):
            yield process

    @property
    def environ(self) -> dict[str, str]:
        """What they see of the environment."""
        return self.product.environ(self.server.environ)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
