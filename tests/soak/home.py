"""The home of a run: its settings, services and clients' files, the daemon as an init system keeps it, calls to it."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from tests.soak import embedder
from tests.soak.calls import Refused
from tests.soak.ledger import Ledger
from tests.support.command import PROGRAM, Command
from tests.support.daemon import layout

RESTART_AFTER_S = (
    1.0  # systemd's RestartSec, as `service install` writes it or not: a second of the init system
)
PATIENCE_S = 30.0
PROFILE_KEYS = {"ONE_KEY": "sk-fake-one", "TWO_KEY": "sk-fake-two"}  # what the profiles name


@dataclass(frozen=True)
class Failure:
    """One call that failed."""

    at: float
    kind: str
    code: str
    said: str


def find_free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Home:
    """What all parts of a run share."""

    command: Command
    log: Path
    port: int = field(default_factory=find_free_port)
    embedder_port: int = field(default_factory=find_free_port)
    began: float = field(default_factory=time.monotonic)
    ledger: Ledger = field(default_factory=Ledger)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[Failure] = field(default_factory=list)
    exits: list[tuple[float, int]] = field(default_factory=list)
    degraded: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    spooled: int = 0
    round: int = 0
    pid: int = 0
    ending: bool = False

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def begin(self) -> None:
        """Count the time from now on."""
        self.began = time.monotonic()
        self.exits.clear()

    def fail(self, kind: str, error: Refused) -> None:
        """Write down a call that failed."""
        self.failures.append(Failure(self.now, kind, error.code, error.said))

    def write_settings(self) -> None:
        """Write the settings with the next round in the environment of `flaky`, which the daemon restarts for it."""
        number, at = self.round + 1, f"http://127.0.0.1:{self.embedder_port}/v1"
        words = [sys.executable, str(Path(embedder.__file__)), str(self.embedder_port)]
        health = {"http": f"{at}/models", "interval": 2, "timeout": 2}
        services = {
            "embedder": {"command": words, "health": health, "restart": "always", "grace": 2},
            "flaky": {"command": ["sh", "-c", "sleep 170; exit 3"], "environment": [f"ROUND={number}"]},
        }  # fmt: skip
        embedding = {
            "provider": "openai", "model": embedder.MODEL, "openai_base_url": at, "openai_api_key": "sk-fake",
            "openai_dimensions": embedder.DIMENSIONS, "timeout": 5,
        }  # fmt: skip
        profiles = {name: _profile(name) for name in ("one", "two")}
        environments = {"llm_profiles": profiles}
        whole = {"embedding": embedding, "services": services, "ai_environments": environments}
        path = self.command.settings
        new = path.with_suffix(".new")
        new.write_text(json.dumps(whole))
        new.replace(path)
        self.round = number

    async def keep_daemon(self) -> None:
        """Run the daemon in the foreground, and start it again whenever it ends, as an init system does."""
        while not self.ending:
            with self.log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    PROGRAM, "up", "--port", str(self.port), env=self.command.environ(),
                    cwd=self.command.home, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
            self.pid = process.pid
            status = await process.wait()
            self.exits.append((self.now, status))
            if not self.ending:
                await asyncio.sleep(RESTART_AFTER_S)

    async def end_daemon(self) -> None:
        """Ask the daemon to end, as `mahavishnu down` does."""
        self.ending = True
        os.kill(self.pid, signal.SIGTERM)

    def client(self) -> httpx.AsyncClient:
        """Return an HTTP client with the daemon's token."""
        token = (self.command.root / "state/token").read_text().strip()
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_S, trust_env=False,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    async def run(self, *words: str) -> dict[str, Any]:
        """Run a command as a process of its own; returns what it says in JSON."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *words, "--json", env=self.command.environ(), cwd=self.command.home,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            try:
                code = json.loads(err)["error"]["code"]
            except (ValueError, KeyError):
                code = f"exit {process.returncode}"
            raise Refused(code, err.decode()[-500:], again=process.returncode == 5)
        body: dict[str, Any] = json.loads(out)
        return body

    async def connect(self) -> asyncpg.Connection:
        """Return a connection of our own to the database, by the file of its server."""
        file = layout(self.command).cluster / "postmaster.pid"
        folder = file.read_text().splitlines()[4]
        return await asyncpg.connect(
            f"postgresql://mahavishnu@/mahavishnu?host={folder}", timeout=5
        )

    def processes(self) -> list[psutil.Process]:
        """Return all processes that have this home in their environment, but for us."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.command.home) in " ".join(process.environ().values()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def _profile(name: str) -> dict[str, str]:
    at = f"http://127.0.0.1:9/{name}"
    return {
        "anthropic_base_url": at, "openai_responses_base_url": f"{at}/v1", "openai_chat_base_url": f"{at}/v1",
        "key": f"env:{name.upper()}_KEY", "model": f"{name}-large",
    }  # fmt: skip
