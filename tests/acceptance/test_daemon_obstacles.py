"""What stands in the daemon's way: a port that is taken, namesakes, what a dead daemon left behind."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.daemon.record import find_daemon
from tests.support.command import Command
from tests.support.daemon import (
    NOT_RUNNING,
    record,
    running,
    servers,
    start,
    told_status,
    wait_until,
)
from tests.support.external import free_port

pytestmark = pytest.mark.postgres


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's business."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


# ---- the port


def test_a_port_that_another_program_has_is_told_with_its_owner(alone: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words in (("up",), ("up", "--detach")):
            answer = alone(*words, "--port", port, "--json")
            assert (answer.status, answer.error["code"]) == (4, "daemon.port_taken")
            assert f"pid {os.getpid()}" in answer.error["message"]
            assert "--port" in answer.error["hint"]
    assert told_status(alone) == NOT_RUNNING and record(alone).read_bytes() == b""
    assert servers(alone) == [] and not (alone.root / "data/postgres").exists()


def test_a_port_that_another_daemon_has(settled: Command, another: Command) -> None:
    with running(settled) as daemon:
        answer = another("up", "--detach", "--port", str(daemon.port), "--json")
        assert answer.error["code"] == "daemon.port_taken"
        assert f"pid {daemon.process.pid}" in answer.error["message"]
        assert told_status(another) == NOT_RUNNING


def test_two_homes_that_want_one_port_at_once(alone: Command, tmp_path: Path) -> None:
    homes = [
        replace(alone, home=tmp_path / name) for name in ("one", "two")
    ]  # both take their time
    port = str(free_port())
    for each in homes:
        each.home.mkdir()
    callers = [each.start("up", "--detach", "--port", port, "--json") for each in homes]
    ended = [(each, *each.communicate(timeout=120)) for each in callers]
    try:
        assert sorted(each.returncode for each, _, _ in ended) == [0, 4], ended
        refused = next(json.loads(err) for each, _, err in ended if each.returncode)
        assert refused["error"]["code"] == "daemon.port_taken"
    finally:
        for each in homes:
            each("down", "--force")


def test_it_starts_in_a_folder_full_of_namesakes(settled: Command) -> None:
    """What is imported is the product's, whatever lies where the command is called."""
    folder = settled.home / "project"
    folder.mkdir()
    for name in ("click", "json", "mahavishnu", "token"):
        (folder / f"{name}.py").write_text("raise SystemExit('a namesake was imported')\n")
    told = settled("up", "--detach", "--port", "0", "--json", cwd=folder)
    try:
        assert told.json["started"]
    finally:
        settled("down", "--force")


# ---- what a dead daemon leaves behind


def test_after_a_kill_it_is_not_running_and_starts_again(settled: Command) -> None:
    daemon = start(settled)
    kept = daemon.store("Kept.")
    os.kill(daemon.process.pid, signal.SIGKILL)
    wait_until(lambda: not daemon.process.alive)
    assert told_status(settled) == NOT_RUNNING
    assert settled("down", "--json").json == {"stopped": False, "killed": False}
    with running(settled, port=daemon.port) as again, again.client() as client:
        assert client.get(f"/api/v1/memories/{kept}").json()["content"] == "Kept."


def test_a_pid_that_means_another_process_by_now(
    settled: Command, stranger: subprocess.Popen[bytes]
) -> None:
    daemon = start(settled)
    stale = json.loads(record(settled).read_bytes())
    os.kill(daemon.process.pid, signal.SIGKILL)
    wait_until(lambda: not daemon.process.alive)
    record(settled).write_text(json.dumps({**stale, "pid": stranger.pid}))
    assert told_status(settled) == NOT_RUNNING
    assert settled("down", "--force", "--json").json == {"stopped": False, "killed": False}
    assert settled("mcp", "health", "--json").json["transport"] == "stdio"
    with running(settled) as again:
        assert again.process.pid != stranger.pid
    assert stranger.poll() is None


@pytest.mark.parametrize(
    "text",
    [b"", b"\0" * 512, b'{"pid": 1', b'{"pid": "1"}', b"[" * 100_000, b"\xff" * 512,
     b'{"pid": -1, "started": "", "version": "", "since": "", "port": 1}'],
    ids=["empty", "zeros", "cut", "other types", "deep", "bytes", "no pid"],
)  # fmt: skip
def test_a_damaged_record_says_nothing(mahavishnu: Command, text: bytes) -> None:
    record(mahavishnu).parent.mkdir(parents=True, exist_ok=True)
    record(mahavishnu).write_bytes(text)
    assert told_status(mahavishnu) == NOT_RUNNING
    assert mahavishnu("down", "--json").json == {"stopped": False, "killed": False}


def test_a_damaged_record_is_no_hindrance(settled: Command) -> None:
    record(settled).parent.mkdir(parents=True, exist_ok=True)
    record(settled).write_bytes(b"[" * 100_000)
    with running(settled):
        assert record(settled).stat().st_size == 512


def test_a_daemon_whose_lock_was_removed_ends_by_itself(settled: Command) -> None:
    with running(settled) as daemon:
        (settled.root / "data/daemon.lock").unlink()
        wait_until(lambda: not daemon.process.alive)
        assert not settled("status", "--json").json["running"]


def test_a_daemon_told_to_end_while_it_begins_says_so_to_who_waits(alone: Command) -> None:
    process = alone.start("up", "--detach", "--port", "0")
    lock = alone.root / "data/daemon.lock"
    wait_until(lambda: find_daemon(lock) is not None)
    begun = find_daemon(lock)
    assert begun is not None
    os.kill(begun.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 5 and b"before it had started" in err
    assert b"Traceback" not in err
