"""The contract of backends, for the daemon's own and for launchd's, and who is given which unit."""

import os
import threading
from pathlib import Path

import pytest

from mahavishnu.base.errors import Corrupt, MahavishnuError
from mahavishnu.services.backends import chosen as chosen_module
from mahavishnu.services.backends.chosen import ChosenBackend, find_others
from mahavishnu.services.backends.launchd_backend import LaunchdBackend
from mahavishnu.services.supervision.own_backend import OwnBackend, UnitEnvironment
from mahavishnu.services.units.backend import Backend, UnitState
from mahavishnu.services.units.unit import BackendName, Unit
from tests.support.backend_contract import BackendContract, unit_of
from tests.support.fake_launchctl import launchctl


def environment_of(unit: Unit) -> UnitEnvironment:
    return UnitEnvironment(dict(each.split("=", 1) for each in unit.environment))


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchdBackend:
    """A launchd without agents, whose launchctl is ours."""
    launchctl(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return LaunchdBackend(tmp_path / "LaunchAgents", tmp_path / "logs")


class TestOwn(BackendContract):
    """The daemon's own."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return OwnBackend(tmp_path / "services", environment_of)


class TestLaunchd(BackendContract):
    """launchd, as its manual describes it."""

    @pytest.fixture
    def backend(self, agents: LaunchdBackend) -> Backend:
        return agents


async def test_an_agent_of_the_user_is_adopted_by_its_label(
    agents: LaunchdBackend, tmp_path: Path
) -> None:
    foreign = unit_of(tmp_path, "on")
    await agents.start(foreign)  # to have its file
    own = tmp_path / "LaunchAgents/com.mahavishnu.contract.plist"
    await agents.stop(foreign)
    label = "com.sessionbuddy.server"
    theirs = own.read_text().replace("com.mahavishnu.contract", label)
    own.with_name(f"{label}.plist").write_text(theirs)
    backend = ChosenBackend(
        tmp_path / "services", environment_of, others={"launchd": agents}, read_named=dict
    )
    unit = Unit(name="session-buddy", command=("/bin/false",))
    await backend.start(unit)
    state = backend.state("session-buddy")
    assert state.state == "running" and state == agents.state("session-buddy")
    assert own.with_name(f"{label}.plist").read_text() == theirs
    await backend.stop(unit)
    assert backend.state("session-buddy").state == "stopped"


class Elsewhere:
    """A supervisor that has some units, and notes what it is asked to do."""

    def __init__(self, *names: str) -> None:
        self.names, self.acts = names, list[tuple[str, Unit]]()

    def knows(self, name: str) -> bool:
        return name in self.names

    async def check(self, unit: Unit) -> None:
        pass

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:
        self.acts.append(("start", unit))

    async def stop(self, unit: Unit) -> None:
        self.acts.append(("stop", unit))

    def state(self, name: str) -> UnitState:
        return UnitState(state="running", pid=1)

    def log(self, name: str) -> Path:
        return Path("/elsewhere")


def chosen(
    folder: Path, elsewhere: Elsewhere, backend: BackendName | None, *secrets: str
) -> ChosenBackend:
    return ChosenBackend(
        folder, lambda _: UnitEnvironment({"PATH": os.defpath}, secrets),
        others={"systemd": elsewhere}, read_named=lambda: {"web": backend},
    )  # fmt: skip


def test_a_supervisor_that_says_nothing_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon does nothing else while it waits."""
    monkeypatch.setattr(chosen_module, "ANSWERS_S", 0.05)
    silent, asked = threading.Event(), list[str]()

    class Silent(Elsewhere):
        def knows(self, name: str) -> bool:
            asked.append(name)
            return silent.wait(60)

        def state(self, name: str) -> UnitState:
            asked.append(name)
            silent.wait(60)
            raise AssertionError

    try:
        backend = chosen(tmp_path, Silent(), None)
        assert [backend.state(name).state for name in ("web", "other")] == ["stopped", "stopped"]
        named = chosen(tmp_path, Silent(), "systemd")
        whys = [named.state("web").why for _ in range(3)]
        assert all("did not answer" in why for why in whys)
        assert asked == ["web", "web"]
    finally:
        silent.set()


@pytest.mark.parametrize(
    ("backend", "known", "is_elsewhere"),
    [(None, False, False), (None, True, True), ("own", True, False), ("systemd", False, True)],
)
async def test_a_unit_is_run_by_who_is_named_else_by_who_has_it(
    tmp_path: Path, backend: BackendName | None, known: bool, is_elsewhere: bool
) -> None:
    elsewhere = Elsewhere(*("web",) * known)
    routed = chosen(tmp_path, elsewhere, backend)
    assert (routed.state("web").state == "running") == is_elsewhere
    assert (routed.log("web") == Path("/elsewhere")) == is_elsewhere
    unit = Unit(name="web", command=("/bin/true",), working_directory="/", backend=backend)
    await routed.start(unit)
    await routed.stop(unit)
    assert [act for act, _ in elsewhere.acts] == ["start", "stop"] * is_elsewhere
    assert (tmp_path / "web.json").exists() != is_elsewhere


async def test_a_key_is_written_into_no_other_programs_file(tmp_path: Path) -> None:
    elsewhere = Elsewhere()
    routed = chosen(tmp_path, elsewhere, "systemd", "canary")
    with pytest.raises(MahavishnuError) as refused:
        await routed.start(
            Unit(name="web", command=("/bin/true",), working_directory="/", backend="systemd")
        )
    assert refused.value.code == "service.backend_cannot" and elsewhere.acts == []
    assert "canary" not in str(refused.value)


async def test_a_backend_that_is_not_here_is_named(tmp_path: Path) -> None:
    routed = chosen(tmp_path, Elsewhere(), "supervisord")
    assert routed.state("web").state == "stopped"
    with pytest.raises(MahavishnuError) as refused:
        await routed.start(Unit(name="web", command=("/bin/true",), backend="supervisord"))
    assert refused.value.code == "service.backend_unreachable"


def test_a_supervisord_that_leads_nowhere_holds_up_nobody(tmp_path: Path) -> None:
    assert "supervisord" not in find_others(tmp_path / "nowhere.conf", {}, tmp_path)


async def test_settings_that_cannot_be_read_do_not_hide_what_runs(tmp_path: Path) -> None:
    def read_named() -> dict[str, BackendName | None]:
        raise Corrupt("They are damaged.", code="service.file")

    backend = ChosenBackend(tmp_path / "services", environment_of, others={}, read_named=read_named)
    unit = unit_of(tmp_path, "on")
    await backend.start(unit)
    assert backend.state(unit.name).state == "running"
    await backend.stop(unit)
