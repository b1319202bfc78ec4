"""Reading what git prints: addresses of remotes, records of the history."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.knowledge import git
from mahavishnu.knowledge.git import _FIELD, _RECORD, Commit, _parse, normalise_remote
from mahavishnu.knowledge.ingest import memory_of_commit
from mahavishnu.memory.models import check_new_memory

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True).filter(
    lambda name: not name.endswith(".git")
)


@given(names, names, st.sampled_from(["git", "me", "key:word"]), st.integers(1, 65535))
def test_all_forms_of_an_address_are_alike(owner: str, name: str, user: str, port: int) -> None:
    plain = f"host.example/{owner}/{name}"
    for form in (
        f"https://host.example/{owner}/{name}",
        f"https://HOST.example/{owner}/{name}.git",
        f"https://{user}@host.example/{owner}/{name}.git/",
        f"ssh://{user}@host.example:{port}/{owner}/{name}.git",
        f"git@host.example:{owner}/{name}.git",
        f"host.example:{owner}/{name}",
        f"  git@Host.Example:/{owner}/{name}.git\n",
        f"git://host.example/{owner}/{name}",
    ):
        assert normalise_remote(form) == plain, form
    assert normalise_remote(plain.replace(owner, f"x{owner}", 1)) != plain


def test_credentials_are_never_kept() -> None:
    for form in ("https://u:hunter2@h/a", "https://hunter2@h/a", "ssh://u:hunter2@h/a",
                 "https://h/a?token=hunter2", "https://h/a#hunter2"):  # fmt: skip
        assert "hunter2" not in normalise_remote(form)


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/srv/repo.git", "/srv/repo.git"), ("../repo/", "../repo"), ("./a:b", "./a:b")],
)
def test_a_path_of_this_machine_stays(path: str, kept: str) -> None:
    assert normalise_remote(path) == kept


@given(st.text(max_size=40) | st.sampled_from(["[::1]:a/b.git", "[bad/x", "h:port/x", "h/a?k=v"]))
def test_whatever_the_address_its_credentials_are_not_kept(rest: str) -> None:
    assert "hunter2" not in normalise_remote(f"https://u:hunter2@{rest}")


def record(*, sha: str = "a" * 40, author: str = "Ada", seconds: str = "1700000000",
           subject: str = "Subject", body: str = "", files: str = "") -> str:  # fmt: skip
    return _FIELD.join((sha, author, seconds, subject, body, files))


def test_a_record_is_a_commit() -> None:
    text = record(body="Why.\n\nMore.\n", files="\n\na.py\nb c/ü.py\n\n")
    assert _parse(text) == Commit(
        "a" * 40, "Ada", datetime.fromtimestamp(1_700_000_000, UTC), "Subject", "Why.\n\nMore.",
        ("a.py", "b c/ü.py"),
    )  # fmt: skip


def test_body_files_author_and_subject_may_be_empty() -> None:
    commit = _parse("\n" + record(author="", subject=""))
    assert (commit.author, commit.subject, commit.body, commit.files) == ("", "", "", ())


def test_moments_before_1970_are_moments() -> None:
    assert _parse(record(seconds="-1")).authored_at == datetime(
        1969, 12, 31, 23, 59, 59, tzinfo=UTC
    )


@pytest.mark.parametrize("seconds", ["", "soon", "9" * 16, "9" * 40])
def test_a_commit_without_a_readable_date_is_remembered_without_one(seconds: str) -> None:
    commit = _parse(record(sha="abc", seconds=seconds))
    assert commit.authored_at is None
    assert memory_of_commit(commit, project="p").context == "Ada:"


@given(st.text(st.characters(exclude_characters=_FIELD + "\x1e", exclude_categories=["Cs"])))
def test_any_message_becomes_a_memory(text: str) -> None:
    """NUL, controls and replaced bytes included; nothing of it may stop an import."""
    line = text.replace("\n", " ").replace("\x00", "")  # git ends a header line there itself
    body = text.replace("\x00", "")  # a message cannot hold it
    commit = _parse(record(author=line, subject=line, body=body, files="a.py"))
    new = check_new_memory(memory_of_commit(commit, project="p"))
    assert "\x00" not in new.content and new.content.startswith(line)


def test_a_commit_that_says_nothing_does_not_stop_the_import() -> None:
    new = check_new_memory(memory_of_commit(_parse(record(subject="")), project="p"))
    assert new.content == f"Commit {'a' * 40} without a message"


def test_control_characters_of_a_message_are_only_text() -> None:
    commit = _parse(record(subject="one\x1ftwo", body="three\x1efour", files="a.py\n"))
    assert (commit.subject, commit.body) == ("one\x1ftwo", "three\x1efour")
    assert commit.files == ("a.py",)


def test_a_commit_is_remembered_with_its_files() -> None:
    many = "\n".join(f"f{n}" for n in range(50))
    new = memory_of_commit(_parse(record(subject="Fix it", body="Why.", files=many)), project="p")
    assert new.content.startswith("Fix it\n\nWhy.\n\nFiles: f0, f1")
    assert new.content.endswith("f39 and 10 more")
    assert new.context == "Ada, 2023-11-14:"
    assert new.source_key == new.commit_id == "a" * 40
    assert new.metadata == {"subject": "Fix it", "author": "Ada"}


class FakeProcess:
    """A git that has ended; its output arrives in given pieces."""

    returncode = 0

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.stdout = self
        self.stderr = FakeProcess() if pieces else self

    async def read(self, _size: int = -1) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def wait(self) -> int:
        return 0


async def read(monkeypatch: pytest.MonkeyPatch, *pieces: bytes) -> list[Commit]:
    async def start(*_: object) -> FakeProcess:
        return FakeProcess(*pieces)

    monkeypatch.setattr(git, "_start", start)
    return [commit async for commit in git.read_history(Path(), after=None)]


async def test_records_are_put_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "".join(
        f"{_RECORD}{record(sha=f'{n:040}', subject=f's{n}')}" for n in range(5)
    ).encode()
    expected = await read(monkeypatch, whole)
    assert [commit.subject for commit in expected] == ["s0", "s1", "s2", "s3", "s4"]
    for size in (1, 7, 64):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        assert await read(monkeypatch, *pieces) == expected


async def test_a_character_between_two_reads_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = f"{_RECORD}{record(subject='naïve 日本')}".encode()
    for cut in range(1, len(whole)):
        [commit] = await read(monkeypatch, whole[:cut], whole[cut:])
        assert commit.subject == "naïve 日本"


async def test_bytes_that_are_no_text_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    [commit] = await read(
        monkeypatch, f"{_RECORD}{record(subject='a?b')}".encode().replace(b"?", b"\xff")
    )
    assert commit.subject == "a\ufffdb"
