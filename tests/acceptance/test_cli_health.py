"""`mahavishnu health` as scripts see it: whom it asks, and its exit codes."""

import json

import pytest

from tests.support.command import Command
from tests.support.daemon import running

pytestmark = pytest.mark.postgres


def test_scripts_see_in_the_exit_code_how_it_is(alone: Command) -> None:
    """Nothing is made for a look; then the database is away, and a write waits."""
    first = alone("health", "--json")
    assert (first.json["status"], first.json["answered_by"]) == ("healthy", "process")
    assert not (alone.root / "data" / "postgres").exists()
    away = {"MAHAVISHNU_PG_DSN": "postgresql://nobody@127.0.0.1:1/none"}
    assert alone("memory", "store", "It waits.", **away).status == 0
    waiting = alone(
        "health", "--json"
    )  # for a database that is not the one of the settings any more
    assert waiting.status == 8 and json.loads(waiting.out)["common_status"] == "degraded"
    answer = alone("health", **away)
    assert answer.status == 9 and "All in all: unhealthy" in answer.out
    assert "database" in answer.out and "1 writes wait" in answer.out


def test_the_daemon_answers_where_one_runs(settled: Command) -> None:
    with running(settled) as daemon, daemon.client() as client:
        told = settled("health", "--json").json
        assert (told["status"], told["answered_by"]) == ("healthy", "daemon")
        assert client.get("/health").json() == {"name": "mahavishnu", "status": "ok"}
        [own] = [each for each in told["components"] if each["name"] == "daemon"]
        assert own["memory_mb"] > 1
