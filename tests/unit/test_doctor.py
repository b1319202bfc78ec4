"""What `doctor` makes of what it sees: each finding in its good and its bad case."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from mahavishnu import __version__
from mahavishnu.base.daemon.record import DaemonRecord, claim
from mahavishnu.base.errors import Conflict, Forbidden, NotFound
from mahavishnu.base.paths import Locations
from mahavishnu.base.ports import describe_owner
from mahavishnu.base.processes import identify
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.migrate import HEAD, SchemaState
from mahavishnu.doctor.clients import (
    close_clients,
    look_at_clients,
    look_at_exported_keys,
    look_at_proxies,
)
from mahavishnu.doctor.daemon import (
    empty_record,
    judge_daemon,
    judge_port,
    look_at_port,
)
from mahavishnu.doctor.database import (
    judge_clocks,
    judge_pgvector,
    judge_schema,
    judge_version,
)
from mahavishnu.doctor.files import (
    close,
    judge_file,
    judge_folder,
    look_at_token,
    replace_token,
)
from mahavishnu.doctor.findings import (
    Check,
    Examination,
    Finding,
    ServerFacts,
    Status,
    worst,
)
from mahavishnu.doctor.machine import (
    judge_clock,
    judge_command,
    judge_owners,
    judge_platform,
    judge_python,
    judge_room,
)
from mahavishnu.doctor.model import judge_cosines
from mahavishnu.doctor.run import CHECKS, Mended, look, mend
from tests.support.command import ROOT

GIB = 1024**3
PLACE = Path("/srv/x")


def server(**said: Any) -> ServerFacts:
    """What a server says of itself, where only some of it matters."""
    facts = ServerFacts(
        embedded=False, shown="", server="", major=0, vector=None, offered=None, sees_all=False,
        ahead=timedelta(0), state=SchemaState(None),
    )  # fmt: skip
    return replace(facts, **said)


@pytest.fixture
def examination(tmp_path: Path) -> Examination:
    """An examination of an empty home."""
    places = Locations(tmp_path / "config", tmp_path / "data", tmp_path / "state")
    for folder in (places.config, places.data, places.state):
        folder.mkdir(mode=0o700)
    return Examination({}, {}, True, AsyncExitStack(), locations=places)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (judge_python((3, 13, 0), "CPython"), "ok"),
        (judge_python((3, 14, 1), "CPython"), "ok"),
        (judge_python((3, 12, 9), "CPython"), "error"),
        (judge_python((3, 13, 0), "PyPy"), "warning"),
        (judge_platform("linux", "6.1", "x86_64"), "ok"),
        (judge_platform("darwin", "24", "arm64"), "ok"),
        (judge_platform("win32", "11", "AMD64"), "error"),
        (judge_room(PLACE, 2 * GIB, names_left=9), "ok"),
        (judge_room(PLACE, 2 * GIB, names_left=None), "ok"),
        (judge_room(PLACE, GIB - 1, names_left=9), "warning"),
        (judge_room(PLACE, 64 * 1024**2 - 1, names_left=9), "error"),
        (judge_room(PLACE, 2 * GIB, names_left=0), "error"),
        (judge_clock(datetime(2026, 1, 1, tzinfo=UTC)), "ok"),
        (judge_clock(datetime(1970, 1, 1, tzinfo=UTC)), "error"),
        (judge_clock(datetime(2106, 1, 1, tzinfo=UTC)), "error"),
        (judge_version(server(server="16.0", major=16)), "ok"),
        (judge_version(server(server="18beta1", major=18)), "ok"),
        (judge_version(server(server="15.14 (Debian 15.14-0+deb12u1)", major=15)), "error"),
        (judge_pgvector(server(vector="0.8.0", offered="0.8.5")), "ok"),
        (judge_pgvector(server(vector="0.10.0", offered="0.10.0")), "ok"),
        (judge_pgvector(server(vector="0.7.4", offered="0.8.5")), "error"),
        (judge_pgvector(server(vector=None, offered="0.8.5")), "info"),
        (judge_pgvector(server(vector=None, offered="0.7.4")), "error"),
        (judge_pgvector(server(vector=None, offered=None)), "error"),
        (judge_schema(server(state=SchemaState(HEAD), embedded=False)), "ok"),
        (judge_schema(server(state=SchemaState(None), embedded=False)), "error"),
        (judge_schema(server(state=SchemaState("0000"), embedded=False)), "error"),
        (judge_schema(server(state=SchemaState("9999"), embedded=False)), "error"),
        (judge_schema(server(state=SchemaState(None), embedded=True)), "info"),
        (judge_schema(server(state=SchemaState("9999"), embedded=True)), "error"),
        (judge_clocks(server(ahead=timedelta(seconds=5))), "ok"),
        (judge_clocks(server(ahead=timedelta(seconds=-6))), "warning"),
        (judge_clocks(server(ahead=timedelta(minutes=6))), "error"),
        (judge_clocks(server(ahead=timedelta(days=-9))), "error"),
        (judge_cosines([0.9999999, 0.99901]), "ok"),
        (judge_cosines([0.9999999, 0.998]), "warning"),
        (judge_cosines([0.998]), "error"),
    ],
    ids=str,
)
def test_what_is_seen_is_judged(found: Finding, status: Status) -> None:
    assert found.status == status, found
    assert status in ("ok", "info") or found.hint or "CPython was" in found.summary


def test_clocks_and_cosines_are_named() -> None:
    assert "7 s ahead of" in judge_clocks(server(ahead=timedelta(seconds=7))).summary
    assert "7 s behind" in judge_clocks(server(ahead=timedelta(seconds=-7))).summary
    assert "0.12346" in judge_cosines([0.123456]).summary


def test_the_worst_status_counts() -> None:
    def of(*statuses: Status) -> Status:
        return worst(Finding(status, "") for status in statuses)

    assert of() == "ok" and of("ok", "skipped") == "skipped" and of("info", "skipped") == "info"
    assert of("error", "warning", "ok") == "error" and of("ok", "warning", "info") == "warning"


# Who owns the name.


def lay_out(folder: Path, name: str, record: str = "", scripts: str = "", tops: str = "") -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(record)
    (info / "entry_points.txt").write_text(f"[console_scripts]\n{scripts}")
    (info / "top_level.txt").write_text(tops)


def owners(folder: Path) -> Finding:
    return judge_owners(distributions(path=[str(folder)]))


def test_another_owner_of_the_name_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, "Mahavishnu_AI", "mahavishnu/app.py,,\n", "mahavishnu = mahavishnu:main")
    lay_out(tmp_path, "innocent", "x/mahavishnu/a.py,,\nmahavishnu_x/a.py,,\n", "maha = a:b", "a\n")
    (tmp_path / "left_over-1.0.dist-info").mkdir()
    assert owners(tmp_path).status == "ok"
    lay_out(tmp_path, "mahavishnu")
    lay_out(tmp_path, "by-files", "a.py,,\nmahavishnu/core.py,,\n")
    lay_out(tmp_path, "by-command", scripts="mahavishnu = a:b")
    lay_out(tmp_path, "by-top", tops="a\nmahavishnu\n")
    found = owners(tmp_path)
    assert found.status == "error"
    assert "by-command, by-files, by-top, mahavishnu" in found.summary
    assert "innocent" not in found.summary and "uninstall by-command" in (found.hint or "")


def test_an_earlier_command_on_the_path_is_named(tmp_path: Path) -> None:
    ours, other, linked = (tmp_path / name for name in ("ours", "other", "linked"))
    for folder in (ours, other, linked):
        folder.mkdir()
    for folder in (ours, other):
        (folder / "mahavishnu").write_text("#!/bin/sh\n")
        (folder / "mahavishnu").chmod(0o755)
    (linked / "mahavishnu").symlink_to(ours / "mahavishnu")

    def judged(*folders: Path | str) -> Finding:
        return judge_command(ours / "mahavishnu", os.pathsep.join(map(str, folders)))

    assert judged(ours, other).status == judged(linked, other).status == "ok"
    found = judged("", tmp_path / "absent", other, ours)
    assert found.status == "warning" and str(other / "mahavishnu") in found.summary
    assert judged(tmp_path).status == "info"
    (other / "mahavishnu").chmod(0o644)  # a shell passes over it
    assert judged(other, ours).status == "ok"


# Whose are the files, and who else can read them.


@pytest.mark.parametrize(
    ("mode", "status"),
    [(0o700, "ok"), (0o750, "warning"), (0o705, "warning"), (0o720, "error"), (0o702, "error")],
)
def test_a_folder_is_for_its_owner(tmp_path: Path, mode: int, status: str) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    folder.chmod(mode)
    found = judge_folder(folder)
    assert (found.status, found.fixable) == (status, status != "ok")
    if found.fixable:
        assert found.hint == f"chmod 700 '{folder}'"
        close(folder, 0o700)
        assert judge_folder(folder).status == "ok"


@pytest.mark.parametrize(("mode", "status"), [(0o600, "ok"), (0o644, "warning"), (0o620, "error")])
def test_a_file_is_for_its_owner(tmp_path: Path, mode: int, status: str) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    found = judge_file(path)
    assert (found.status, found.fixable) == (status, status != "ok")
    close(path, 0o600)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_stands_in_the_place_of_a_folder_or_file(tmp_path: Path) -> None:
    file, folder, loose = tmp_path / "file", tmp_path / "folder", tmp_path / "loose"
    file.touch(0o600)
    folder.mkdir(mode=0o700)
    loose.symlink_to(tmp_path / "absent")
    assert judge_folder(tmp_path / "absent").status == "info"
    assert judge_file(tmp_path / "absent").status == "ok"
    assert judge_folder(file).status == "error"
    assert judge_file(folder).status == "error"
    assert judge_folder(loose).status == "error"
    assert judge_file(loose).status == "warning"


def test_a_link_is_told_of_and_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    target.chmod(0o755)
    link.symlink_to(target)
    found = judge_folder(link)
    assert found.status == "warning" and not found.fixable
    with pytest.raises(Forbidden, match="left alone"):
        close(link, 0o700)
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(not ROOT, reason="only root can give a folder away")
def test_what_is_another_users_is_left_alone(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    for path in (folder, file):
        path.chmod(0o777)
        os.chown(path, 1500, -1)
        with pytest.raises(Forbidden, match="left alone"):
            close(path, 0o600)
        assert path.stat().st_mode & 0o777 == 0o777
    for found in (judge_folder(folder), judge_file(file)):
        assert found.status == "error" and "another user" in found.summary and not found.fixable


def test_the_token(examination: Examination) -> None:
    path = examination.places.token
    assert look_at_token(examination).status == "info"
    path.write_text("mv-" + "a" * 40)
    path.chmod(0o644)
    found = look_at_token(examination)
    assert (found.status, found.fixable, found.code) == ("error", True, "daemon.token_exposed")
    replace_token(examination)
    assert look_at_token(examination).status == "ok"
    assert "a" * 40 not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    path.write_text("no token")
    found = look_at_token(examination)
    assert (found.status, found.fixable, found.code) == ("error", True, "daemon.token_damaged")
    path.unlink()
    path.symlink_to(examination.places.data)
    found = look_at_token(examination)
    assert (found.status, found.fixable) == ("error", False)
    with pytest.raises(Forbidden):
        replace_token(examination)
    assert path.is_symlink()


def test_a_token_that_is_gone_while_the_daemon_runs_is_made_anew(examination: Examination) -> None:
    path = examination.places.token
    with claim(examination.places.daemon_lock, version=__version__, since="now") as held:
        assert look_at_token(examination).status == "info"  # it makes it at its start
        held.announce(1)
        found = look_at_token(examination)
        assert (found.status, found.fixable, found.code) == ("error", True, "daemon.no_token")
        replace_token(examination)
        assert look_at_token(examination).status == "ok" and path.stat().st_mode & 0o777 == 0o600


# The daemon and its port.


def dead() -> DaemonRecord:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        gone = identify(child.pid)
        assert gone is not None
    return DaemonRecord(gone.pid, gone.started, __version__, "2026-11-21T00:00:00Z", 1)


@contextmanager
def answering(listener: socket.socket, status: int) -> Iterator[None]:
    """Give every client the same answer."""
    ended = threading.Event()
    listener.settimeout(0.05)

    def serve() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(60)
                    connection.recv(4096)
                    connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(60)


def test_a_daemon_that_hangs_is_not_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mahavishnu.base.daemon.client.ANSWER_LIMIT_S", 0.2)
    lock = tmp_path / "daemon.lock"
    with socket.socket() as listener, claim(lock, version=__version__, since="now") as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # it takes connections, and says nothing
        held.announce(listener.getsockname()[1])
        found = judge_daemon(lock)
    assert found.status == "error" and "--force" in (found.hint or "")


def test_the_record_of_a_daemon(examination: Examination) -> None:
    lock = examination.places.daemon_lock
    assert judge_daemon(lock).status == "info"
    with claim(lock, version=__version__, since="now") as held, socket.socket() as listener:
        assert "begins" in judge_daemon(lock).summary
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        held.announce(port)
        assert judge_daemon(lock).status == "error"  # nobody listens
        listener.listen()
        with answering(listener, 503):
            found = judge_daemon(lock)
            assert "HTTP 503" in found.summary
            # A daemon that only waits for its database is not to be killed.
            assert str(found.hint).startswith("Fix what is reported about the database")
        with answering(listener, 200):
            found = judge_daemon(lock)
            assert found.status == "ok" and f":{port} (pid {os.getpid()}" in found.summary
            with pytest.raises(Conflict, match="holds"):
                empty_record(examination)
            assert judge_daemon(lock).status == "ok"
    with claim(lock, version="0.0.1", since="now") as held, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        held.announce(listener.getsockname()[1])
        with answering(listener, 200):
            found = judge_daemon(lock)
        assert found.status == "warning" and "0.0.1" in found.summary
    assert judge_daemon(lock).status == "info"


def test_a_stale_or_damaged_record_is_emptied(examination: Examination) -> None:
    lock = examination.places.daemon_lock
    record = dead()
    for text, said in ((json.dumps(asdict(record)), f"gone (pid {record.pid})"), ("{", "damaged")):
        lock.write_text(text)
        found = judge_daemon(lock)
        assert (found.status, found.fixable) == ("warning", True) and said in found.summary
        empty_record(examination)
        assert lock.read_bytes() == b"" and judge_daemon(lock).status == "info"
    other = examination.places.data / "other"
    other.write_text("precious")
    lock.unlink()
    lock.symlink_to(other)
    found = judge_daemon(lock)
    assert (found.status, found.fixable) == ("error", False)
    with pytest.raises(Forbidden):
        empty_record(examination)
    assert other.read_text() == "precious"


def test_what_is_no_record_holds_nobody_up(examination: Examination) -> None:
    lock = examination.places.daemon_lock
    os.mkfifo(lock)
    assert judge_daemon(lock).status == "error"
    examination.loaded = load_settings(environ={"MAHAVISHNU_PORT": "0"}, folder=lock.parent)
    assert look_at_port(examination).status == "ok"
    lock.unlink()
    own = identify(os.getpid())
    assert own is not None
    record = DaemonRecord(own.pid, own.started, __version__, "now", 99_999_999)
    lock.write_text(json.dumps(asdict(record)))
    found = judge_daemon(lock)
    assert found.status == "error" and "does not answer" in found.summary


def test_a_port_is_free_or_its_owner_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = judge_port(port, None)
        assert found.status == "error" and f"(pid {os.getpid()}," in found.summary
        assert judge_port(port, DaemonRecord(1, "", "", "", port)).status == "ok"
        elsewhere = judge_port(port, DaemonRecord(1, "", "", "", port + 1))
        assert elsewhere.status == "warning" and f"server.port: {port + 1}" in str(elsewhere.hint)
        begins = judge_port(port, DaemonRecord(1, "", "", "", None))
        assert begins.status == "info"  # it listens before it tells where
    assert judge_port(port, None).status == "ok"
    assert judge_port(0, None).status == "ok"
    assert "does not show" in describe_owner(port)


# The run.


def test_each_check_builds_on_earlier_ones() -> None:
    seen: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= seen and check.name not in seen
        seen.add(check.name)


async def test_one_failing_check_stops_no_other(
    examination: Examination, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    async def sleep(_: Examination) -> Finding:
        await asyncio.sleep(60)
        raise AssertionError

    def missing(_: Examination) -> Finding:
        raise NotFound("It is away.", hint="Look.", code="memory.not_found")

    def refused(_: Examination) -> Finding:
        raise PermissionError(13, "Permission denied", "/srv/x")

    def broken(_: Examination) -> Finding:
        raise ZeroDivisionError

    def fine(_: Examination) -> Finding:
        return Finding("warning", "")

    await look(
        examination,
        (
            Check("missing", missing),
            Check("slow", sleep, limit_s=0.05),
            Check("refused", refused),
            Check("broken", broken),
            Check("after", fine, needs=("broken",)),
            Check("later", fine, needs=("after",)),
            Check("fine", fine),
            Check("more", fine, needs=("fine",)),
        ),
    )
    found = examination.findings
    assert [each.status for each in found.values()] == [
        *("error", "error", "error", "error", "skipped", "skipped", "warning", "warning")
    ]
    codes = [found[name].code for name in ("missing", "slow", "refused", "broken")]
    assert codes == ["memory.not_found", "doctor.timeout", "doctor.system", "internal"]
    assert found["missing"].hint == "Look." and "/srv/x" in found["refused"].summary
    assert "0.05 s" in found["slow"].summary and "ZeroDivisionError" in found["broken"].summary
    assert "broken" in found["after"].summary == found["later"].summary
    assert "check_failed" in capsys.readouterr().err


async def test_what_cannot_be_mended_is_told(examination: Examination) -> None:
    elsewhere = examination.places.data / "elsewhere"
    elsewhere.touch()
    examination.places.token.symlink_to(elsewhere)
    examination.places.config.chmod(0o755)
    for check in CHECKS:
        fixable = check.name in ("config_folder", "token", "python")
        examination.findings[check.name] = Finding("error", "", fixable=fixable)
    told: list[str] = []
    first, second = await mend(examination, told.append)
    assert told == ["config_folder", "token"]
    assert first.done and examination.places.config.stat().st_mode & 0o777 == 0o700
    assert second == Mended("token", False, second.summary) and "left alone" in second.summary
    assert elsewhere.read_bytes() == b""


def test_settings_of_clients_that_are_open_are_told_and_closed(
    examination: Examination, tmp_path: Path
) -> None:
    environ = {**examination.environ, "HOME": str(tmp_path)}
    loaded = load_settings(environ=environ, folder=tmp_path)
    examination = replace(examination, environ=environ, loaded=loaded)
    assert look_at_clients(examination).status == "ok"
    path = tmp_path / ".claude" / "settings.json"
    path.parent.mkdir(mode=0o755)
    path.write_text("{}")
    path.chmod(0o644)
    found = look_at_clients(examination)
    assert found.status == "warning" and found.fixable and f"{path} (0644)" in found.summary
    close_clients(examination)
    assert look_at_clients(examination).status == "ok"
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_exported_keys_and_proxies_before_this_machine_are_named(
    examination: Examination, tmp_path: Path
) -> None:
    environ = {**examination.environ, "HOME": str(tmp_path), "PATH": "", "ZAI_API_KEY": ""}
    loaded = load_settings(environ=environ, folder=tmp_path)
    examination = replace(examination, environ=environ, loaded=loaded)
    settings = tmp_path / ".claude/settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}}))
    assert look_at_exported_keys(examination).status == "ok"
    assert look_at_proxies(examination).status == "ok"
    exported = {"HTTP_PROXY": "http://proxy.example", "MISTRAL_API_KEY": "sk-fake-canary"}
    environ |= exported | {"CLAUDE_CODE_OAUTH_TOKEN": "sk-fake-canary"}
    loaded = load_settings(environ=environ, folder=tmp_path)
    examination = replace(examination, environ=environ, loaded=loaded)
    keys, proxies = look_at_exported_keys(examination), look_at_proxies(examination)
    assert keys.status == "info" and "canary" not in keys.summary
    assert "CLAUDE_CODE_OAUTH_TOKEN, MISTRAL_API_KEY." in keys.summary
    assert proxies.status == "warning" and "NO_PROXY" in proxies.summary
