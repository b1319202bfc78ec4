"""What the settings say of services, what follows from health checks, and what a log keeps."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mahavishnu import services
from mahavishnu.ai.routes.routes import routes_in
from mahavishnu.base.daemon.client import not_running
from mahavishnu.base.errors import Forbidden, MahavishnuError, UsageError
from mahavishnu.base.health import ComponentHealth, HealthStatus
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.base.settings.trust import trust
from mahavishnu.daemon.background import restart_units
from mahavishnu.operations.service_bodies import ServiceLog
from mahavishnu.operations.service_states import Supervised, find_services
from mahavishnu.operations.services import act_on_services, read_log
from mahavishnu.operations.units import find_environment, read_units
from mahavishnu.services.supervision import unit_log
from mahavishnu.services.supervision.acts import UnitOutcome
from mahavishnu.services.supervision.own_backend import OwnBackend, UnitEnvironment
from mahavishnu.services.supervision.policy import Backoff, HealthTrack, starts_again
from mahavishnu.services.supervision.unit_log import UnitLog
from mahavishnu.services.supervision.watching import UnitWatch, Watched
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.order import find_dependents, order_units
from mahavishnu.services.units.unit import HealthCheck, Unit

type Load = Callable[..., Loaded]


class Running(OwnBackend):
    """A backend of which some units run, without processes."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(Path("/nowhere"), lambda _: UnitEnvironment({}))
        self.names = names

    def state(self, name: str) -> UnitState:
        return UnitState(state="running" if name in self.names else "stopped")

    def known(self) -> list[str]:
        return sorted(self.names)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str = "", **environ: str) -> Loaded:
        (tmp_path / "config").mkdir(exist_ok=True)
        (tmp_path / "config/mahavishnu.yaml").write_text(text)
        whole = {
            "HOME": str(tmp_path),
            "MAHAVISHNU_HOME": str(tmp_path),
            "PATH": "/nowhere",
            **environ,
        }
        return load_settings(environ=whole, folder=tmp_path)

    return load


def test_a_unit_has_what_the_settings_say_and_built_in_ones_are_there(load: Load) -> None:
    units = read_units(
        load("""
services:
  docs:
    command: [python, -m, http.server]
    environment: [MODE=fast, "API_KEY=env:CANARY"]
    health: {http: "http://127.0.0.1:8123/x", interval: 3}
    depends_on: [agentdb]
    grace: 4
  agentdb: {command: [agentdb, serve]}
session_buddy: {command: [buddy], restart: always}
""")
    )
    assert units["docs"] == Unit(
        name="docs", command=("python", "-m", "http.server"), environment=("MODE=fast", "API_KEY=env:CANARY"),
        health=HealthCheck(http="http://127.0.0.1:8123/x", interval_s=3.0), depends_on=("agentdb",), grace_s=4.0,
    )  # fmt: skip
    assert units["docs"].port == 8123
    assert units["agentdb"].command and units["session-buddy"].restart == "always"
    assert (
        units["ollama"].command == () and units["ollama"].shared and units["ollama"].port == 11434
    )
    plain = read_units(load())
    assert {each.command for each in plain.values() if each.name != "gateway"} == {()}


def test_the_gateway_is_a_service_that_gets_keys_by_reference_once_a_client_goes_through_it(
    load: Load,
) -> None:
    variables = {"ZAI_API_KEY": "canary", "HTTPS_PROXY": "http://proxy.example:3128", "OTHER": "x"}
    loaded = load("gateway: {port: 9123}", **variables)
    unit = read_units(loaded)["gateway"]
    assert unit.command[1:] == ("-m", "mahavishnu", "gateway", "serve", "--port", "9123")
    assert {"ZAI_API_KEY=env:ZAI_API_KEY", "HTTPS_PROXY=http://proxy.example:3128"} <= set(
        unit.environment
    )
    assert "canary" not in repr(unit) and unit.port == 9123 and not unit.enabled
    path = routes_in(loaded.locations.state)
    path.parent.mkdir(parents=True)
    link = {"profile": "zai", "models": "*", "directory": ""}
    path.write_text(json.dumps({"codex": {"chain": [link], "pinned": False}}))
    assert read_units(loaded)["gateway"].enabled
    assert not read_units(load("gateway: {enabled: false}"))["gateway"].enabled


def test_ollama_is_run_where_its_program_is_and_the_settings_mean_this_machine(
    load: Load, tmp_path: Path
) -> None:
    program = tmp_path / "ollama"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = read_units(load("services: {ollama: {restart: always}}", PATH=str(tmp_path)))["ollama"]
    assert here.command == (str(program), "serve") and here.restart == "always" and here.enabled
    assert not read_units(load(PATH=str(tmp_path)))["ollama"].enabled
    away = load(PATH=str(tmp_path), OLLAMA_HOST="http://192.0.2.1:11434")
    assert read_units(away)["ollama"].command == ()


def test_references_are_looked_up_at_a_start_and_nothing_else_of_the_daemon_is_passed_on(
    load: Load,
) -> None:
    loaded = load(
        'services: {a: {command: [x], environment: ["K=env:CANARY", "L=${CANARY}", M=1]}}',
        CANARY="of-a-key",
        OTHER_KEY="kept",
        LANG="C",
    )
    found = find_environment(loaded, read_units(loaded)["a"])
    own = {"K": "of-a-key", "L": "of-a-key", "M": "1", "LANG": "C"}
    assert found.variables == {"HOME": loaded.environ["HOME"], "PATH": "/nowhere", **own}
    assert found.secrets == ("of-a-key", "of-a-key") and "of-a-key" not in repr(found)


@pytest.mark.parametrize(("text", "code"), [
    ("daemon: {command: [x]}", "service.name"), ("all: {command: [x]}", "service.name"),
    ("claude: {command: [x]}", "service.name"), ("session-buddy: {command: [x]}", "service.name"),
    ("Big: {command: [x]}", "service.name"),
    ("a: {command: [x], environment: [no-pair]}", "service.environment"),
    ("a: {command: [x], environment: ['K=keyring:x']}", "secret.reference"),
    ("a: {command: [x], environment: [K=sk-ant-abcdefgh12345678]}", "service.plain_key"),
    ("a: {command: [x], environment: [DB_PASSWORD=abcdefgh]}", "service.plain_key"),
    ("a: {command: [x, --token, sk-ant-abcdefgh12345678]}", "service.plain_key"),
    ("a: {command: [x], health: {http: 'http://x', tcp: 'x:1'}}", "service.health"),
    ("a: {command: [x], health: {tcp: x}}", "service.health"),
    ("a: {command: [x], health: {http: 'http://x/?k=sk-ant-abcdefgh12345678'}}", "service.plain_key"),
])  # fmt: skip
def test_a_wrong_service_is_refused_without_its_values(load: Load, text: str, code: str) -> None:
    with pytest.raises(MahavishnuError) as caught:
        read_units(load(f"services:\n  {text}"))
    assert caught.value.code == code and "abcdefgh" not in caught.value.message


async def test_a_cycle_is_in_the_way_of_its_own_services_where_all_are_restarted(
    load: Load,
) -> None:
    both = "a: {command: [x], depends_on: [b]}, b: {command: [x], depends_on: [a]}"
    supervised = Supervised.of(load(f"services: {{{both}, c: {{command: [x]}}}}"), None)
    found = (await act_on_services(supervised, "restart", ["all"], confirm=False)).services
    told = {each.name: (each.outcome, each.code) for each in found}
    assert told["a"] == told["b"] == ("failed", "service.cycle") and told["c"] == ("left", None)


class Away:
    """A daemon that ends while it is asked."""

    def ask(self, *_: object) -> object:
        raise not_running()


@pytest.mark.parametrize("client", [None, Away()])
async def test_sessions_that_were_restarted_are_told_where_the_rest_fails(
    load: Load, monkeypatch: pytest.MonkeyPatch, client: Away | None
) -> None:
    monkeypatch.setattr("mahavishnu.interfaces.services._find_client", lambda _: client)
    loaded = load("services: {a: {command: [x]}}")
    found = (await services.restart(["claude", "a"], confirm=True, loaded=loaded)).services
    assert [each.name for each in found] == ["claude", "a"]
    assert (found[1].outcome, found[1].code) == ("failed", "daemon.not_running")


def test_a_log_that_others_write_shows_no_key(load: Load, tmp_path: Path) -> None:
    supervised = Supervised.of(load("services: {a: {command: [x]}}"), None)
    path = supervised.backend.log("a")
    path.parent.mkdir(parents=True)
    path.write_text("API_KEY=canary\n")
    assert read_log(supervised, ServiceLog(name="a")).lines == ["API_KEY=***"]


class Restarting:
    """What supervises: `stopped` was stopped by hand."""

    def __init__(self) -> None:
        self.backend = Running({"runs"})
        self.restarted: list[str] = []

    def stays_stopped(self, name: str) -> bool:
        return name in ("stopped", "runs")

    async def restart(self, names: list[str]) -> list[UnitOutcome]:
        self.restarted = names
        return []


async def test_a_change_restarts_what_runs_or_is_to_run_and_a_cycle_is_in_the_way_of_itself_alone(
    load: Load,
) -> None:
    both = "a: {command: [x], depends_on: [b]}, b: {command: [x], depends_on: [a]}"
    rest = "runs: {command: [x]}, stopped: {command: [x]}, new: {command: [x]}, asked: {command: [x], enabled: false}"
    supervisor = Restarting()
    app: Any = SimpleNamespace(
        loaded=load(f"services: {{{both}, {rest}}}"),
        supervision=SimpleNamespace(supervisor=supervisor),
    )
    with pytest.raises(UsageError) as caught:
        await restart_units(app, ["a", "runs", "stopped", "new", "asked", "removed"])
    assert caught.value.code == "service.cycle" and supervisor.restarted == ["runs", "new"]


def test_a_project_names_no_services_trusted_or_not(load: Load, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "settings").mkdir(parents=True)
    for text in ("services: {a: {command: [evil]}}", "session_buddy: {command: [evil]}"):
        (project / "settings/mahavishnu.yaml").write_text(text)
        loaded = load()
        away = {"MAHAVISHNU_HOME": str(tmp_path / "m"), "HOME": "/nowhere"}
        untrusted = load_settings(environ=away, folder=project)
        assert (
            "a" not in read_units(untrusted) and not read_units(untrusted)["session-buddy"].command
        )
        trust(project, untrusted.locations)
        with pytest.raises(Forbidden) as caught:
            read_units(load_settings(environ=away, folder=project))
        assert caught.value.code == "service.of_project" and loaded
        untrusted.locations.trusted_directories.unlink()


def test_units_come_after_what_they_depend_on() -> None:
    units = {
        name: Unit(name=name, command=("x",), depends_on=tuple(needs))
        for name, needs in {"a": "bc", "b": "c", "c": "", "d": "a", "e": "x"}.items()
    }
    assert order_units(units, ["a"], needed=True) == ["c", "b", "a"]
    assert order_units(units, ["d", "b"], needed=False) == ["b", "d"]
    with pytest.raises(MahavishnuError, match="no service x"):
        order_units(units, ["e"], needed=True)


async def test_a_stop_stops_what_runs_and_depends_on_it(load: Load) -> None:
    web = "web: {command: [x], depends_on: [base]}, top: {command: [x], depends_on: [web]}"
    more = "idle: {command: [x], depends_on: [top]}, other: {command: [x]}"
    loaded = load(f"services: {{base: {{command: [x]}}, {web}, {more}}}")
    backend = Running({"base", "web", "top", "other"})
    supervised = Supervised(loaded, backend, None)
    found = (await act_on_services(supervised, "stop", ["base"], confirm=False)).services
    assert [each.name for each in found] == ["base", "top", "web"]
    assert [each.reason for each in found[1:]] == [
        "It would be stopped. It depends on what is stopped."
    ] * 2
    [alone] = (await act_on_services(supervised, "stop", ["top"], confirm=False)).services
    assert alone.name == "top"
    assert find_dependents({"a": Unit(name="a", command=(), shared=True)}, ["a"]) == []


async def test_what_does_not_run_says_why_and_what_was_removed_can_be_stopped(load: Load) -> None:
    both = "a: {command: [x], depends_on: [b]}, b: {command: [x], depends_on: [a]}"
    rest = "c: {command: [x]}, d: {command: [x], enabled: false}"
    supervised = Supervised(load(f"services: {{{both}, {rest}}}"), Running({"gone"}), None)
    why = {each.name: each.why for each in find_services(supervised).services}
    assert "depend on each other" in why["a"] and "depend on each other" in why["b"]
    assert why["c"].startswith("It starts with the daemon") and "service start d" in why["d"]
    assert why["gone"].startswith("It was removed from the settings.")
    [found] = (await act_on_services(supervised, "stop", ["gone"], confirm=False)).services
    assert (found.before, found.reason) == ("running", "It would be stopped.")
    for act, names in (("restart", ["gone"]), ("stop", ["never"])):
        with pytest.raises(MahavishnuError) as caught:
            await act_on_services(supervised, act, names, confirm=False)  # type: ignore[arg-type]
        assert caught.value.code == "service.unknown"


def test_single_answers_do_not_turn_health() -> None:
    check = HealthCheck(tcp="x:1", unhealthy_after=3, healthy_after=2)
    words: dict[str, HealthStatus] = {"+": "healthy", "-": "unhealthy"}

    def verdict(answers: str) -> str:
        track = HealthTrack()
        for each in answers:
            track = track.after(ComponentHealth("a", words[each]), check)
        return track.verdict

    cases = {"": "unknown", "+": "unknown", "++": "healthy", "++--": "healthy", "++---": "unhealthy",
             "---+": "unhealthy", "---++": "healthy", "-+" * 20: "unknown", "++" + "--+" * 9: "healthy"}  # fmt: skip
    assert {answers: verdict(answers) for answers in cases} == cases


@pytest.mark.parametrize(("failures", "status"), [(1, "degraded"), (3, "unhealthy")])
def test_a_single_failure_degrades_a_service_that_was_healthy(
    load: Load, failures: int, status: HealthStatus
) -> None:
    check, track = HealthCheck(tcp="x:1", unhealthy_after=3, healthy_after=1), HealthTrack()
    for word in ("healthy", *["unhealthy"] * failures):
        track = track.after(ComponentHealth("a", cast(HealthStatus, word)), check)
    supervisor: Any = SimpleNamespace(watched={"a": Watched(track=track)}, wanted={"a"})
    supervised = Supervised(load("services: {a: {command: [x]}}"), Running({"a"}), supervisor)
    [found] = [each for each in find_services(supervised).services if each.name == "a"]
    assert found.health and found.health.status == status


def test_what_is_started_again() -> None:
    ended = [UnitState(state="failed"), UnitState(state="stopped"), UnitState(state="stale")]
    assert [[starts_again(p, s) for s in ended] for p in ("always", "on-failure", "never")] == [
        [True, True, True], [True, False, True], [False, False, False],
    ]  # fmt: skip


def test_a_log_hides_secrets_also_those_in_pieces_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_log, "MAX_BYTES", 100_000)
    path = tmp_path / "logs" / "a.log"
    log = UnitLog(path, ["canary-1", ""])
    for piece in (
        b"one can",
        b"ary-1 two\nurl http://me:canary",
        b"-2@host/\n",
        b"x" * 70_000,
        b"canary-1\nend",
    ):
        log.take(piece)
    log.finish()
    lines = path.read_text().splitlines()
    assert lines[:2] == ["one *** two", "url http://***@host/"] and lines[-1] == "end"
    assert (
        len(lines) == 4 and len(lines[2]) == unit_log.MAX_LINE and "canary" not in path.read_text()
    )
    for _ in range(300):
        log.take(b"y" * 999 + b"\n")
    log.finish()
    sizes = [each.stat().st_size for each in path.parent.iterdir()]
    assert len(sizes) == 2 and max(sizes) < 102_000
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


async def test_python_programs_ask_the_same(load: Load) -> None:
    loaded = load("services: {a: {command: [sleep, '5']}}")
    found = await services.status(["a"], loaded=loaded)
    assert [(each.name, each.state) for each in found.services] == [("a", "stopped")]
    assert (await services.restart(["a"], loaded=loaded)).services[
        0
    ].reason == "It would be restarted."
    assert (await services.log("a", loaded=loaded)).lines == []
    added = await services.add("b", {"command": ["sleep", "5"]}, loaded=loaded)
    assert added.enabled and not (await services.enable("b", enabled=False, loaded=loaded)).enabled
    [found_b] = (await services.status(["b"], loaded=loaded)).services
    assert found_b.command == ["sleep", "5"] and not found_b.enabled
    await services.remove("b", loaded=loaded)
    with pytest.raises(UsageError):
        await services.add("b", {"comand": ["sleep"]}, loaded=loaded)
    for act in (
        services.start(["a"], loaded=loaded),
        services.stop(["a"], confirm=True, loaded=loaded),
    ):
        with pytest.raises(MahavishnuError) as caught:
            await act
        assert caught.value.code == "daemon.not_running"


async def test_a_clock_that_was_set_forward_forgives_no_crash() -> None:
    begun = UnitState(state="running", pid=1, since=datetime.now(UTC) - timedelta(days=2))
    acts: Any = SimpleNamespace(backend=SimpleNamespace(state=lambda _: begun))
    nobody: Any = None
    watch = UnitWatch(acts, nobody, nobody, lambda: None, Backoff())
    watched = Watched(failures=3)
    for _ in range(2):
        await watch.look(Unit(name="a", command=("a",)), watched, {})
    assert watched.failures == 3
