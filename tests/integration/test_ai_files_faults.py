"""Another program's file while writes fail, processes are killed, and the program writes too."""

import errno
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.merge import Remove, Set
from mahavishnu.ai.foreign_files.replace import Snapshot, look
from mahavishnu.base import files
from mahavishnu.base.errors import MahavishnuError
from tests.support.ai_files import (
    CHANGE,
    FRESH,
    OLD,
    QUICK,
    SCENARIOS,
    at_step,
    check_client_keys,
    content,
    noted_exchanges,
    prepare,
    read_turns,
    settings_file,
    wanted,
)
from tests.support.documents import strict_json

ROOT = Path(__file__).parent.parent.parent
WRITES = 1500


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.ai_files", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> Any:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(output)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_whatever_step_fails_the_file_is_the_old_or_the_new_one(
    tmp_path: Path, scenario: str, number: int
) -> None:
    old, new = wanted(scenario)

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    outcomes = set()
    for step in range(1, 1000):
        file, target = prepare(tmp_path, scenario)
        code = "done"
        with at_step(step, fail, exchange=scenario != "no exchange") as steps:
            try:
                file.edit(CHANGE)
            except MahavishnuError as error:
                code = error.code
        assert content(target) in (old, new), step
        assert code.startswith("ai_files.") or content(target) == new
        outcomes.add((code, content(target) == new))
        assert file.edit(CHANGE).effects[0].after == "x"
        names = {target.name, file.path.name}
        assert {each.name for each in target.parent.iterdir()} == names, step
        if steps[0] < step:
            break
    codes = {errno.ENOSPC: "disk_full", errno.EIO: "failed", errno.EACCES: "not_writable"}
    assert {(f"ai_files.{codes[number]}", False), ("done", True)} <= outcomes


@pytest.mark.parametrize("step_name", ["write", "fsync", "fchmod"])
def test_a_failure_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_name: str
) -> None:
    file, target = prepare(tmp_path, "there")
    file.edit(())  # the lock file is there

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step_name, fail)
    with pytest.raises(MahavishnuError) as caught:
        file.edit(CHANGE)
    assert caught.value.code == "ai_files.disk_full" and caught.value.exit_code == 5
    assert content(target) == OLD and list(target.parent.iterdir()) == [target]


def test_a_real_limit_on_the_size_of_files(tmp_path: Path) -> None:
    file, target = prepare(tmp_path, "there")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(MahavishnuError) as caught:
            file.edit([Set(("env", "OURS"), "x" * 10_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert caught.value.code == "ai_files.disk_full"
    assert content(target) == OLD and list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_step_the_file_is_the_old_or_the_new_one(
    tmp_path: Path, scenario: str
) -> None:
    seen = said(run("kill", str(tmp_path), scenario))
    assert seen["old"] >= 10 and seen["new"] >= 2 and seen["left"] >= 4, seen


@pytest.mark.parametrize("kind", ["truncates", "renames"])
def test_neither_side_loses_a_key_in_a_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """
    The client keeps every key it ever wrote. We keep ours, but where it was overwritten by what the
    client had read before and wrote after we had looked for the last time: nobody can be told of that.
    """
    looked = 0.0

    def noted_look(target: Path) -> Snapshot:
        nonlocal looked
        looked = time.monotonic()
        return look(target)

    monkeypatch.setattr("mahavishnu.ai.foreign_files.files.look", noted_look)
    path = tmp_path / "client" / "settings.json"
    path.parent.mkdir()
    path.write_bytes(b'{"theirs": {}}')
    file = settings_file(path, QUICK)
    log = tmp_path / "turns.json"
    command = [
        sys.executable,
        "-m",
        "tests.support.ai_files",
        "client",
        kind,
        str(path),
        str(WRITES),
        str(log),
    ]
    client = subprocess.Popen(command, cwd=ROOT)
    ended, lost = [], []
    with noted_exchanges() as exchanges:
        while client.poll() is None:
            count = len(ended)
            edit = file.edit([Set(("env", "OURS"), count)])
            found = edit.effects[0].before
            if count and found not in (count - 1, count):
                lost.append(ended[-1])
                assert found is ABSENT or isinstance(found, int)
            ended.append(looked)
    assert client.returncode == 0
    turns = read_turns(log)
    check_client_keys(file.read().get(("theirs",)), turns, exchanges)
    excused = [when for when in lost if any(turn.began < when < turn.over for turn in turns)]
    assert lost == excused
    assert len(ended) > 100 and len(lost) < len(ended) / 4
    assert {each.name for each in path.parent.iterdir()} <= {path.name, "client.tmp"}


def test_what_is_written_while_another_write_goes_back_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = prepare(tmp_path, "there")
    exchange = files.exchange
    texts = iter([b'{"theirs": 2}\n', b'{"theirs": 33}\n'])

    def write_before(one: Path, other: Path) -> None:
        with suppress(StopIteration):
            fresh = target.with_name("client.tmp")
            fresh.write_bytes(next(texts))
            fresh.replace(target)
        exchange(one, other)

    monkeypatch.setattr(files, "exchange", write_before)
    file.edit(CHANGE)
    assert json.loads(target.read_bytes()) == {"theirs": 33, "env": {"OURS": "x"}}
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_is_emptied_again_and_again_does_not_count_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is slow to look may meet it empty each time, and would write what lacks all of it."""
    _, target = prepare(tmp_path, "there")
    contents = chain([b""] * 10, repeat(OLD))

    def look_as_it_is_written(path: Path) -> Snapshot:
        target.write_bytes(next(contents))
        return look(path)

    monkeypatch.setattr("mahavishnu.ai.foreign_files.files.look", look_as_it_is_written)
    file = settings_file(target, replace(QUICK, torn=timedelta(milliseconds=20)))
    assert file.read().get(("theirs",)) == 1


def test_what_is_written_to_a_file_that_is_being_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = prepare(tmp_path, "new")
    file.edit(CHANGE)
    rename = os.replace

    def write_before(source: Path, destination: Path) -> None:
        monkeypatch.setattr(os, "replace", rename)
        target.write_text('{"env": {"OURS": "x"}, "theirs": 2}')
        rename(source, destination)

    monkeypatch.setattr(os, "replace", write_before)
    edit = file.edit([Remove(("env", "OURS"), made=("env",))], drop_empty=True)
    assert edit.changed and strict_json(target.read_bytes()) == {"theirs": 2}
    assert list(target.parent.iterdir()) == [target]


def test_a_removal_that_fails_leaves_the_file(
    tmp_path: Path,
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    codes = Counter[str]()
    for step in range(1, 1000):
        file, target = prepare(tmp_path, "new")
        file.edit(CHANGE)
        code = "removed"
        with at_step(step, fail) as steps:
            try:
                file.edit([Remove(("env", "OURS"), made=("env",))], drop_empty=True)
            except MahavishnuError as error:
                code = error.code
        codes[code] += 1
        assert content(target) in (None, FRESH), step
        assert code != "removed" or content(target) is None
        if steps[0] < step:
            break
    assert codes["ai_files.failed"] > 5 and codes["removed"] >= 1


def test_access_lists_and_labels_are_kept(tmp_path: Path) -> None:
    file, target = prepare(tmp_path, "there")
    try:
        os.setxattr(target, "user.label", b"secret")
    except OSError as error:
        pytest.skip(f"this file system has no attributes: {error}")
    file.edit(CHANGE)
    assert os.getxattr(target, "user.label") == b"secret"


@pytest.mark.parametrize("private", [False, True])
def test_an_access_list_is_kept_unless_the_file_becomes_private(
    tmp_path: Path, private: bool
) -> None:
    file, target = prepare(tmp_path, "there")
    # The owner reads and writes, user 1234 reads; tags as in <linux/posix_acl.h>.
    entries = [(0x01, 6, -1), (0x02, 4, 1234), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1)]
    access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    try:
        os.setxattr(target, "system.posix_acl_access", access_list)
    except OSError as error:
        pytest.skip(f"this file system has no access lists: {error}")
    file.edit(CHANGE, private=private)
    assert ("system.posix_acl_access" in os.listxattr(target)) is not private
    assert target.stat().st_mode & 0o077 == (0 if private else 0o040)


def test_processes_of_ours_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "client" / "settings.json"
    path.parent.mkdir()
    code = (
        "import sys; from pathlib import Path; from tests.support.ai_files import *\n"
        "file = settings_file(Path(sys.argv[1]), QUICK)\n"
        "for n in range(40): file.edit([Set(('env', sys.argv[2] + str(n)), n)])"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=ROOT) for name in "abc"
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    env = settings_file(path).read().get(("env",))
    assert isinstance(env, dict)
    assert sorted(env) == sorted(f"{name}{n}" for name in "abc" for n in range(40))
