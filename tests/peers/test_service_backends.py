"""Units by a real supervisord and a real systemd of the user: the contract of backends, and what is adopted."""

import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.services.backends.chosen import ChosenBackend
from mahavishnu.services.backends.supervisord import SupervisordBackend
from mahavishnu.services.backends.supervisord_files import find_settings
from mahavishnu.services.backends.systemd_backend import SystemdBackend
from mahavishnu.services.supervision.own_backend import UnitEnvironment
from mahavishnu.services.units.backend import Backend
from mahavishnu.services.units.unit import Unit
from tests.peers.test_login import running_pid
from tests.support.backend_contract import WAIT_S, BackendContract
from tests.support.command import Command
from tests.support.peers.supervisord_peer import Supervisord, supervisord
from tests.support.peers.systemd_peer import user_systemd

pytestmark = pytest.mark.peer


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[Supervisord]:
    """A supervisord without programs."""
    with supervisord(tmp_path / "supervisord") as running:
        yield running


@pytest.mark.verifies("supervisord, services and the daemon")
class TestSupervisord(BackendContract):
    """supervisord, by XML-RPC."""

    @pytest.fixture
    def backend(self, supervising: Supervisord, tmp_path: Path) -> Backend:
        return SupervisordBackend(find_settings(supervising.config), tmp_path / "logs")


@pytest.mark.verifies("systemd of the user, services")
class TestSystemd(BackendContract):
    """systemd, by systemctl."""

    @pytest.fixture
    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
        with user_systemd(tmp_path) as reach:
            for name, value in reach.items():
                monkeypatch.setenv(name, value)
            yield SystemdBackend(tmp_path / ".config/systemd/user", tmp_path / "logs")


async def test_a_program_of_the_user_is_adopted_as_it_is(
    supervising: Supervisord, tmp_path: Path
) -> None:
    sleep = shlex.join(
        (sys.executable, "-c", "import time; print('theirs', flush=True); time.sleep(600)")
    )
    theirs = supervising.config.parent / "programs/theirs.conf"
    theirs.write_text(f"[program:web]\ncommand={sleep}\nstdout_logfile={tmp_path}/theirs.log\n")
    before = theirs.read_text()
    supervising.control("update")
    other = SupervisordBackend(find_settings(supervising.config), tmp_path / "logs")
    backend = ChosenBackend(
        tmp_path / "services", lambda _: UnitEnvironment({}), others={"supervisord": other},
        read_named=dict,
    )  # fmt: skip
    state = backend.state("web")
    assert state.state == "running" and str(state.pid) == supervising.control("pid", "web").strip()
    unit = Unit(name="web", command=("/bin/false",), working_directory="/")
    await backend.start(unit)
    assert backend.state("web").pid == state.pid
    assert backend.log("web") == tmp_path / "theirs.log"
    await backend.stop(unit)
    assert "STOPPED" in supervising.control("status")
    assert [each.name for each in theirs.parent.iterdir()] == ["theirs.conf"]
    assert theirs.read_text() == before


def test_supervisord_runs_the_daemon_and_for_it_a_service(
    supervising: Supervisord, tmp_path: Path
) -> None:
    """The daemon starts once."""
    command = Command(tmp_path)
    command.settings.write_text(
        f"""
server: {{port: 0}}
postgresql: {{host: 127.0.0.1, port: 9}}
embedding: {{provider: none}}
supervisord: {{config: {supervising.config}}}
services:
  web: {{command: [/bin/sleep, "600"], backend: supervisord, enabled: false}}
"""
    )
    installed = command("service", "install", "--backend", "supervisord", "--json").json
    assert installed["changed"] and installed["to_run"] == [
        f"supervisorctl -c {supervising.config} update"
    ]
    supervising.control("update")
    daemon = running_pid(command)
    assert str(daemon) == supervising.control("pid", "mahavishnu").strip()
    [started] = command("service", "start", "web", "--json").json["services"]
    assert started["outcome"] == "started"
    [web] = command("service", "status", "web", "--json").json["services"]
    assert str(web["pid"]) == supervising.control("pid", "web").strip()
    assert command("down", "--json").json["stopped"]
    until = time.monotonic() + WAIT_S
    while "EXITED" not in supervising.control("status", "mahavishnu"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert str(web["pid"]) == supervising.control("pid", "web").strip()  # it is not the daemon's
    removed = command("service", "uninstall", "--backend", "supervisord", "--json").json
    assert removed["changed"] and removed["to_run"] == installed["to_run"]
