"""The daemon at login: by a real systemd of the user, and what supervisors themselves read of our files."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from mahavishnu.services.backends.systemd import render_unit
from mahavishnu.services.units.unit import Unit
from tests.support.command import Command
from tests.support.peers.systemd_peer import WAIT_S, programs, user_systemd

pytestmark = pytest.mark.peer

ODD = ("/bin/echo", "a b", "100%", "$HOME", 'say "no"', "back\\slash", "two\nlines", "a ; b", "ü")


@pytest.mark.verifies("systemd of the user, the daemon at login")
def test_systemd_starts_the_daemon_and_again_when_it_was_killed(tmp_path: Path) -> None:
    """The daemon starts twice."""
    with user_systemd(tmp_path) as reach:
        command = Command(tmp_path, {**reach, "MAHAVISHNU_LOG_LEVEL": "error"})
        command.settings.write_text(
            "server: {port: 0}\npostgresql: {host: 127.0.0.1, port: 9}\nembedding: {provider: none}\n"
        )
        installed = command("service", "install", "--backend", "systemd", "--json").json
        assert installed["changed"] and installed["to_run"] == []
        assert "MAHAVISHNU_LOG_LEVEL" in installed["unseen"]
        first = running_pid(command)
        again = command("service", "install", "--backend", "systemd", "--json").json
        assert not again["changed"] and not any(" start " in line for line in again["ran"])
        os.kill(first, signal.SIGKILL)
        second = running_pid(command, other_than=first)
        removed = command("service", "uninstall", "--backend", "systemd", "--json").json
        assert removed["changed"] and not list((tmp_path / ".config/systemd").rglob("mahavishnu*"))
        assert running_pid(command) == second  # which goes on
        assert command("down", "--json").json == {"stopped": True, "killed": False}
    assert not command("status", "--json").json["running"]


def running_pid(command: Command, *, other_than: int | None = None) -> int:
    """Wait for a daemon, and return its process."""
    until = time.monotonic() + WAIT_S
    while True:
        body = command("status", "--json").json
        if body["running"] and body["daemon"]["port"] and body["daemon"]["pid"] != other_than:
            return int(body["daemon"]["pid"])
        assert time.monotonic() < until, json.dumps(body)
        time.sleep(0.1)


def test_systemd_finds_no_fault_in_units_however_odd(tmp_path: Path) -> None:
    odd = Unit(
        name="odd",
        command=ODD,
        environment=tuple(f"V{n}={word}" for n, word in enumerate(ODD)),
        working_directory="/",
        depends_on=("other",),
        stop_command=ODD,
    )
    plain = Unit(name="plain", command=("/bin/true",), restart="always")
    for unit, log in ((odd, tmp_path / "100% log"), (plain, None)):
        path = tmp_path / f"{unit.name}.service"
        path.write_text(render_unit(unit, log=log, final=(2, 4)))
        verify = ("systemd-analyze", "--user", "verify", "--man=no", path)
        done = programs().run(*verify, HOME="/", XDG_RUNTIME_DIR="/tmp")
        assert (done.returncode, done.stderr) == (0, ""), path.read_text()
