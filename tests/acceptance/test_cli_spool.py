"""`mahavishnu spool`, and what commands, MCP and the daemon do while PostgreSQL is away, as processes."""

import json
from dataclasses import replace

import pytest

from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.spool.entries import write_down
from mahavishnu.memory.spool.file import SpoolFile
from tests.support.command import Command
from tests.support.daemon import call, running, stdio_session

pytestmark = pytest.mark.postgres
AWAY = {"MAHAVISHNU_PG_BINARIES": "/nowhere"}


@pytest.fixture
def cut_off(settled: Command) -> Command:
    """The same home, where the embedded PostgreSQL cannot be started."""
    return replace(settled, environment={**settled.environment, **AWAY})


def test_what_commands_store_while_it_is_away_is_told_kept_and_stored_later(
    settled: Command, cut_off: Command
) -> None:
    done = cut_off("memory", "store", "one", "--project", "p", "--json").json
    assert done["locations"] == ["spool"] and "There is no PostgreSQL" in done["waits"]
    said = cut_off(
        "session", "record", "two", "--session", "s", "--position", "0", "--role", "user"
    )
    assert said.status == 0 and "Waits in the spool as " in said.out
    assert cut_off("workflow", "run", "w", "--", "true").err == ""
    [row] = cut_off("spool", "status", "--json").json["waiting"]
    assert (row["database"], row["count"]) == ("embedded", 4)
    assert row["kinds"] == {"execution": 2, "memory": 1, "turn": 1}
    assert "execution 2, memory 1, turn 1" in cut_off("spool", "status").out
    assert "Spool: 4 writes wait" in cut_off("status").out
    answer = cut_off("doctor", "--no-database", "--json")
    [found] = [each for each in json.loads(answer.out)["findings"] if each["name"] == "spool"]
    assert (found["status"], found["summary"]) == ("warning", "4 writes wait for a database.")
    assert cut_off("spool", "drain", "--json").error["code"] == "database.no_binaries"
    drained = settled("spool", "drain", "--json").json
    assert (drained["stored"], drained["known"], drained["waiting"]) == (3, 1, 0)
    shown = settled("memory", "show", done["id"], "--json").json
    assert (shown["content"], shown["project"]) == ("one", "p")
    assert settled("spool", "status").out == "Nothing waits.\n"


def test_status_shows_the_rest_where_the_spool_is_damaged(settled: Command) -> None:
    sound = settled("status", "--json").json
    path = SpoolFile(settled.root / "data").path
    path.write_bytes(b"no database" * 1000)
    try:
        told = settled("status", "--json").json
        assert told["spooled"] is None and told["spool_problem"]["code"] == "spool.damaged"
        assert told | {"spooled": 0, "spool_problem": None} == sound
        shown = settled("status")
        assert shown.status == 0 and shown.out.startswith("The daemon is not running.")
        assert "is damaged" in shown.out.partition("\nSpool: ")[2]
    finally:
        path.unlink()


def test_what_waited_for_a_database_of_another_name_is_stored_where_its_user_says(
    settled: Command,
) -> None:
    file = SpoolFile(settled.root / "data")
    file.append([write_down(NewMemory(content="x"), "me@old/db")])
    assert settled("spool", "drain").out == "Nothing waited.\n"
    wrong = settled("spool", "drain", "--from", "me@older/db", "--json")
    assert wrong.error["code"] == "spool.no_database"
    assert settled("spool", "drain", "--from", "me@old/db").out == "1 stored.\n"


async def test_the_daemon_and_mcp_keep_what_they_are_given_while_it_is_away(
    settled: Command, cut_off: Command
) -> None:
    with running(cut_off) as daemon, daemon.client() as client:
        assert client.get("/health").status_code == 503
        one = client.post("/api/v1/memories", json={"content": "one"}).json()
        assert one["locations"] == ["spool"]
        assert client.get("/api/v1/memories").json()["error"]["code"] == "database.no_binaries"
        state = client.get("/api/v1/status").json()
        assert not state["database"]["reachable"] and state["spooled"] == 1
        assert "mahavishnu_spooled_writes 1.0" in client.get("/metrics").text
    async with stdio_session(cut_off) as session:
        two = await call(session, "store_memory", content="by an assistant")
        assert two["locations"] == ["spool"]
    listed = settled("memory", "list", "--json").json["memories"]
    assert [each["id"] for each in listed] == [two["id"], one["id"]]
