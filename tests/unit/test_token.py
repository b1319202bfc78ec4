"""The token's file: made once, private or refused, replaced at once, compared in constant time."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from mahavishnu.base.daemon.token import (
    PREFIX,
    TokenFile,
    ensure_token,
    make_token,
    read_token,
    rotate_token,
)
from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, NotFound, Unavailable


def code(work: object, *given: object) -> str:
    with pytest.raises(MahavishnuError) as caught:
        work(*given)  # type: ignore[operator]
    return caught.value.code


def test_a_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token"
    token = ensure_token(path)
    assert token.startswith(PREFIX) and len(token) >= 43 and token.isascii()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ensure_token(path) == read_token(path) == token
    assert path.read_bytes() == token.encode() + b"\n"
    assert [each.name for each in path.parent.iterdir()] == ["token"]
    assert len({make_token() for _ in range(100)}) == 100


def test_of_many_who_make_it_at_once_one_wins(tmp_path: Path) -> None:
    path, got, barrier = tmp_path / "token", list[str](), threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        got.append(ensure_token(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) == {read_token(path)} and len(got) == 8
    assert [each.name for each in tmp_path.iterdir()] == ["token"]


def test_what_others_may_read_or_write_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = ensure_token(path)
    for mode in (0o640, 0o604, 0o620, 0o602, 0o610, 0o666):
        path.chmod(mode)
        with pytest.raises(Forbidden) as caught:
            read_token(path)
        assert caught.value.code == "daemon.token_exposed" and token not in caught.value.message
        assert "token rotate" in (caught.value.hint or "")
        assert code(ensure_token, path) == "daemon.token_exposed"
        assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o400)
    assert read_token(path) == token


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    real = tmp_path / "real"
    ensure_token(real)
    link, pipe, folder = tmp_path / "link", tmp_path / "pipe", tmp_path / "folder"
    link.symlink_to(real)
    os.mkfifo(pipe, 0o600)
    folder.mkdir(mode=0o700)
    for path in (link, pipe, folder):
        assert code(read_token, path) == "daemon.token_exposed", path
        assert code(ensure_token, path) == "daemon.token_exposed", path
    with pytest.raises(NotFound) as caught:
        read_token(tmp_path / "nothing")
    assert caught.value.code == "daemon.no_token"


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"mv-", b"mv-short", b"x" * 50, b"mv-" + b"\xff" * 40, b"mv-" + b"a" * 20 + b"\0" * 20,
             b"mv-" + b"a" * 20 + b"\x1b[31m" + b"a" * 20],
)  # fmt: skip
def test_a_damaged_token_is_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_bytes(text)
    with pytest.raises(Corrupt) as caught:
        read_token(path)
    assert caught.value.code == "daemon.token_damaged"
    assert path.read_bytes() == text


def test_rotating_mends_whatever_was_there_and_writes_through_no_link(tmp_path: Path) -> None:
    path, other = tmp_path / "token", tmp_path / "other"
    first = ensure_token(path)
    second = rotate_token(path)
    assert read_token(path) == second != first
    path.chmod(0o666)
    assert rotate_token(path) == read_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other.write_text("theirs")
    path.unlink()
    path.symlink_to(other)
    rotate_token(path)
    assert other.read_text() == "theirs" and not path.is_symlink()
    path.write_bytes(b"damaged")
    assert rotate_token(path) == read_token(path)


def test_the_daemon_takes_a_new_token_at_its_next_request(tmp_path: Path) -> None:
    path = tmp_path / "token"
    first = ensure_token(path)
    file = TokenFile(path)
    assert file.matches(first) and not file.matches("") and not file.matches(first[:-1])
    assert not file.matches(first + " ") and not file.matches("é\udcff" * 20)
    second = rotate_token(path)
    assert file.matches(second) and not file.matches(first)
    path.chmod(0o644)
    assert code(file.matches, second) == "daemon.token_exposed"
    path.chmod(0o600)
    assert file.matches(second)
    path.unlink()
    assert code(file.matches, second) == "daemon.no_token"
    assert file.matches(ensure_token(path))


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    token = ensure_token(path)
    file = TokenFile(path)
    assert file.matches(token)
    monkeypatch.setattr(
        "mahavishnu.base.daemon.token.read_token", lambda _path: pytest.fail("read again")
    )
    assert file.matches(token) and not file.matches("other")


def test_a_folder_in_the_place_of_the_token_is_named_not_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.mkdir()
    with pytest.raises(Forbidden) as caught:
        rotate_token(path)
    assert caught.value.code == "daemon.file" and "token" in caught.value.message


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    before = ensure_token(path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mahavishnu.base.daemon.token.write_atomically", full)
    for act, place in ((rotate_token, path), (ensure_token, tmp_path / "other")):
        with pytest.raises(Unavailable) as caught:
            act(place)
        assert caught.value.code == "daemon.disk_full"
    assert read_token(path) == before
