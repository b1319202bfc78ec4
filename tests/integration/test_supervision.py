"""The daemon's supervision with real processes: what it starts, restarts, gives up, leaves alone and takes over."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, Forbidden, UsageError
from mahavishnu.base.processes import send_signal
from mahavishnu.services.backends.chosen import ChosenBackend
from mahavishnu.services.schedule.pause import Pause
from mahavishnu.services.supervision.files import has_daemon
from mahavishnu.services.supervision.own_backend import OwnBackend
from mahavishnu.services.supervision.probing import Prober
from mahavishnu.services.units.unit import HealthCheck, Unit
from tests.support.units import (
    BACKOFF,
    Supervising,
    checked_by,
    comes_true,
    environment_of,
    family,
    shell,
    sleeper,
)


@pytest.fixture
def world(tmp_path: Path) -> Supervising:
    return Supervising(tmp_path)


async def test_enabled_units_start_after_what_they_need_and_end_with_the_daemon(
    world: Supervising, tmp_path: Path
) -> None:
    ready = f"test -e {tmp_path}/ready"
    first = shell(
        "z-first", f"sleep 0.2; touch {tmp_path}/ready; exec sleep 1000", health=checked_by(ready)
    )
    then = shell("a-then", f"{ready} && exec sleep 1000", depends_on=("z-first",))
    world.define(first, then, sleeper("off", enabled=False), sleeper("kept", detached=True))
    async with world.running():
        processes = [world.process(name) for name in ("z-first", "a-then", "kept")]
        assert world.backend.state("off").state == "stopped"
    assert [each.alive for each in processes] == [False, False, True]
    async with world.running() as supervisor:  # which takes over what was detached
        assert world.process("kept") == processes[2]
        await supervisor.stop(["kept"])
    assert not processes[2].alive
    starts = [each.what for each in world.events("service.start")]
    assert starts.index("service.start z-first") < starts.index("service.start a-then")


async def test_a_crash_loop_is_given_up_after_longer_and_longer_pauses(
    world: Supervising, tmp_path: Path
) -> None:
    world.define(shell("a", f"echo x >> {tmp_path}/starts; exit 7", restart="always"))
    starts = tmp_path / "starts"
    async with world.running() as supervisor:
        await comes_true(lambda: world.events("service.give-up"))
        assert starts.read_text().count("x") == 1 + BACKOFF.limit
        [gave_up] = world.events("service.give-up")
        assert (gave_up.result, gave_up.code) == ("failed", "service.gave_up")
        assert "status 7" in gave_up.why and supervisor.watched["a"].gave_up
        assert (gave_up.before, gave_up.after) == ("failed", "given up")
        again = world.events("service.restart")
        assert {each.after for each in again} == {"failed"}  # a word, and the text once
        assert {each.why.count("status 7") for each in again} == {1}
        assert len(again) == BACKOFF.limit and all(each.before == "failed" for each in again)
        assert world.backend.state("a").restarts == BACKOFF.limit
        await asyncio.sleep(0.2)  # in which it would have been started several times
        assert starts.read_text().count("x") == 1 + BACKOFF.limit
        await supervisor.start(["a"])  # who asks begins anew
        await comes_true(lambda: starts.read_text().count("x") > 2 + BACKOFF.limit)
    pauses = [BACKOFF.pause_s(n) for n in (1, 2, 3, 40)]
    assert pauses == [0.02, 0.04, 0.08, 60.0]


async def test_an_end_in_order_is_no_failure_and_what_was_stopped_stays_so(
    world: Supervising, tmp_path: Path
) -> None:
    script = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; exit 0"
    bad = shell("bad", "sleep 0.5; exit 7", restart="never")
    world.define(shell("done", script), bad, sleeper("a", restart="always"))
    async with world.running() as supervisor:
        (tmp_path / "go").touch()
        await comes_true(lambda: world.events("service.end done"))
        await comes_true(lambda: world.events("service.end bad"))
        ends = {each.what: each.code for each in world.events("service.end")}
        assert ends == {"service.end done": None, "service.end bad": "service.ended"}
        [outcome] = await supervisor.stop(["a"])
        assert (outcome.outcome, outcome.before, outcome.after) == ("stopped", "running", "stopped")
        await asyncio.sleep(0.1)  # several looks
        assert world.backend.state("a").state == "stopped" and supervisor.stays_stopped("a")
        await supervisor.start(["a"])
        assert not supervisor.stays_stopped("a")
    assert world.events("service.restart") == []


async def test_health_that_flaps_restarts_nothing_and_what_stays_ill_is_restarted_not_without_end(
    world: Supervising, tmp_path: Path
) -> None:
    flag, count = tmp_path / "ill", tmp_path / "checks"
    script = f"echo x >> {count}; test -e {flag} && exit 1; test $(( $(wc -l < {count}) % 2 )) = 0"
    check = checked_by(script, unhealthy_after=2)
    world.define(sleeper("a", health=check, start_timeout_s=0.1))
    async with world.running() as supervisor:
        process = world.process("a")
        before = count.read_text().count("x")
        await comes_true(lambda: count.read_text().count("x") > before + 12)
        assert world.process("a") == process and world.events("service.health") == []
        flag.touch()
        await comes_true(lambda: world.events("service.give-up"))
        assert len(world.events("service.restart")) == BACKOFF.limit
        assert world.backend.state("a").state == "running"  # it is left as it is, and shown
        assert "given up" in supervisor.watched["a"].problem
        flag.unlink()
        count.write_text("x\n")  # a script that succeeds from now on
        await comes_true(lambda: world.events("service.health")[-1].result == "done")
    assert world.events("service.give-up")[-1].result == "done"  # its alert is over as well
    [ill] = world.events("service.health")[:1]
    assert (ill.before, ill.after) == ("healthy", "unhealthy")
    assert (ill.result, ill.code) == ("failed", "service.unhealthy")  # which is an alert


async def test_a_port_of_a_stranger_is_left_alone_and_named(world: Supervising) -> None:
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = stranger.sockets[0].getsockname()[1]
    check = HealthCheck(tcp=f"127.0.0.1:{port}")
    world.define(sleeper("a", health=check), sleeper("shared", health=check, shared=True))
    async with stranger, world.running() as supervisor:
        failed, left = await supervisor.start(["a"]) + await supervisor.start(["shared"])
        assert (failed.outcome, failed.code) == ("failed", "service.port_taken")
        assert left.outcome == "left"
        for each in (failed, left):
            assert f"pid {os.getpid()}" in each.reason
        assert await supervisor.stop(["shared"]) and stranger.is_serving()
        assert {world.backend.state(name).state for name in ("a", "shared")} == {"stopped"}


async def test_a_restart_keeps_what_it_cannot_better(world: Supervising, tmp_path: Path) -> None:
    """Wrong settings stop nothing; a new definition that does not get healthy makes way for the one of before."""
    good = sleeper("a", health=checked_by("true"))
    world.define(good)
    async with world.running() as supervisor:
        first = world.process("a")
        world.define(Unit(name="a", command=("no-such-program",)))
        [failed] = await supervisor.restart(["a"])
        assert (failed.outcome, failed.code, failed.after) == (
            "failed",
            "service.no_program",
            "healthy",
        )
        assert world.process("a") == first
        for bad, code in (
            (sleeper("a", health=checked_by("false"), start_timeout_s=0.1), "service.unhealthy"),
            (shell("a", "exit 3"), "service.ended"),
        ):
            world.define(bad)
            [outcome] = await supervisor.restart(["a"])
            assert (outcome.outcome, outcome.code) == ("rolled_back", code)
            assert (outcome.before, outcome.after) == ("healthy", "healthy")
            assert world.backend.state("a").definition == good and world.process("a") != first
        with socket.create_server(("127.0.0.1", 0)) as strangers:
            port = strangers.getsockname()[1]
            taken = HealthCheck(http=f"http://127.0.0.1:{port}/")
            world.define(sleeper("a", health=taken))
            first = world.process("a")
            [failed] = await supervisor.restart(["a"])
        assert (failed.outcome, failed.code) == ("failed", "service.port_taken")
        assert world.process("a") == first  # nothing was stopped for it
        world.define(better := sleeper("a", grace_s=4.0))
        [outcome] = await supervisor.restart(["a"])
        assert outcome.outcome == "restarted" and world.backend.state("a").definition == better


async def test_where_the_stop_command_fails_a_signal_asks(
    world: Supervising, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = f"trap 'echo in order > {said}; exit 0' TERM; while :; do sleep 0.05; done"
    world.define(shell("a", script, stop_command=("false",), grace_s=20.0))
    async with world.running() as supervisor:
        [outcome] = await supervisor.stop(["a"])
    assert outcome.outcome == "stopped" and said.read_text() == "in order\n"


async def test_a_lease_that_cannot_be_looked_at_ends_no_unit(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    assert not has_daemon(lease)
    lease.mkdir()
    lease.chmod(0)
    assert has_daemon(lease / "below") or os.geteuid() == 0
    lease.chmod(0o700)
    (lease / "loop").symlink_to("loop")
    assert has_daemon(lease / "loop")


async def test_a_cycle_is_refused_with_its_names_and_stops_no_other_unit(
    world: Supervising,
) -> None:
    world.define(sleeper("a", depends_on=("b",)), sleeper("b", depends_on=("a",)), sleeper("c"))
    async with world.running() as supervisor:
        assert world.process("c").alive
        for act in (supervisor.start, supervisor.restart):
            with pytest.raises(UsageError, match=r"a -> b -> a|b -> a -> b") as caught:
                await act(["a"])
            assert caught.value.code == "service.cycle"
        [outcome] = await supervisor.stop(["a"])
        assert outcome.outcome == "unchanged"
    for earlier in (None, ["a", "b", "c"]):  # also where the last daemon was killed
        if earlier:
            world.make().wanted.set(earlier)
        async with world.running() as supervisor:
            await asyncio.sleep(0.1)  # several looks
            assert supervisor.watched["a"].gave_up and "a" in supervisor.wanted
    told = world.events("service.start a")
    assert {(each.code, each.after) for each in told} == {("service.cycle", "stopped")}
    assert told[-1].why.startswith("It was to run when the daemon was killed. These services")
    assert world.events("service.end") == []


async def test_a_unit_whose_start_hangs_holds_up_only_what_needs_it(
    world: Supervising, tmp_path: Path
) -> None:
    script = f"touch {tmp_path}/began; exec sleep 1000"
    world.define(shell("a-slow", script, health=checked_by(f"test -e {tmp_path}/now")))
    world.define(sleeper("upper", depends_on=("a-slow",)), sleeper("idle", depends_on=("a-slow",)))
    world.define(sleeper("b"), sleeper("c", enabled=False))
    async with world.running(settled=False) as supervisor:
        await comes_true(lambda: world.events("service.start b"))
        await comes_true((tmp_path / "began").exists)
        assert (await supervisor.start(["c"]))[0].outcome == "started"
        send_signal(world.process("b"), signal.SIGKILL)  # which is watched meanwhile
        await comes_true(lambda: world.events("service.restart b"))
        assert supervisor.watched["upper"].problem == "It waits for a-slow."
        assert (await supervisor.stop(["idle"]))[0].outcome == "unchanged"
        asked = asyncio.create_task(supervisor.restart(["upper"]))
        await asyncio.sleep(0.1)
        assert not asked.done() and world.backend.state("upper").state == "stopped"
        (tmp_path / "now").touch()
        assert [each.outcome for each in await asked] == ["restarted"]
        await comes_true(lambda: supervisor.watched["idle"].track)
        assert world.backend.state("idle").state == "stopped"
        hanging = sleeper("d", health=checked_by("false"))
        world.define(hanging)
        asked = asyncio.create_task(supervisor.start(["d"]))
        await comes_true(lambda: world.backend.state("d").state == "running")
        process = world.process("d")
    assert not process.alive  # what was being started ends with the rest


async def test_who_asks_before_supervision_begins_waits_for_it(world: Supervising) -> None:
    world.define(sleeper("other", enabled=False))
    supervisor = world.make()
    life = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    assert not supervisor.ready
    assert [each.outcome for each in await supervisor.start(["other"])] == ["started"]
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life


async def test_what_needs_a_unit_that_does_not_start_waits_for_it(
    world: Supervising, tmp_path: Path
) -> None:
    script = f"test -e {tmp_path}/now && exec sleep 1000; exit 1"
    world.define(shell("base", script, restart="never", enabled=False))
    world.define(sleeper("upper", depends_on=("base",), enabled=False))
    async with world.running() as supervisor:
        outcomes = await supervisor.start(["upper"])
        assert [each.outcome for each in outcomes] == ["failed", "left"]
        assert "base" in outcomes[1].reason
        (tmp_path / "now").touch()
        assert [e.outcome for e in await supervisor.start(["upper"])] == ["started", "started"]


async def test_a_pause_rests_restarts_and_a_dry_run_records_them(world: Supervising) -> None:
    world.define(sleeper("a"))
    async with world.running():
        now = world.events()[0].at
        world.pause.write(Pause(since=now, dry_run=True))
        send_signal(world.process("a"), signal.SIGKILL)
        await comes_true(lambda: world.events("service.restart"))
        await asyncio.sleep(0.2)
        [told] = world.events("service.restart")
        assert told.result == "skipped" and world.backend.state("a").state == "failed"
        world.pause.remove()
        await comes_true(lambda: world.backend.state("a").state == "running")


async def test_two_supervisors_do_not_share_units(world: Supervising) -> None:
    world.define(sleeper("a"))
    async with world.running():
        process = world.process("a")
        with pytest.raises(Conflict) as caught:
            await world.make().run()
        assert caught.value.code == "service.supervised"
        assert process.alive and world.process("a") == process


async def test_a_killed_runner_takes_its_unit_along_and_what_it_left_is_ended(
    world: Supervising,
) -> None:
    world.define(shell("a", "setsid sleep 1000 & exec sleep 1000"))
    async with world.running():
        await comes_true(lambda: len(family(world.process("a"))) == 2)
        whole = family(world.process("a"))
        send_signal(world.runner("a"), signal.SIGKILL)
        await comes_true(lambda: not any(each.alive for each in whole))
        await comes_true(lambda: world.backend.state("a").state == "running")
        assert world.process("a") not in whole
    assert [each.before for each in world.events("service.clear a")] == ["stale"]


async def test_an_end_that_cannot_be_written_down_has_a_code_and_is_written_down_later(
    world: Supervising,
) -> None:
    await world.backend.start(unit := sleeper("a"))
    runner = world.runner("a")
    send_signal(runner, signal.SIGKILL)
    await comes_true(lambda: not runner.alive)
    in_the_way = world.backend.files.record("a").with_suffix(".new")
    in_the_way.mkdir()  # as a full disk is, from which the error comes at the same place
    with pytest.raises(Forbidden) as caught:
        await world.backend.stop(unit)
    assert caught.value.code == "daemon.file"
    in_the_way.rmdir()
    await world.backend.stop(unit)
    assert world.backend.state("a").state not in ("running", "stale")


async def test_units_end_a_while_after_their_daemon_was_killed_but_for_detached_ones(
    world: Supervising,
) -> None:
    world.alone_s = 0.5
    detached = sleeper("b", detached=True)
    for unit in (sleeper("a"), detached):
        await world.backend.start(unit)
    process, other = world.process("a"), world.process("b")
    await comes_true(lambda: world.backend.state("a").state == "stopped" and not process.alive)
    assert "No daemon came" in world.backend.state("a").why
    assert other.alive
    await world.backend.stop(detached)


async def test_a_unit_that_a_killed_daemon_had_asked_to_end_is_started_by_the_next(
    world: Supervising,
) -> None:
    world.define(sleeper("a"))
    async with world.running():
        process = world.process("a")
        send_signal(world.runner("a"), signal.SIGTERM)  # as in the middle of a restart
        await comes_true(lambda: not process.alive)
        await comes_true(lambda: world.backend.state("a").state == "running")


async def test_a_log_that_cannot_be_written_stops_no_unit(world: Supervising) -> None:
    folder = world.backend.files.log("a").parent
    folder.parent.mkdir()
    folder.write_text("")  # where root writes, only what is no folder keeps it from writing
    world.define(shell("a", "echo hello; exec sleep 1000"))
    async with world.running():
        await comes_true(lambda: "cannot be written" in world.backend.state("a").why)
        assert world.process("a").alive
        folder.unlink()
        await comes_true(lambda: world.backend.state("a").state == "running")


async def test_a_unit_that_the_settings_have_no_more_is_stopped(world: Supervising) -> None:
    world.define(sleeper("a"), sleeper("b"))
    async with world.running() as supervisor:
        process = world.process("a")
        world.pause.write(Pause(since=world.events()[0].at, dry_run=False))
        del world.units["a"]
        await supervisor.restart(["b"])
        await asyncio.sleep(0.2)  # several looks
        assert process.alive
        world.pause.remove()
        await comes_true(lambda: world.events("service.stop a"))
        assert not process.alive


class Other(OwnBackend):
    """A supervisor of the system, which has a unit of any name."""

    def knows(self, name: str) -> bool:
        return bool(name)


async def test_what_another_supervisor_runs_by_now_under_an_old_name_is_left_to_it(
    world: Supervising, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.define(sleeper("a"))
    async with world.running():
        pass  # it leaves the record of a run
    world.units.clear()
    other = Other(tmp_path / "other", environment_of)
    await other.start(sleeper("a"))
    chosen = ChosenBackend(
        world.backend.files.folder, environment_of, others={"systemd": other}, read_named=dict
    )
    monkeypatch.setattr(Supervising, "backend", chosen)
    try:
        async with world.running():
            await asyncio.sleep(0.2)  # several looks
        assert other.state("a").state == "running" and world.events("service.stop") == []
    finally:
        await other.stop(sleeper("a"))


async def test_a_removed_unit_is_stopped_by_name_before_the_settings_are_read(
    world: Supervising,
) -> None:
    world.define(sleeper("a"))
    async with world.running() as supervisor:
        process = world.process("a")
        del world.units["a"]
        await supervisor.stop(["a"])
        assert not process.alive


async def test_what_health_checks_take_for_an_answer() -> None:
    hello = b'{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"x"}}}'
    answers = {
        b"GET /good": b"204 No Content\r\n\r\n", b"GET /away": b"503 Away\r\ncontent-length: 0\r\n\r\n",
        b"POST /mcp": b"200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(hello), hello),
        b"POST /other": b"200 OK\r\ncontent-length: 2\r\n\r\n{}",
    }  # fmt: skip

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b" ".join((await reader.readline()).split()[:2])
        if asked in answers:  # of others it says nothing
            writer.write(b"HTTP/1.1 " + answers[asked])
            writer.close()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    cases = [
        (HealthCheck(http=f"{url}/good"), "healthy", ""), (HealthCheck(http=f"{url}/away"), "unhealthy", "503"),
        (HealthCheck(http=f"{url}/silent", timeout_s=0.2), "unhealthy", "did not answer within 0.2 s"),
        (HealthCheck(mcp=f"{url}/mcp"), "healthy", ""), (HealthCheck(mcp=f"{url}/other"), "unhealthy", "MCP"),
        (HealthCheck(command=("false",)), "unhealthy", "status 1"),
        (HealthCheck(command=("sleep", "1000"), timeout_s=0.2), "unhealthy", "did not answer"),
        (HealthCheck(command=("no-such-program",)), "unhealthy", "cannot be reached"),
        (HealthCheck(tcp="127.0.0.1:1"), "unhealthy", "cannot be reached"),
    ]  # fmt: skip
    prober, unit = Prober({"PATH": os.environ["PATH"]}), sleeper("a")
    async with server:
        for check, status, word in cases:
            found = await prober.probe(unit, check)
            assert found.status == status and word in found.message, (check, found)
            assert (found.latency_ms is not None) == (status == "healthy")


def test_a_daemon_killed_at_any_step_of_a_restart_leaves_one_unit_and_no_orphan(
    tmp_path: Path,
) -> None:
    """Twelve daemons are killed, and another comes after each, which takes some seconds."""
    words = [sys.executable, "-m", "tests.support.units_killed", str(tmp_path), "12"]
    done = subprocess.run(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 12 and sum(each["killed"] for each in told) >= 10
    assert {(each["during"], each["after"]) for each in told} == {(1, 0)}, told
