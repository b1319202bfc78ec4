"""Root and other users: a user without a name, root at a user's data, a user at root's data."""

import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import mahavishnu
from mahavishnu.database.embedded.state import KeeperRecord, Layout, PostmasterFile
from tests.support.command import PROGRAM, ROOT, Answer, Command

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not ROOT, reason="only root can be other users"),
]

NAMELESS = 1500  # no account has it
NEEDED = (Path(sys.executable).resolve(), PROGRAM, Path(mahavishnu.__file__))


def open_closed_folders(hold: str) -> str:
    """
    Return shell commands, for a mount namespace, that let others pass to what is needed to run.

    A closed folder, such as root's home, is covered by one that holds nothing but the way there.
    """
    covered: dict[Path, set[Path]] = {}
    for path in NEEDED:
        for folder, child in itertools.pairwise([*reversed(path.parents), path]):
            if not folder.stat().st_mode & 0o001:
                covered.setdefault(folder, set()).add(child)
                break
    lines = ["set -e", f"mount -t tmpfs -o mode=755 tmpfs {hold}"]
    for folder, children in covered.items():
        kept = [(shlex.quote(str(child)), f"{hold}/{uuid.uuid4()}") for child in children]
        lines += [f"mkdir {held}; mount --bind {child} {held}" for child, held in kept]
        lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}"]
        lines += [f"mkdir {child}; mount --bind {held} {child}" for child, held in kept]
    return "\n".join(lines)


def run_as(user: int, command: Command, *words: str) -> Answer:
    """Run the installed command as another user, who has nothing but the rights of others."""
    become = f"cd /; exec setpriv --reuid {user} --regid {user} --clear-groups"
    with tempfile.TemporaryDirectory() as hold:
        script = f'{open_closed_folders(hold)}\n{become} "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", str(PROGRAM), *words],
            env=command.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
    answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in answer.err, answer
    return answer


@pytest.fixture
def outside() -> Iterator[Command]:
    """The command with a home that every user can reach, which the temporary folder of a run is not."""
    home = Path(tempfile.mkdtemp(prefix="mahavishnu-test-"))
    home.chmod(0o755)
    settings = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", "MAHAVISHNU_PG_IDLE_TIMEOUT": "0.5"}
    yield Command(home, {**settings, "COVERAGE_PROCESS_CONFIG": ""})
    wait_for_end(home)
    shutil.rmtree(home)


def wait_for_end(home: Path) -> None:
    layout = Layout(home / "mahavishnu/data/postgres")
    record = KeeperRecord.read(layout.keeper_lock)
    until = time.monotonic() + 60
    while record and record.keeper.alive:
        assert time.monotonic() < until
        time.sleep(0.05)


def owners(home: Path) -> dict[str, tuple[int, int, int]]:
    """Return user, group and rights of everything below `home`."""
    found = [(path, path.lstat()) for path in (home, *home.rglob("*"))]
    return {str(path): (s.st_uid, s.st_gid, s.st_mode) for path, s in found}


def test_a_user_without_a_name_can_do_everything(outside: Command) -> None:
    os.chown(outside.home, NAMELESS, NAMELESS)
    stored = run_as(NAMELESS, outside, "memory", "store", "A fact.", "--json").json
    found = run_as(NAMELESS, outside, "memory", "search", "fact", "--json").json["hits"]
    assert [hit["id"] for hit in found] == [stored["id"]]
    assert run_as(NAMELESS, outside, "db", "current", "--json").json["current"]
    shell = run_as(NAMELESS, outside, "db", "shell", "-XAtc", "SELECT 1")
    assert (shell.status, shell.out) == (0, "1\n")
    served = PostmasterFile.read(outside.root / "data/postgres/cluster")  # while it still runs
    assert served and served.socket_folder.stat().st_uid == NAMELESS
    assert run_as(NAMELESS, outside, "config", "trust", "/", "--json").json
    wait_for_end(outside.home)
    assert not served.socket_folder.exists()
    assert {user for user, _, _ in owners(outside.home).values()} == {NAMELESS}


def test_root_leaves_the_data_of_a_user_alone(outside: Command) -> None:
    os.chown(outside.home, NAMELESS, NAMELESS)
    stored = run_as(NAMELESS, outside, "memory", "store", "A fact.", "--json").json
    assert run_as(NAMELESS, outside, "config", "trust", "/", "--json").json
    for ended in (False, True):
        if ended:
            wait_for_end(outside.home)
        before = owners(outside.home) if ended else {}  # a server that still runs changes its own
        for words, code in (
            (("memory", "list"), "database.not_writable"),
            (("memory", "store", "x"), "database.not_writable"),
            (("db", "upgrade"), "database.not_writable"),
            (("config", "trust", "/"), "settings.not_writable"),
        ):
            refused = outside(*words, "--json")
            assert (refused.status, refused.error["code"]) == (6, code)
            assert str(outside.root) in refused.error["message"] and refused.error["hint"]
        if ended:
            assert owners(outside.home) == before
    shown = run_as(NAMELESS, outside, "memory", "show", stored["id"], "--json").json
    assert shown["content"] == "A fact."


def test_a_user_is_told_that_the_data_is_root_s(outside: Command) -> None:
    assert outside("memory", "store", "A fact.", "--json").json
    opened = (outside.root, outside.root / "data", outside.root / "data/postgres")
    expected = ["settings.unreadable", "database.not_writable", "database.not_writable"]
    wait_for_end(outside.home)
    before = owners(outside.home)
    for folder, code in zip((None, *opened[1:]), expected, strict=True):
        for path in (opened[0], folder) if folder else ():
            path.chmod(0o755)
        refused = run_as(NAMELESS, outside, "memory", "list", "--json")
        assert (refused.status, refused.error["code"]) == (6, code)
        assert str(outside.root) in refused.error["message"] and refused.error["hint"]
    for path in opened:
        path.chmod(0o700)
    assert owners(outside.home) == before
    assert len(outside("memory", "list", "--json").json["memories"]) == 1


def test_a_shared_profile_that_may_not_be_read_is_named(outside: Command) -> None:
    team = outside.home / "team"
    team.mkdir()
    (team / "all.yaml").write_text("ai_environments: {llm_profiles: {work: {model: large}}}\n")
    (team / "all.yaml").chmod(0o600)
    outside.settings.write_text(f"ai_environments: {{shared_profiles: [{team}]}}\n")
    for path in (outside.home, outside.root, outside.settings.parent, outside.settings):
        os.chown(path, NAMELESS, NAMELESS)
    missing = run_as(NAMELESS, outside, "ai", "list-llms", "--json").json["missing"]
    assert [(each["what"], each["code"]) for each in missing] == [("place", "settings.unreadable")]
