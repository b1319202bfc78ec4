"""The daemon's lock and record: one at a time, believed only while its process lives."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mahavishnu.base.daemon.record import (
    RECORD_BYTES,
    DaemonRecord,
    already_running,
    claim,
    find_daemon,
    find_listening,
)
from mahavishnu.base.errors import Conflict, Forbidden
from mahavishnu.base.processes import identify

ABOUT = {"version": "1.2.3", "since": "2026-11-21T10:52:00+00:00"}


def own_record(**changes: object) -> DaemonRecord:
    own = identify(os.getpid())
    assert own is not None
    return replace(DaemonRecord(own.pid, own.started, **ABOUT, port=8680), **changes)  # type: ignore[arg-type]


def write(path: Path, record: DaemonRecord) -> None:
    path.write_text(json.dumps(asdict(record)))


def test_a_claim_is_told_while_it_lasts(tmp_path: Path) -> None:
    lock = tmp_path / "data" / "daemon.lock"
    assert find_daemon(lock) is None
    with claim(lock, **ABOUT) as held:
        found = find_daemon(lock)
        assert found is not None and found.pid == os.getpid() and found.version == "1.2.3"
        assert found.port is None and find_listening(lock) is None
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
        held.announce(50_000)
        listening = find_listening(lock)
        assert listening is not None and listening.url == "http://127.0.0.1:50000"
        assert lock.stat().st_size == RECORD_BYTES
        held.announce(1)
        assert find_listening(lock) == replace(listening, port=1)
        held.withdraw()
        assert find_daemon(lock) is None
    assert lock.read_bytes() == b""


def test_the_lock_is_held_once_and_by_one_process(tmp_path: Path) -> None:
    lock = tmp_path / "daemon.lock"
    with claim(lock, **ABOUT) as held:
        held.announce(8680)
        before = lock.read_bytes()
        with pytest.raises(Conflict) as caught, claim(lock, **ABOUT):
            pytest.fail("there are two")
        assert caught.value.code == "daemon.running"
        assert str(os.getpid()) in caught.value.message and "8680" in caught.value.message
        assert lock.read_bytes() == before
        code = (
            "import sys; from pathlib import Path; from mahavishnu.base.daemon.record import claim\n"
            "with claim(Path(sys.argv[1]), version='x', since='y'): print('two')"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, str(lock)], capture_output=True, text=True
        )
        assert "daemon.running" not in other.stdout and "already serves" in other.stderr
    with claim(lock, **ABOUT):
        pass  # it is free again


def test_a_record_whose_process_is_gone_or_another_is_not_believed(tmp_path: Path) -> None:
    lock = tmp_path / "daemon.lock"
    write(lock, own_record())
    assert find_listening(lock) == own_record()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for dead in (
        own_record(pid=gone.pid),
        own_record(started="another start"),
        own_record(pid=2**22 + 5),
    ):
        write(lock, dead)
        assert find_daemon(lock) is None
        with claim(lock, **ABOUT):  # and holds nobody up
            found = find_daemon(lock)
            assert found is not None and found.pid == os.getpid()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", "[]", '"text"', "{", "\0" * 512, "[" * 100_000, '{"pid": 1}', b"\xff\xfe".decode("latin-1")]
    + [json.dumps({**asdict(own_record()), **wrong}) for wrong in (
        {"pid": "1"}, {"pid": None}, {"pid": True}, {"port": "8680"}, {"port": 1.5}, {"started": None},
        {"version": 1}, {"unknown": 1},
    )],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_whole_record_is_none(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "daemon.lock"
    lock.write_text(text)
    assert DaemonRecord.read(lock) is None and find_daemon(lock) is None
    with claim(lock, **ABOUT):
        assert find_daemon(lock) is not None


def test_the_error_says_who_it_is_as_far_as_it_is_known() -> None:
    assert "not yet open" in already_running(own_record(port=None)).message
    error = already_running(None)
    assert error.message == "A daemon already serves this data directory." and error.hint


def test_what_is_no_file_of_ours_names_no_daemon_and_blocks_nobody(tmp_path: Path) -> None:
    pipe, link, folder = tmp_path / "pipe", tmp_path / "link", tmp_path / "folder"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "elsewhere")
    folder.mkdir()
    for lock in (pipe, link, folder):
        assert DaemonRecord.read(lock) is None and find_daemon(lock) is None
        with pytest.raises(Forbidden) as caught, claim(lock, version="1", since="now"):
            pass
        assert caught.value.code == "daemon.file" and lock.name in caught.value.message


def test_a_claim_knows_when_its_file_was_removed_or_exchanged(tmp_path: Path) -> None:
    lock = tmp_path / "daemon.lock"
    with claim(lock, version="1", since="now") as held:
        assert held.holds
        lock.unlink()
        assert not held.holds
        lock.write_text("another")
        assert not held.holds
