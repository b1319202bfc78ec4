"""The daemon from start to end, with the installed command: one a home, found, ended, never mistaken."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from mahavishnu.base.processes import identify
from tests.support.command import Command
from tests.support.daemon import NOT_RUNNING, Daemon, record, running, told_status, wait_until

pytestmark = pytest.mark.postgres


@contextlib.contextmanager
def foreground(command: Command, *words: str) -> Iterator[tuple[Daemon, subprocess.Popen[bytes]]]:
    """Run `up` in the foreground; yields once it says that it listens."""
    process = command.start("up", "--port", "0", "--json", *words)
    try:
        assert process.stdout
        shown = b""
        while not shown.endswith(b"\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            shown += line
        told = json.loads(shown)
        assert told["started"] and told["daemon"]["pid"] == process.pid
        identity = identify(process.pid)
        assert identity
        yield Daemon(command, identity, told["daemon"]["port"]), process
    finally:
        process.kill()
        process.communicate()


def test_up_status_and_down_may_each_be_said_twice(mahavishnu: Command) -> None:
    first = mahavishnu("up", "--detach", "--port", "0", "--json").json
    try:
        assert set(first) == {"started", "daemon"} and first["started"]
        daemon = first["daemon"]
        assert set(daemon) == {"pid", "port", "url", "version", "since"}
        assert daemon["url"] == f"http://127.0.0.1:{daemon['port']}"
        again = mahavishnu("up", "--detach", "--json").json
        assert again == {"started": False, "daemon": daemon}
        assert f"Already listening on {daemon['url']}" in mahavishnu("up", "--detach").out
        for _ in range(2):
            told = told_status(mahavishnu)
            assert (told["running"], told["daemon"], told["problem"]) == (True, daemon, None)
            assert told["state"]["pid"] == daemon["pid"]  # type: ignore[index]
        assert f"Running on {daemon['url']}" in mahavishnu("status").out
        assert httpx.get(f"{daemon['url']}/health", trust_env=False).json()["status"] == "ok"
    finally:
        down = mahavishnu("down", "--json").json
    assert down == {"stopped": True, "killed": False}
    assert mahavishnu("down", "--json").json == {"stopped": False, "killed": False}
    assert mahavishnu("down").out == "No daemon is running.\n"
    assert told_status(mahavishnu) == told_status(mahavishnu) == NOT_RUNNING
    assert "not running" in mahavishnu("status").out
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{daemon['url']}/health", trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_delivers_until_a_signal_ends_it_quietly(
    settled: Command, number: int
) -> None:
    mirror = settled.home / "mirror.jsonl"
    settled.settings.write_text("sync: {mirror: {path: ~/mirror.jsonl}}\n")
    with foreground(settled) as (daemon, process):
        identifier = daemon.store("Kept.")
        wait_until(lambda: mirror.exists() and identifier in mirror.read_text())
        second = settled("up", "--json")
        assert second.status == 4 and second.error["code"] == "daemon.running"
        assert f"pid {process.pid}, port {daemon.port}" in second.error["message"]
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert record(settled).read_bytes() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_begins_ends_it_too(alone: Command, number: int) -> None:
    process = alone.start("up", "--port", "0")
    wait_until((alone.root / "data/postgres").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode in ((130,) if number == signal.SIGINT else (-number, 143, 0))
    assert (out, err.strip()) == (b"", b"")
    assert told_status(alone) == NOT_RUNNING
    with running(alone):
        pass


def test_ten_that_start_at_once_get_one(alone: Command) -> None:
    callers = [alone.start("up", "--detach", "--port", "0", "--json") for _ in range(10)]
    ended = [(each, *each.communicate(timeout=120)) for each in callers]
    try:
        assert [(each.returncode, err) for each, _, err in ended] == [(0, b"")] * 10
        told = [json.loads(out) for _, out, _ in ended]
        assert len({each["daemon"]["pid"] for each in told}) == 1
        assert [each["started"] for each in told].count(True) == 1
    finally:
        alone("down", "--force")


def test_every_home_has_its_own(settled: Command, another: Command) -> None:
    with running(settled) as first, running(another) as second:
        assert first.process != second.process and first.port != second.port
        first.store("Of the first.")
        with second.client() as client:
            assert client.get("/api/v1/memories").json()["memories"] == []
            refused = client.get("/api/v1/memories", headers=first.headers)
        assert refused.status_code == 401


def test_it_forgets_what_is_too_old_and_it_can_be_restored(settled: Command) -> None:
    """Takes some seconds: only a daemon shows what a daemon does unasked."""
    old, young = (
        settled("memory", "store", text, "--json").json["id"] for text in ("Old.", "Young.")
    )
    aged = f"UPDATE memories SET stored_at = now() - interval '91 days' WHERE id = '{old}'"
    assert settled("db", "shell", "--", "-qc", aged).status == 0
    counted = settled("--set", "memory.retention.agent=90d", "memory", "prune", "--dry-run").out
    assert counted.endswith("Would forget 1 memories\n")
    with running(settled, "--set", "memory.retention.agent=90d") as daemon, daemon.client() as http:

        def forgotten() -> list[str]:
            listed = http.get("/api/v1/memories/forgotten").json()["memories"]
            return [each["id"] for each in listed]

        wait_until(forgotten)
        assert forgotten() == [old]
        left = http.get("/api/v1/memories").json()["memories"]
        assert [each["id"] for each in left] == [young]
        assert http.post("/api/v1/memories/restore", json={"ids": [old]}).json()["count"] == 1
