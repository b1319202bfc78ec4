"""Where things live, and files that are whole or untouched."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.base.files import digest_file, replacing, write_atomically
from mahavishnu.base.paths import locate, private_folder


def test_everything_lies_below_one_home(tmp_path: Path) -> None:
    found = locate({"MAHAVISHNU_HOME": str(tmp_path)})
    assert (found.config, found.data, found.state) == (
        tmp_path / "config",
        tmp_path / "data",
        tmp_path / "state",
    )
    assert found.user_settings == tmp_path / "config/mahavishnu.yaml"
    assert found.trusted_directories == tmp_path / "config/trusted.json"
    assert found.models == tmp_path / "data/models"
    assert found.postgres == tmp_path / "data/postgres"
    assert not list(tmp_path.iterdir())


def test_without_it_the_platform_decides() -> None:
    found = locate({})
    for root in (found.config, found.data, found.state):
        assert root.is_absolute() and "mahavishnu" in root.parts


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        locate({"MAHAVISHNU_HOME": "here/below"})
    assert caught.value.code == "settings.home_not_absolute"


def test_a_tilde_is_the_users_home() -> None:
    assert locate({"MAHAVISHNU_HOME": "~/m"}).config == Path.home() / "m/config"


def test_new_folders_are_private_and_old_ones_keep_their_mode(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    old.chmod(0o755)
    made = private_folder(old / "a/b")
    assert made == old / "a/b" and private_folder(made) == made
    assert [p.stat().st_mode & 0o777 for p in (old, old / "a", made)] == [0o755, 0o700, 0o700]


def test_what_is_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(tmp_path / "nowhere")
    file.write_bytes(b"")
    for culprit, path in ((link, link), (link, link / "a/b"), (file, file), (file, file / "a/b")):
        with pytest.raises(UsageError) as caught:
            private_folder(path)
        assert caught.value.code == "settings.not_a_folder" and caught.value.hint
        assert caught.value.message.startswith(f"{culprit} ")
    assert sorted(tmp_path.iterdir()) == [file, link]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kept.yaml"
    path.write_bytes(b"old")
    path.chmod(0o644)
    return path


def left_over(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


def test_the_new_text_is_whole_and_private(file: Path) -> None:
    write_atomically(file, b"new" * 100_000)
    assert file.read_bytes() == b"new" * 100_000
    assert file.stat().st_mode & 0o777 == 0o600
    assert left_over(file) == []


def test_another_mode_can_be_asked_for_whatever_the_umask(file: Path) -> None:
    umask = os.umask(0o077)
    try:
        write_atomically(file, b"new", mode=0o644)
    finally:
        os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_new_file_appears(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new", b"")
    assert (tmp_path / "new").read_bytes() == b""


def test_a_link_is_followed_and_kept(file: Path) -> None:
    (file.parent / "far").mkdir()
    link = file.parent / "far/link.yaml"
    link.symlink_to(file)
    write_atomically(link, b"new")
    assert link.is_symlink() and link.resolve() == file
    assert file.read_bytes() == b"new"
    assert left_over(file) == ["far"]
    assert list(link.parent.iterdir()) == [link]


class PowerCut(BaseException):
    """Like SIGINT or a cancelled task: no Exception."""


STEPS = ["os.write", "os.fchmod", "os.fsync", "pathlib.Path.replace"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), PowerCut()])
def test_a_failure_at_any_step_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(step, fail)
    with pytest.raises(type(failure)):
        write_atomically(file, b"new")
    monkeypatch.undo()
    assert file.read_bytes() == b"old" and left_over(file) == []
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_stream_that_fails_leaves_the_old_file(file: Path) -> None:
    with pytest.raises(OSError), replacing(file) as stream:
        stream.write(b"new" * 100_000)
        raise OSError(errno.ENOSPC, "full")
    assert file.read_bytes() == b"old" and left_over(file) == []
    with replacing(file) as stream:
        stream.write(b"new")
    assert file.read_bytes() == b"new" and file.stat().st_mode & 0o777 == 0o600


def test_it_is_durable_before_it_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is synced before the rename, and the folder after it."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "content")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_atomically(file, b"new")
    assert steps == ["content", "rename", "folder"]


def test_a_digest_is_sha256(file: Path) -> None:
    file.write_bytes(b"x" * 3_000_000)
    assert digest_file(file) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
