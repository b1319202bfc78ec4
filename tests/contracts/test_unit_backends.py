"""What a backend of units promises, with real processes; each backend is a parameter of `make`."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mahavishnu.base.errors import NotFound
from mahavishnu.base.processes import identify
from mahavishnu.services.supervision.own_backend import OwnBackend
from mahavishnu.services.units.backend import Backend
from mahavishnu.services.units.unit import Unit
from tests.support.units import SECRET, comes_true, environment_of, family, shell, sleeper

type Make = Callable[[], Backend]


@pytest.fixture(params=["own"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Return what opens the same backend again, as another process does."""
    assert request.param == "own"
    return lambda: OwnBackend(tmp_path / "services", environment_of)


async def test_a_unit_runs_until_it_is_stopped_whoever_stops_it(make: Make) -> None:
    unit = sleeper("a")
    first, second = make(), make()
    assert first.state("a").state == "stopped"
    await first.stop(unit)  # which is no error
    await first.start(unit, restarts=2)
    state = second.state("a")
    assert (state.state, state.restarts, state.definition) == ("running", 2, unit)
    assert state.pid is not None and state.since is not None
    process = identify(state.pid)
    await second.start(unit)  # nor is this, and it starts no other
    assert second.state("a").pid == state.pid
    await second.stop(unit)
    assert process is not None and not process.alive
    assert (first.state("a").state, first.state("a").pid) == ("stopped", None)


async def test_two_who_start_a_unit_at_once_start_it_once(make: Make) -> None:
    unit = sleeper("a")
    await asyncio.gather(make().start(unit), make().start(unit))
    await comes_true(lambda: make().state("a").state == "running")
    pid = make().state("a").pid
    await make().start(unit)
    assert make().state("a").pid == pid
    await make().stop(unit)
    assert make().state("a").state == "stopped"


@pytest.mark.parametrize(("script", "state", "word"), [
    ("exit 0", "stopped", "status 0"), ("exit 7", "failed", "status 7"), ("kill -9 $$", "failed", "SIGKILL"),
])  # fmt: skip
async def test_how_a_unit_ended_by_itself_is_told(
    make: Make, script: str, state: str, word: str
) -> None:
    await make().start(shell("a", script))
    await comes_true(lambda: make().state("a").state != "running")
    assert make().state("a").state == state and word in make().state("a").why


@pytest.mark.parametrize("script", [
    "trap '' TERM; sleep 1000 & sleep 1000 & echo up; wait; wait",
    "(trap '' TERM; exec sleep 1000) & (trap '' TERM; exec sleep 1000) & sleep 0.1; echo up; wait",
    "setsid sleep 1000 & sleep 0.1; setsid sleep 1000 & sleep 0.1; echo up; wait",
], ids=["all", "children", "of another session"])  # fmt: skip
async def test_what_ignores_the_request_is_killed_with_its_children_after_its_grace(
    make: Make, script: str
) -> None:
    backend = make()
    unit = shell("a", script, grace_s=0.3)
    await backend.start(unit)
    await comes_true(lambda: "up" in _log(backend))
    process = identify(backend.state("a").pid or 0)
    assert process is not None
    whole = family(process)
    assert len(whole) >= 3
    await backend.stop(unit)
    assert not any(each.alive for each in whole)
    assert "killed" in backend.state("a").why


async def test_a_stop_command_ends_it(make: Make, tmp_path: Path) -> None:
    script = "trap '' TERM; until [ -e stop ]; do sleep 0.02; done; echo gone in order"
    unit = shell(
        "a", script, stop_command=("touch", "stop"), working_directory=str(tmp_path), grace_s=30.0
    )
    backend = make()
    await backend.start(unit)
    await backend.stop(unit)
    assert "gone in order" in _log(backend) and "killed" not in backend.state("a").why


async def test_a_program_or_a_folder_that_is_not_there_starts_nothing(make: Make) -> None:
    backend = make()
    for unit, code in (
        (Unit(name="a", command=("no-such-program",)), "service.no_program"),
        (sleeper("a", working_directory="/nonexistent"), "service.no_folder"),
    ):
        for ask in (backend.check, backend.start):
            with pytest.raises(NotFound) as caught:
                await ask(unit)
            assert caught.value.code == code
    assert backend.state("a").state == "stopped"


async def test_its_environment_is_its_own_and_no_secret_of_it_is_kept(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "canary-of-the-daemon")
    unit = shell(
        "a", "env; echo password=hunter2; exit 1", environment=(f"KEY={SECRET}", "PLAIN=5")
    )
    backend = make()
    await backend.start(unit)
    await comes_true(lambda: backend.state("a").state == "failed")
    log = _log(backend)
    assert "PLAIN=5" in log and "KEY=***" in log and "hunter2" not in log
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*.log"))
    assert b"canary" not in kept and SECRET.encode() not in kept


def _log(backend: Backend) -> str:
    path = backend.log("a")
    return path.read_text() if path.exists() else ""
