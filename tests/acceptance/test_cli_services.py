"""`mahavishnu service`: with a daemon, without one, and over a daemon's sudden death."""

import json
import signal

import pytest

from mahavishnu.base.processes import identify, send_signal
from tests.support.command import Command
from tests.support.daemon import running, start, wait_until

CANARY = "canary-value-of-a-secret"


def state(command: Command, name: str) -> dict[str, object]:
    """Return what `service status` tells of one service."""
    [found] = command("service", "status", name, "--json").json["services"]
    assert isinstance(found, dict)
    return found


def test_services_are_described_by_commands_without_a_daemon(alone: Command) -> None:
    rows = {each["name"]: each for each in alone("service", "list", "--json").json["services"]}
    assert rows["session-buddy"]["state"] == rows["agentdb"]["state"] == "not_configured"
    assert "No session runs." in alone("service", "status").out
    words = (
        "service",
        "add",
        "a",
        "--env",
        "KEY=env:CANARY",
        "--tcp",
        "127.0.0.1:9",
        "--",
        "sleep",
        "1000",
    )
    assert "service start a" in alone(*words).out
    assert alone(*words[:3], "--json", *words[3:]).error["code"] == "service.exists"
    assert state(alone, "a")["command"] == ["sleep", "1000"] and state(alone, "a")["enabled"]
    assert alone("service", "disable", "a").status == 0 and "enabled" not in state(alone, "a")
    assert alone("service", "enable", "a").status == 0 and state(alone, "a")["enabled"]
    for act in ("start", "stop", "restart"):
        refused = alone("service", act, "a", "--json").error
        assert refused["code"] == "daemon.not_running" and "up --detach" in refused["hint"]
    assert alone("service", "start", "b", "--json").error["code"] == "service.unknown"
    told = alone("service", "restart", "all", "--dry-run", "--json").json
    assert [each["name"] for each in told["services"]] == [
        "claude",
        "session-buddy",
        "agentdb",
        "a",
    ]
    assert not told["confirmed"]
    assert alone("service", "logs", "a").out == ""
    assert alone("service", "remove", "a").status == 0
    assert alone("service", "remove", "a", "--json").error["code"] == "service.unknown"
    alone.settings.write_text("services: {b: {command: [sleep, '5']}}\n")
    for act in ("remove", "disable"):
        assert alone("service", act, "b", "--json").error["code"] == "service.in_settings"


@pytest.mark.postgres
def test_a_unit_survives_the_daemon_that_was_killed_and_ends_with_the_next(
    settled: Command,
) -> None:
    """Two daemons are started, a second or two each."""
    settled.settings.write_text(json.dumps({"services": {"a": {
        "command": ["sh", "-c", "echo key=$KEY; exec sleep 1000"], "environment": ["KEY=env:CANARY"],
        "health": {"sql": "SELECT 1", "interval": 1},
    }}}))  # fmt: skip
    daemon = start(Command(settled.home, {**settled.environment, "CANARY": CANARY}))
    wait_until(lambda: state(settled, "a").get("health", {"status": ""})["status"] == "healthy")  # type: ignore[index]
    found = state(settled, "a")
    process = identify(int(str(found["pid"])))
    assert process is not None and found["memory_mb"] and found["since"]
    done = settled("service", "restart", "all", "--json").json["services"]
    told = {each["name"]: each["outcome"] for each in done}
    ai = {"claude": "unchanged", "session-buddy": "left", "agentdb": "left"}
    assert told == {**ai, "a": "restarted"} and not process.alive
    with daemon.client() as client:
        answer = client.post("/api/v1/services/restart-ai", json={"confirm": True}).json()
    assert {each["name"]: each["outcome"] for each in answer["services"]} == ai
    process = identify(int(str(state(settled, "a")["pid"])))
    assert process is not None
    components = json.loads(settled("health", "--json").out)["components"]
    assert ("service:a", "healthy") in {(each["name"], each["status"]) for each in components}

    settled("service", "stop", "a")
    assert "service:a" not in settled("health", "--json").out  # nobody wants it
    settled("service", "start", "a")

    changed = settled.settings.read_text().replace("sleep 1000", "sleep 1001")
    settled.settings.write_text(changed)  # the service that this affects is restarted
    wait_until(lambda: "config.restart" in settled("events", "--json").out)
    [event] = [
        each
        for each in settled("events", "--json").json["events"]
        if each["what"] == "config.restart a"
    ]
    assert event["result"] == "done" and event["after"] == "a restarted" and not process.alive
    process = identify(int(str(state(settled, "a")["pid"])))
    assert process is not None

    send_signal(daemon.process, signal.SIGKILL)
    wait_until(lambda: not daemon.process.alive)
    left = state(settled, "a")
    assert left["state"] == "running" and "No daemon supervises it" in str(left["why"])
    with running(settled) as second:
        assert identify(int(str(state(settled, "a")["pid"]))) == process
        refused = settled(
            "up", "--port", "0", "--json"
        ).error  # two daemons: the second touches nothing
        assert refused["code"] == "daemon.running" and process.alive and second.process.alive
        assert settled("down").status == 0
    assert not process.alive and state(settled, "a")["state"] == "stopped"
    assert "key=***" in settled("service", "logs", "a").out
    kept = b"".join(p.read_bytes() for p in settled.root.rglob("*") if p.is_file())
    assert CANARY.encode() not in kept
