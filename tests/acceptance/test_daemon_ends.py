"""How the daemon ends: drained by a signal, cut short by a second one, killed under load."""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator

import httpx
import psutil
import pytest

from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.processes import ProcessIdentity, identify
from mahavishnu.daemon.detach import stop
from tests.support.command import Command
from tests.support.daemon import Daemon, running, servers, start, wait_until

pytestmark = pytest.mark.postgres

DRAIN = ("--set", "server.drain_timeout=600")


class Slow:
    """A batch whose lines the test sends one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answer = b""

    def send(self, text: str) -> None:
        """Send a line and wait for its confirmation."""
        line = json.dumps({"content": text}).encode() + b"\n"
        self._connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        before = self._answer.count(b'"id"')
        while self._answer.count(b'"id"') == before:
            piece = self._connection.recv(4096)
            assert piece, self._answer
            self._answer += piece

    def finish(self) -> bytes:
        """End the body and return the whole answer."""
        self._connection.sendall(b"0\r\n\r\n")
        while piece := self._connection.recv(4096):
            self._answer += piece
        return self._answer


@contextlib.contextmanager
def slow_batch(daemon: Daemon) -> Iterator[Slow]:
    head = [
        "POST /api/v1/memories/batch HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Authorization: {daemon.headers['Authorization']}",
        "Content-Type: application/jsonl",
        "Transfer-Encoding: chunked",
    ]
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        yield Slow(connection)


def refuses(daemon: Daemon) -> bool:
    try:
        socket.create_connection(("127.0.0.1", daemon.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def contents(daemon: Daemon) -> list[str]:
    found: list[str] = []
    asked: dict[str, str] = {"limit": "1000", "max_tokens": "null"}
    with daemon.client() as client:
        while True:
            page = client.get("/api/v1/memories", params=asked).json()
            found += [each["content"] for each in page["memories"]]
            if not page.get("next_cursor"):
                return found
            asked["cursor"] = page["next_cursor"]


def test_a_signal_lets_what_runs_end_and_takes_nothing_new(settled: Command) -> None:
    daemon = start(settled, *DRAIN)
    with slow_batch(daemon) as batch:
        batch.send("Before the signal.")
        os.kill(daemon.process.pid, signal.SIGTERM)
        wait_until(lambda: refuses(daemon))
        told = settled("status", "--json").json
        assert told["running"] and told["daemon"]["port"] is None
        batch.send("After the signal.")
        waiting = settled.start("up", "--detach", "--port", str(daemon.port), "--json")
        batch.send("After the next one was called.")
        assert b'"complete":true,"stored":3' in batch.finish()
    wait_until(lambda: not daemon.process.alive)
    out, err = waiting.communicate(timeout=120)
    try:
        assert (waiting.returncode, err) == (0, b"")
        told = json.loads(out)
        assert told["started"] and told["daemon"]["pid"] != daemon.process.pid
        again = Daemon(settled, ProcessIdentity(told["daemon"]["pid"], ""), told["daemon"]["port"])
        assert len(contents(again)) == 3
        assert "Traceback" not in daemon.log and "rror" not in daemon.log
    finally:
        settled("down", "--force")


def test_a_client_that_never_ends_holds_it_no_longer_than_allowed(settled: Command) -> None:
    daemon = start(settled, "--set", "server.drain_timeout=1")
    with slow_batch(daemon) as batch, socket.create_connection(("127.0.0.1", daemon.port)) as idle:
        batch.send("Before.")
        idle.sendall(b"GET /he")
        assert settled("down", "--json").json == {"stopped": True, "killed": False}
    assert not daemon.process.alive
    with running(settled) as again:
        assert contents(again) == ["Before."]


def test_a_second_signal_ends_it_at_once(settled: Command) -> None:
    daemon = start(settled, *DRAIN)
    with slow_batch(daemon) as batch:
        batch.send("Before.")
        os.kill(daemon.process.pid, signal.SIGTERM)
        wait_until(lambda: refuses(daemon))
        assert daemon.process.alive
        os.kill(daemon.process.pid, signal.SIGTERM)
        wait_until(lambda: not daemon.process.alive)
    with running(settled) as again:
        assert contents(again) == ["Before."]


def test_what_takes_no_notice_is_killed_only_where_that_is_asked(settled: Command) -> None:
    daemon = start(settled)
    record = find_daemon(settled.root / "data/daemon.lock")
    assert record is not None and record.process == daemon.process
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="still runs") as told:
            stop(record, wait_s=0.3, force=False)
        assert told.value.code == "daemon.still_running" and "--force" in str(told.value.hint)
        assert daemon.process.alive
        assert stop(record, wait_s=0.3, force=True)
    finally:
        if daemon.process.alive:
            os.kill(daemon.process.pid, signal.SIGKILL)
    assert settled("down", "--json").json == {"stopped": False, "killed": False}


class Load:
    """Threads that store one memory after the other, and know which were confirmed."""

    def __init__(self, daemon: Daemon, threads: int = 10) -> None:
        self.confirmed: list[str] = []
        self.lost: list[str] = []
        self._daemon = daemon
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._store, args=(n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _store(self, number: int) -> None:
        with self._daemon.client() as client:
            count = 0
            while not self._end.is_set():
                text = f"Client {number}, memory {count}."
                try:
                    answer = client.post("/api/v1/memories", json={"content": text})
                except httpx.TransportError:
                    self.lost.append(text)
                    return
                assert answer.status_code == 201, answer.text
                self.confirmed.append(text)
                count += 1

    def end(self) -> None:
        """Wait for all."""
        self._end.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def test_what_was_confirmed_survives_a_kill_under_load_and_nothing_is_left(
    settled: Command,
) -> None:
    daemon = start(settled)
    load = Load(daemon)
    try:
        wait_until(lambda: len(load.confirmed) > 100)
        left = servers(settled)
        assert len(left) == 2
        for child in psutil.Process(left[0].pid).children(recursive=True):
            left += filter(None, [identify(child.pid)])
        assert len(left) > 5  # the keeper, the postmaster, its processes
        os.kill(daemon.process.pid, signal.SIGKILL)
        wait_until(lambda: len(load.lost) == 10)
    finally:
        load.end()
    wait_until(lambda: not any(each.alive for each in left))  # the idle time is 2 seconds
    with running(settled, port=daemon.port) as again:
        kept = contents(again)
        assert len(kept) == len(set(kept))
        assert set(load.confirmed) <= set(kept) <= {*load.confirmed, *load.lost}
        again.store("It goes on.")


def test_down_under_load_answers_all_that_it_took(settled: Command) -> None:
    daemon = start(settled)
    load = Load(daemon)
    try:
        wait_until(lambda: len(load.confirmed) > 50)
        assert settled("down", "--json").json == {"stopped": True, "killed": False}
        wait_until(lambda: len(load.lost) == 10)
    finally:
        load.end()
    with running(settled) as again:
        assert set(load.confirmed) <= set(contents(again))
    assert "Traceback" not in daemon.log


def test_the_database_goes_some_time_after_the_daemon(settled: Command) -> None:
    daemon = start(settled)
    left = servers(settled)
    assert len(left) == 2 and identify(daemon.process.pid)
    assert settled("down").status == 0
    wait_until(lambda: not any(each.alive for each in left))
