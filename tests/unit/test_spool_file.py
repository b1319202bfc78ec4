"""The file in which writes wait: order, once each, its owner's alone, and what a disk does to it."""

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, Corrupt, MahavishnuError, Unavailable
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import BroughtVector, NewMemory
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.spool.entries import is_away, read_back, write_down
from mahavishnu.memory.spool.file import SpoolEntry, SpoolFile
from tests.support.command import UNMEASURED
from tests.support.power_cut import Event, after_cut, recorded

HERE, THERE = "embedded", "me@db.example/memories"
SEEDS = 4  # 0 loses all that was not synced, 1 keeps it
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> SpoolFile:
    return SpoolFile(tmp_path / "data")


def entry(content: str = "x", database: str = HERE) -> SpoolEntry:
    return write_down(NewMemory(content=content), database)


def contents(file: SpoolFile, database: str = HERE) -> list[str]:
    return [read_back(each).content for each in file.read(database, limit=1000)]


@pytest.mark.parametrize(
    "write",
    [
        NewMemory(
            content="Äpfel\n", collection="document", source_system="t", source_key="k", project="p",
            visibility="shared", metadata={"a": [1, 2.5, None, {"b": True}]}, context="c",
            agent_id="a", workflow_id="w", repo_id="r", session_id="s", path="p/q", commit_id="1",
            occurred_at=MOMENT, expires_at=MOMENT + timedelta(days=1),
            vector=BroughtVector(model="m", values=[0.5, 1.0]),
        ),
        NewTurn(session_id="s", position=1, role="tool", content="x", metadata={"n": 1}, model="m",
                occurred_at=MOMENT),
        NewExecution(execution_id="e", workflow_id="w", adapter="a", status="failed", error="no",
                     started_at=MOMENT, repositories=("r",), result={"n": 1}),
    ],
    ids=["memory", "turn", "execution"],
)  # fmt: skip
def test_a_write_comes_back_as_it_was(write: NewMemory | NewTurn | NewExecution) -> None:
    written = write_down(write, HERE)
    back = read_back(written)
    assert back.id == written.id and write_down(back, HERE).body == written.body
    for name in write.__dataclass_fields__:
        assert name == "id" or getattr(back, name) == getattr(write, name), name


def test_what_a_later_release_wrote_is_not_guessed_at() -> None:
    bodies = {
        b"{": "memory",
        b"{}": "memory",
        b'{"content": 1}': "memory",
        b'{"content": ""}': "dream",
    }
    for body, kind in bodies.items():
        with pytest.raises(Corrupt) as caught:
            read_back(SpoolEntry(entry().id, kind, HERE, body, MOMENT))
        assert caught.value.code == "spool.entry"


def test_nothing_is_made_by_looking(file: SpoolFile) -> None:
    assert file.count() == [] and file.total() == 0 and file.list_refused(limit=9) == []
    assert not file.has_waiting(HERE) and file.list_damaged() == []
    file.retry(HERE)
    assert not file.path.parent.exists()


def test_writes_wait_in_order_each_database_for_itself(file: SpoolFile) -> None:
    for number in range(3):
        file.append([entry(f"a{number}"), entry(f"b{number}", THERE)])
    assert contents(file) == ["a0", "a1", "a2"] and contents(file, THERE) == ["b0", "b1", "b2"]
    [here, there] = file.count()
    assert (here.database, here.count, here.refused) == (HERE, 3, 0)
    assert there.database == THERE and there.since <= datetime.now(UTC)
    first = file.read(HERE, limit=1)
    file.remove(first)
    file.append([entry("a3")])
    file.remove(first)  # by somebody who had read it before: numbers are not used again
    file.redirect(THERE, HERE)
    assert contents(file) == ["b0", "a1", "b1", "a2", "b2", "a3"]


def test_what_was_refused_is_out_of_the_way_and_comes_back_to_its_place(file: SpoolFile) -> None:
    file.append([entry("one"), entry("two")])
    [one, _] = file.read(HERE, limit=2)
    file.refuse(one, "memory.id_taken", "It is taken.")
    [waiting] = file.count()
    assert contents(file) == ["two"] and (waiting.count, waiting.refused) == (1, 1)
    [refused] = file.list_refused(limit=9)
    assert refused.problem == ("memory.id_taken", "It is taken.")
    file.retry(HERE)
    assert contents(file) == ["one", "two"]


def test_it_is_its_owner_s_alone(file: SpoolFile) -> None:
    old = os.umask(0)
    try:
        file.append([entry()])
        with file.turn() as ours:
            assert ours
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in file.path.parent.iterdir()}
    assert modes == {0o600} and stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_that_others_could_read_is_closed(file: SpoolFile, damaged: bool) -> None:
    file.append([entry()])
    if damaged:
        file.path.write_bytes(b"no database" * 1000)
    file.path.chmod(0o644)
    if damaged:
        file.append_anew([entry()])
    assert file.total() == 1
    files = [file.path, *file.list_damaged()]
    assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600] * (1 + damaged)


def test_one_process_at_a_time_stores_what_waits(file: SpoolFile) -> None:
    file.append([entry()])
    with file.turn() as first, file.turn() as second:
        assert first and not second
    with file.turn() as again:
        assert again


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_put_aside_once_and_kept(file: SpoolFile, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    with pytest.raises(Corrupt) as caught:
        file.append([entry()])
    assert caught.value.code == "spool.damaged" and str(file.path) in caught.value.message
    with ThreadPoolExecutor(4) as threads:  # each has found it so before any of them acts
        list(threads.map(lambda n: file.append_anew([entry(str(n))]), range(4)))
    [aside] = file.list_damaged()
    assert aside.read_bytes() == content and sorted(contents(file)) == ["0", "1", "2", "3"]


def test_a_file_of_a_later_release_is_left_alone(file: SpoolFile) -> None:
    file.append([entry("one")])
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = file.path.read_bytes()
    acts: list[Callable[[], object]] = [
        lambda: file.append([entry()]),
        lambda: file.append_anew([entry()]),
        file.count,
    ]
    for act in acts:
        with pytest.raises(Conflict) as caught:
            act()
        assert caught.value.code == "spool.newer"
    assert file.path.read_bytes() == before and not file.list_damaged()


def test_sqlite_is_loaded_where_there_is_a_spool_and_not_before() -> None:
    code = "import sys, mahavishnu.app; print('sqlite3' in sys.modules)"
    bare = os.environ | UNMEASURED  # measuring imports it itself
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=bare)
    assert done.stdout == b"False\n"


def test_it_waits_for_another_process_that_writes_and_then_says_so(
    file: SpoolFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.append([entry("one")])
    monkeypatch.setattr("mahavishnu.memory.spool.file.BUSY_S", 0.05)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            file.append([entry("two")])
        assert caught.value.code == "spool.busy"
    file.append([entry("two")])
    assert contents(file) == ["one", "two"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes where another user is at home")
def test_nothing_is_left_in_the_folder_of_another_user(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(Unavailable) as caught:
        SpoolFile(folder).append([entry()])
    assert caught.value.code == "spool.not_writable" and not list(folder.iterdir())


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept(file: SpoolFile) -> None:
    kept: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for pages in range(16):
        resource.setrlimit(resource.RLIMIT_FSIZE, (pages * 4096, hard))
        try:
            while True:
                content = f"{len(kept)} " + "x" * 3000
                file.append([entry(content)])
                kept.append(content)
        except Unavailable as error:
            assert error.code == "spool.not_writable"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert contents(file) == kept
    assert kept


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for SQLite in /proc")
def test_what_was_acknowledged_outlives_a_power_cut_at_every_step(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "data")
    stages: list[tuple[int, list[str]]] = []  # how much had happened, what was acknowledged then
    with recorded(file.path.parent) as events:
        file._make()
        events.append(Event("create", str(file.path), durable=True))  # which is synced by ourselves
        stages.append((len(events), []))
        for number in range(4):
            news = [f"{number}.{n}" + "x" * 3000 * n for n in range(number + 1)]
            file.append([entry(each) for each in news])
            stages.append((len(events), stages[-1][1] + news))
        file.remove(file.read(HERE, limit=2))
        stages.append((len(events), stages[-1][1][2:]))
    assert {each.kind for each in events} == {"create", "write", "sync", "delete"}, events
    states = set()
    for moment in range(stages[0][0], len(events) + 1):
        reached = [said for happened, said in stages if happened <= moment]
        possible = [reached[-1], *(said for happened, said in stages if happened > moment)][:2]
        for seed in range(SEEDS):
            cut = tmp_path / "cut"
            cut.mkdir()
            after_cut(events[:moment], cut, seed)
            found = contents(SpoolFile(cut))
            assert found in possible, (moment, seed, events[moment - 1 : moment + 1])
            SpoolFile(cut).append([entry("after")])
            assert contents(SpoolFile(cut)) == [*found, "after"]
            states.add(len(found))
            shutil.rmtree(cut)
    assert len(states) >= 5, "cuts at all stages were seen"


@pytest.mark.parametrize(
    ("kind", "code", "waits"),
    [(Unavailable, "database.unreachable", True), (Unavailable, "database.no_binaries", True),
     (Unavailable, "database.disabled", False), (Conflict, "database.outdated", False),
     (MahavishnuError, "database.error", False), (Unavailable, "spool.busy", False)],
)  # fmt: skip
def test_what_lets_a_write_wait(kind: type[MahavishnuError], code: str, waits: bool) -> None:
    assert is_away(kind("x", code=code)) is waits
