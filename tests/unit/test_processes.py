"""The identity of processes: reuse of pids and zombies."""

import os
import subprocess
import sys
import time

import pytest

from mahavishnu.base.processes import ProcessIdentity, identify, is_alive, process_start_time


def test_a_running_process_has_one_start() -> None:
    started = process_start_time(os.getpid())
    assert started
    assert process_start_time(os.getpid()) == started
    assert is_alive(os.getpid(), started)


def test_a_pid_that_now_means_another_process_is_dead() -> None:
    started = process_start_time(os.getpid())
    assert started
    assert not is_alive(os.getpid(), f"{started}0")


@pytest.mark.parametrize("pid", [0, -1, -os.getpid()])
def test_numbers_that_are_no_pid_name_nothing(pid: int) -> None:
    assert identify(pid) is None


def test_a_zombie_is_dead_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(child.pid)
    assert identity == ProcessIdentity(child.pid, identity.started if identity else "")
    assert identity.alive
    child.kill()
    until = time.monotonic() + 60
    while identity.alive and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(child.pid, 0)  # the pid is still taken
    assert not identity.alive
    assert identify(child.pid) is None
    child.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_name_with_brackets_and_spaces_does_not_confuse() -> None:
    code = "open('/proc/self/comm', 'w').write('a) S 1 (b'); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout
    child.stdout.readline()
    own, other = process_start_time(os.getpid()), process_start_time(child.pid)
    assert own
    assert other
    assert int(other.split(":")[1]) >= int(own.split(":")[1])
    child.communicate(b"\n")
    assert process_start_time(child.pid) is None
