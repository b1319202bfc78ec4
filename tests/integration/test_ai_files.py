"""Another program's settings file is changed safely: links, modes, obstacles, conflicts, other writers."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from mahavishnu.ai.foreign_files import replace
from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.files import Patience, SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.base.errors import MahavishnuError
from tests.support.ai_files import AT_ONCE, CHANGE, FRESH, NEW, OLD, QUICK, settings_file
from tests.support.documents import strict_json

URL = ("env", "OURS")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "client" / "settings.json"
    found.parent.mkdir()
    found.write_bytes(OLD)
    return found


def refused(file: SettingsFile, changes: tuple[Change, ...] = CHANGE) -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        file.edit(changes)
    names = {str(file.path), str(file.path.resolve())}
    assert any(name in caught.value.message for name in names)
    return caught.value


def state_of(path: Path) -> tuple[int, int, int, int]:
    """What a write would change."""
    status = os.lstat(path)
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def make_large(path: Path) -> None:
    with path.open("wb") as made:
        made.truncate(2**27)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_only_ours_is_changed_and_the_mode_is_kept(path: Path) -> None:
    path.chmod(0o640)
    edit = settings_file(path).edit(CHANGE)
    assert path.read_bytes() == NEW and mode_of(path) == 0o640
    assert edit.changed and edit.effects[0].before is ABSENT and edit.effects[0].after == "x"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "client" / "deep" / "settings.json"
    umask = os.umask(0)
    try:
        settings_file(path).edit(CHANGE, make_folder=True)
    finally:
        os.umask(umask)
    assert path.read_bytes() == FRESH and mode_of(path) == 0o600
    assert mode_of(path.parent) == mode_of(path.parent.parent) == 0o700


def test_a_missing_folder_is_made_only_when_asked_for(tmp_path: Path) -> None:
    file = settings_file(tmp_path / "client" / "settings.json")
    error = refused(file)
    assert (error.code, error.exit_code) == ("ai_files.no_folder", 3)
    with pytest.raises(MahavishnuError) as caught:
        file.plan(CHANGE)
    assert caught.value.code == "ai_files.no_folder"
    file.edit([Remove(URL)], make_folder=True)
    assert not file.path.parent.exists()  # there was nothing to write


def test_nothing_is_written_where_nothing_changes(path: Path) -> None:
    settings_file(path).edit(CHANGE)
    before = state_of(path)
    edit = settings_file(path).edit([*CHANGE, Remove(("none",))])
    assert not edit.changed and state_of(path) == before


def test_a_plan_is_what_would_be_done_and_writes_nothing(tmp_path: Path, path: Path) -> None:
    def write_forbidden(event: str, arguments: tuple[object, ...]) -> None:
        if watching and (event in WRITES or (event == "open" and writes(arguments[2]))):
            raise AssertionError(event)

    watching = False
    sys.addaudithook(write_forbidden)
    before = state_of(path)
    watching = True
    plan = settings_file(path).plan(CHANGE)
    watching = False
    assert state_of(path) == before and sorted(tmp_path.iterdir()) == [path.parent]
    edit = settings_file(path).edit(CHANGE)
    assert plan == edit


WRITES = {"os.rename", "os.mkdir", "os.remove", "os.link", "os.chmod", "os.truncate"}


def writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def test_links_are_followed_to_the_end_and_stay(path: Path) -> None:
    far = path.parent.parent / "dotfiles"
    far.mkdir()
    second, first = far / "second", path.parent / "first"
    second.symlink_to(path)
    first.symlink_to("../dotfiles/second")
    edit = settings_file(first).edit(CHANGE)
    assert first.is_symlink() and second.is_symlink() and not path.is_symlink()
    assert path.read_bytes() == NEW and edit.path == first
    assert list(far.iterdir()) == [second]


def test_the_end_of_a_dangling_link_is_made(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to("missing.json")
    settings_file(link).edit(CHANGE)
    assert link.is_symlink() and path.with_name("missing.json").read_bytes() == FRESH


def test_two_names_of_a_file_share_a_lock(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    settings_file(path).edit(CHANGE)
    settings_file(link).edit(CHANGE)
    locks = list((path.parent.parent / "locks").glob("*.lock"))
    assert len(locks) == 1 and locks[0].read_text() == f"{path}\n" and mode_of(locks[0]) == 0o600


LATE = b'{"theirs": 2.0}\n'


@pytest.mark.parametrize("again", [False, True])
def test_a_write_into_the_old_file_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """A client opened it before we replaced it, and writes after that; or writes the new one meanwhile."""
    opened = path.open("r+b")
    pauses = []

    def late(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            with opened:
                opened.truncate()
                opened.write(LATE)
            if again:
                path.write_bytes(LATE.replace(b"2", b"3"))

    monkeypatch.setattr(replace, "time", SimpleNamespace(sleep=late))
    settings_file(path).edit(CHANGE)
    said = strict_json(path.read_bytes())
    assert said == {"theirs": 3.0 if again else 2.0, "env": {"OURS": "x"}}
    assert list(path.parent.iterdir()) == [path] and pauses


def make_socket(path: Path) -> None:
    # A socket's path is 107 bytes at most, of which the folder of a test can take all.
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize(
    ("make", "code", "exit_code"),
    [
        (Path.mkdir, "not_a_file", 2),
        (os.mkfifo, "not_a_file", 2),
        (make_socket, "not_a_file", 2),
        (lambda path: path.symlink_to(path), "link_loop", 2),
        (lambda path: path.symlink_to("/dev/null"), "not_a_file", 2),
        (lambda path: path.symlink_to(path.parent / "none" / "x"), "no_folder", 3),
        (lambda path: (path.write_bytes(OLD), path.chmod(0o444)), "write_protected", 6),
        (make_large, "too_large", 2),
    ],
)
def test_what_is_in_the_way_is_told_and_stays(
    path: Path, make: Callable[[Path], object], code: str, exit_code: int
) -> None:
    path.unlink()
    make(path)
    before = state_of(path)
    error = refused(settings_file(path))
    assert (error.code, error.exit_code) == (f"ai_files.{code}", exit_code)
    assert state_of(path) == before and list(path.parent.iterdir()) == [path]


def test_a_file_of_another_user_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    error = refused(settings_file(path))
    assert (error.code, error.exit_code) == ("ai_files.foreign_owner", 6)
    assert path.read_bytes() == OLD


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(path: Path) -> None:
    settings_file(path).edit(())
    path.parent.chmod(0o500)
    error = refused(settings_file(path))
    path.parent.chmod(0o700)
    assert (error.code, error.exit_code) == ("ai_files.not_writable", 6)
    assert path.read_bytes() == OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_read_only_folder_is_told_to_who_is_not_root(tmp_path: Path) -> None:
    """As an ordinary user, in a process of its own."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        client = home / "client"
        client.mkdir()
        path = client / "settings.json"
        path.write_bytes(OLD)
        (home / "locks").mkdir(mode=0o700)
        for each in (client, path, home / "locks"):
            os.chown(each, 65534, 65534)
        client.chmod(0o500)
        child = os.spawnv(
            os.P_WAIT,
            sys.executable,
            [sys.executable, "-c", AS_NOBODY, str(path)],
        )
        assert child == 6 and path.read_bytes() == OLD and list(client.iterdir()) == [path]


AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.support.ai_files import *
from mahavishnu.base.errors import MahavishnuError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    settings_file(Path(sys.argv[1])).edit(CHANGE)
except MahavishnuError as error:
    sys.exit(error.exit_code if error.code == "ai_files.not_writable" else 99)
"""


@pytest.mark.parametrize("content", [b'{"a": 1, // x\n}', b'{"a": 1', b"[]", b'{"a": 1, "a": 2}'])
def test_an_unreadable_file_is_refused_with_its_name_and_stays(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (1, 1))
    before = state_of(path)
    error = refused(settings_file(path))
    assert error.code.startswith("document.") and error.exit_code == 7
    assert "line 1, column " in error.message and state_of(path) == before


def test_a_foreign_change_is_a_conflict(path: Path) -> None:
    file = settings_file(path)
    file.edit([Set(URL, "first"), Set(("env", "KEY"), "k")])
    file.edit([Set(URL, "the user's own secret")])
    expected = {URL: "first", ("env", "KEY"): "k"}
    wanted = [Set(URL, "second"), Set(("env", "KEY"), "l")]
    before = path.read_bytes()
    with pytest.raises(MahavishnuError) as caught:
        file.edit(wanted, expected=expected)
    assert (caught.value.code, caught.value.exit_code) == ("ai_files.conflict", 4)
    assert "env.OURS" in caught.value.message and "env.KEY" not in caught.value.message
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    assert path.read_bytes() == before


def test_a_lock_is_waited_for_and_then_named(path: Path) -> None:
    file = settings_file(path)
    file.edit(())
    (lock,) = (path.parent.parent / "locks").iterdir()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        error = refused(file)
        assert (error.code, error.exit_code) == ("ai_files.locked", 5)
        assert str(path) in error.message and path.read_bytes() == OLD
        threading.Timer(0.1, held.close).start()
        patient = settings_file(path, Patience(lock=timedelta(seconds=10)))
        assert patient.edit(CHANGE).changed


def test_a_half_written_file_is_waited_for(path: Path) -> None:
    """The client truncates, pauses, and writes: what it has written is kept, ours is added."""
    path.write_bytes(b"")
    threading.Timer(0.1, path.write_bytes, [OLD]).start()
    settings_file(path, Patience(torn=timedelta(seconds=60))).edit(CHANGE)
    assert path.read_bytes() == NEW


def test_a_torn_file_is_told_at_once_when_nobody_writes(path: Path) -> None:
    path.write_bytes(OLD[:-4])
    os.utime(path, (1, 1))
    began = time.monotonic()
    assert (
        refused(settings_file(path, Patience(torn=timedelta(seconds=60)))).code == "document.torn"
    )
    assert time.monotonic() - began < 10


def test_a_torn_file_stays_torn_when_the_writer_is_gone(path: Path) -> None:
    path.write_bytes(OLD[:-4])
    error = refused(settings_file(path, QUICK))
    assert error.code == "document.torn" and path.read_bytes() == OLD[:-4]


def test_half_a_toml_file_looks_whole_and_is_waited_for(path: Path) -> None:
    target = path.with_name("config.toml")
    target.write_bytes(b"a = 1\n")
    threading.Timer(0.02, target.write_bytes, [b"a = 1\nb = 2\n"]).start()
    patience = Patience(quiet=timedelta(milliseconds=200))
    SettingsFile(target, TomlDocument, path.parent.parent / "locks", patience).edit(
        [Set(("model",), "x")]
    )
    assert target.read_bytes() == b'a = 1\nb = 2\nmodel = "x"\n'


WRITERS: dict[str, Callable[[Path, bytes], object]] = {
    "truncates": Path.write_bytes,
    "renames": lambda path, text: (
        path.with_name("client.tmp").write_bytes(text),
        path.with_name("client.tmp").replace(path),
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("moment", ["staged", "exchange", "settle"])
def test_a_write_of_the_client_at_the_worst_moment_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, moment: str
) -> None:
    """While our text is prepared, right before it takes its place, and right after that."""
    theirs = b'{\n  "theirs": 2.0\n}\n'
    left = [theirs]

    def write() -> None:
        if left:
            WRITERS[writer](path, left.pop())

    original: Callable[..., object] = {
        "staged": replace.look, "exchange": replace.files.exchange, "settle": time.sleep
    }[moment]  # fmt: skip

    def with_client(*arguments: object) -> object:
        write()
        return original(*arguments)

    place: dict[str, tuple[object, str]] = {
        "staged": (replace, "look"),
        "exchange": (replace.files, "exchange"),
        "settle": (time, "sleep"),
    }
    monkeypatch.setattr(*place[moment], with_client)
    edit = settings_file(path, QUICK).edit(CHANGE)
    assert not left and edit.changed
    assert path.read_bytes() == NEW.replace(b"1.0", b"2.0")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_client_has_just_written_is_back_before_any_pause(
    path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    """Else it would read our text meanwhile, and go on from that."""
    exchange = replace.files.exchange
    seen: list[bytes] = []

    def with_client(temporary: Path, target: Path) -> None:
        if not seen and b"2.0" not in path.read_bytes():
            WRITERS[writer](path, OLD.replace(b"1.0", b"2.0"))
        exchange(temporary, target)

    monkeypatch.setattr(replace.files, "exchange", with_client)
    pause = SimpleNamespace(sleep=lambda _: seen.append(path.read_bytes()))
    monkeypatch.setattr(replace, "time", pause)
    settings_file(path).edit(CHANGE)
    assert seen and all(b"2.0" in text for text in seen)


def test_what_was_there_before_is_told_as_it_was_before_our_first_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client writes back what it had read: the second time our members may be there already."""
    file = settings_file(path, QUICK)
    both = [Set(URL, "x"), Set(("model",), "m")]
    left = [b'{"theirs": 1.0, "env": {"OURS": "x"}}']
    sleep = time.sleep

    def with_client(seconds: float) -> None:
        if left:
            path.write_bytes(left.pop())
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", with_client)
    edit = file.edit(both)
    assert [effect.before for effect in edit.effects] == [ABSENT, ABSENT]
    assert file.read().get(("model",)) == "m"


def test_a_file_that_appears_meanwhile_is_not_buried(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.unlink()
    look, seen = replace.look, []

    def with_client(target: Path) -> replace.Snapshot:
        found = look(target)
        if not seen:
            path.write_bytes(OLD)
        seen.append(found)
        return found

    monkeypatch.setattr(replace, "look", with_client)
    settings_file(path, QUICK).edit(CHANGE)
    assert path.read_bytes() == NEW and len(seen) > 1


def test_a_client_that_never_stops_writing_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = [0]
    look = replace.look

    def with_client(target: Path) -> replace.Snapshot:
        count[0] += 1
        path.write_bytes(b'{"theirs": %d}' % count[0])
        return look(target)

    monkeypatch.setattr(replace, "look", with_client)
    patience = Patience(busy=timedelta(milliseconds=100), settle=timedelta(0))
    error = refused(settings_file(path, patience))
    assert (error.code, error.exit_code) == ("ai_files.busy", 5)
    assert b"OURS" not in path.read_bytes() and list(path.parent.iterdir()) == [path]


def test_what_a_living_process_prepares_is_not_swept_away(path: Path) -> None:
    """Locks of another home of ours are not ours: only the dead leave something behind."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = path.with_name(f".settings.json.mahavishnu-{ended.pid}-x")
    alive = path.with_name(f".settings.json.mahavishnu-{os.getppid()}-x")
    other = path.with_name(".settings.json.mahavishnu-notes")
    for each in (dead, alive, other):
        each.write_bytes(b"")
    settings_file(path).edit(CHANGE)
    assert sorted(path.parent.iterdir()) == sorted([path, alive, other])


def test_reading_writes_nothing(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "none.json", JsonDocument, tmp_path / "locks", AT_ONCE)
    assert file.read().get(URL) is ABSENT and list(tmp_path.iterdir()) == []
