"""The gateway as a service under load, while it and the daemon that keeps it are killed and started anew."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import yaml

from mahavishnu.ai.routes.routes import tokens_in
from mahavishnu.ai.routes.tokens import ensure_token
from mahavishnu.base.processes import identify, send_signal
from tests.support.command import Command
from tests.support.daemon import running, start, wait_until
from tests.support.external import free_port
from tests.support.gateway import (
    DELTA,
    END,
    GOOD,
    KEY,
    REQUEST,
    START,
    Exchange,
    Providers,
    providers,
)

CLIENTS = 8


@dataclass
class Clients:
    """Clients that ask one thing after the other, and again where an answer breaks off, as the real ones do."""

    url: str
    token: str
    whole: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    again: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Begin to ask."""
        self.threads += [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        for each in self.threads:
            each.start()

    def end(self) -> None:
        """End once each has its last answer whole."""
        self.over.set()
        for each in self.threads:
            each.join()

    def _ask(self, number: int) -> None:
        """Ask until it is over, and then until the last answer is whole."""
        headers = {"authorization": f"Bearer {self.token}"}
        while not self.over.is_set():
            before = self.whole[number]
            while self.whole[number] == before:
                try:
                    answer = httpx.post(
                        self.url, json=REQUEST, headers=headers, timeout=60, trust_env=False
                    )
                except httpx.TransportError as error:
                    self.again.append(type(error).__name__)
                    time.sleep(0.05)
                    continue
                if answer.content == GOOD:
                    self.whole[number] += 1
                    continue
                broke_off = answer.content.startswith(START + DELTA + b"event: error\n")
                assert broke_off or answer.status_code == 503, answer.content
                self.again.append(str(answer.status_code))

    def go_on(self) -> None:
        """Wait until each has had two more answers, of which one began after this moment."""
        before = list(self.whole)
        wait_until(
            lambda: all(now > then + 1 for then, now in zip(before, self.whole, strict=True))
        )


@contextmanager
def asking(url: str, token: str) -> Iterator[Clients]:
    clients = Clients(url, token)
    clients.begin()
    try:
        yield clients
    finally:
        clients.end()


@contextmanager
def provided() -> Iterator[tuple[Providers, threading.Event]]:
    """Serve a provider that stops in the middle of its answers until the event is set."""
    go = threading.Event()
    go.set()

    async def holds(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START + DELTA)
        while not go.is_set():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.02)
        await exchange.chunk(END)
        await exchange.end()

    with providers() as found:
        found.behave["one"] = holds
        yield found, go


@pytest.mark.postgres
def test_no_request_is_lost_while_the_gateway_and_its_daemon_start_anew(settled: Command) -> None:
    """Two daemons and three gateways are started, a second or two each."""
    port = free_port()
    with provided() as (found, go):
        settled.settings.write_text(
            json.dumps({"gateway": {"port": port, "enabled": True, "drain_timeout": 0}})
        )
        state, profiles = settled.root / "state", settled.root / "config/profiles"
        profiles.mkdir()
        values = {"key": "env:ONE_KEY", "anthropic_base_url": f"{found.url}/one"}
        (profiles / "one.yaml").write_text(yaml.safe_dump(values))
        link = {"profile": "one", "models": "*", "directory": ""}
        (state / "gateway").mkdir(parents=True, exist_ok=True)
        (state / "gateway/routes.json").write_text(json.dumps({"c": {"chain": [link]}}))
        token = ensure_token(tokens_in(state), "c").reveal()
        keyed = Command(settled.home, {**settled.environment, "ONE_KEY": KEY})
        daemon = start(keyed)
        with asking(f"http://127.0.0.1:{port}/anthropic/v1/messages", token) as clients:
            clients.go_on()
            go.clear()  # now all wait in the middle of a stream
            asked = len(found.seen)
            done = settled("service", "restart", "gateway", "--json").json["services"]
            assert done[0]["outcome"] == "restarted", done
            wait_until(lambda: len(found.seen) >= asked + CLIENTS)
            assert "200" in clients.again
            go.set()
            clients.go_on()

            again = len(clients.again)
            send_signal(daemon.process, signal.SIGKILL)
            wait_until(lambda: not daemon.process.alive)
            clients.go_on()
            with running(keyed):
                clients.go_on()
                assert len(clients.again) == again  # the gateway outlived its daemon
                pid = settled("service", "status", "gateway", "--json").json["services"][0]["pid"]
                gateway = identify(pid)
                assert gateway is not None
                send_signal(gateway, signal.SIGKILL)
                wait_until(lambda: not gateway.alive)
                clients.go_on()
                clients.end()
        assert not [each for each in found.seen if each.headers["authorization"] != f"Bearer {KEY}"]
