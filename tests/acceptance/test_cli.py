"""The installed command: what every subcommand does and says, to programs and to people."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mahavishnu import __version__
from tests.support.command import Command, run_in_terminal
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

pytestmark = pytest.mark.postgres

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file is always full")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# What a memory always has; what is empty is left out.
MEMORY = {
    "id", "content", "memory_type", "collection", "source_system", "owner", "visibility",
    "occurred_at", "created_at",
}  # fmt: skip
WHERE = {"project", "metadata", "agent_id", "workflow_id", "repo_id", "session_id"}
IMPORTED = {
    "source", "project", "seen", "stored", "changed", "removed", "unchanged", "waiting", "skipped",
}  # fmt: skip
MODEL = {"name", "dimensions", "window_tokens", "source", "imported_at", "sha256"}
STEERING = "bell\x07 title\x1b]0;pwned\x07 red\x1b[31m csi\x9b31m back\b\rover del\x7f"


def store(command: Command, *words: str, **options: Any) -> str:
    body = command("memory", "store", "--json", *words, **options).json
    assert set(body) == {"id", "created", "locations", "places", "embedded", "not_kept"}
    assert body["locations"] == ["postgresql"]
    identifier: str = body["id"]
    assert UUID.fullmatch(identifier)
    return identifier


def listed(command: Command, *words: str) -> list[dict[str, Any]]:
    body = command("memory", "list", "--json", "--limit", "1000", *words).json
    assert set(body) == {"memories"}
    assert all(set(item) >= MEMORY for item in body["memories"])
    memories: list[dict[str, Any]] = body["memories"]
    return memories


def contents(command: Command, *words: str) -> list[str]:
    return [item["content"] for item in listed(command, *words)]


# ---- storing and finding


def test_a_memory_goes_all_the_way(mahavishnu: Command, project: str) -> None:
    identifier = store(
        mahavishnu, "The pool holds ten connections.", "--type", "insight", "--project", project,
        "--source", "tests", "--metadata", "type=decision", "--metadata", '{"n": 2, "ü": [1]}',
        "--agent", "a", "--workflow", "w", "--repo", "r", "--session", "s",
        "--occurred-at", "2025-03-01T12:00+01:00", "--shared",
    )  # fmt: skip
    body = mahavishnu("memory", "show", identifier, "--json").json
    part = {"char_start", "char_end", "total_characters", "truncated"}
    assert set(body) == MEMORY | WHERE | part
    expected = {
        "id": identifier, "content": "The pool holds ten connections.", "memory_type": "insight",
        "collection": "insight", "source_system": "tests", "project": project,
        "visibility": "shared", "metadata": {"type": "decision", "n": 2, "ü": [1]},
        "agent_id": "a", "workflow_id": "w", "repo_id": "r", "session_id": "s",
        "occurred_at": "2025-03-01T11:00:00Z",
    }  # fmt: skip
    assert expected.items() <= body.items()

    again = mahavishnu(
        "memory", "store", "The pool holds ten connections.", "--type", "insight",
        "--project", project, "--shared", "--json",
    ).json  # fmt: skip
    assert (again["id"], again["created"]) == (identifier, False)

    found = mahavishnu(
        "memory", "search", "how many connections", "--project", project, "--json"
    ).json
    assert set(found) == {"query", "mode", "degraded", "hits"}
    assert (found["query"], found["mode"]) == ("how many connections", "hybrid")
    assert [part["part"] for part in found["degraded"]] == ["vector"]
    [hit] = found["hits"]
    assert set(hit) == MEMORY | WHERE | {"score", "found_in", "arms"}
    assert hit["id"] == identifier and hit["found_in"] == ["postgresql"]
    assert 0 < hit["score"] <= 1
    assert set(hit["arms"]["text"]) == {"rank", "score", "contribution"}

    explained = mahavishnu(
        "memory", "search", "connections", "--project", project, "--explain", "--tier", "all",
        "--json",
    ).json  # fmt: skip
    assert [part["part"] for part in explained["degraded"]] == [
        "tier:hot", "tier:development", "vector",
    ]  # fmt: skip
    assert [hit["id"] for hit in explained["hits"]] == [identifier]
    assert explained["explanation"]["terms"] and explained["explanation"]["elapsed_ms"] > 0


def test_every_filter_narrows_a_search_and_a_list(mahavishnu: Command, project: str) -> None:
    store(mahavishnu, "A wanted filter fact.", "--project", project, "--agent", "a1",
          "--workflow", "w1", "--repo", "r1", "--session", "s1", "--source", "one",
          "--metadata", "k=v", "--type", "rag", "--occurred-at", "2d")  # fmt: skip
    store(mahavishnu, "Another filter fact.", "--project", project, "--source", "two")
    for words in (
        ("--agent", "a1"), ("--workflow", "w1"), ("--repo", "r1"), ("--session", "s1"),
        ("--source", "one"), ("--metadata", "k=v"), ("--metadata", '{"k":"v"}'), ("--type", "rag"),
        ("--collection", "document"), ("--until", "1d"),
    ):  # fmt: skip
        assert contents(mahavishnu, "--project", project, *words) == ["A wanted filter fact."]
    found = mahavishnu(
        "memory", "search", "filter fact", "--since", "1d", "--project", project, "--mode", "text",
        "--limit", "5", "--json",
    ).json  # fmt: skip
    assert [hit["content"] for hit in found["hits"]] == ["Another filter fact."]
    assert found["degraded"] == []
    first = ("memory", "list", "--project", project, "--limit", "1", "--json")
    cursor = mahavishnu(*first).json["next_cursor"]
    for words in (("--offset", "1"), ("--cursor", cursor)):
        page = mahavishnu(*first, *words).json
        assert [item["content"] for item in page["memories"]] == ["A wanted filter fact."]
        assert "next_cursor" not in page


def test_superseding_and_forgetting(mahavishnu: Command, project: str) -> None:
    old = store(mahavishnu, "Port 8000.", "--project", project)
    body = mahavishnu("memory", "supersede", old[-12:], "-", "--json", input=b"Port 8680.").json
    assert set(body) == {"id", "created", "supersedes", "locations"}
    assert body["supersedes"] == old and body["created"]
    assert contents(mahavishnu, "--project", project) == ["Port 8680."]
    shown = mahavishnu("memory", "show", old, "--json").json
    assert shown["superseded_by"] == body["id"]

    would = mahavishnu("memory", "forget", body["id"], "--dry-run", "--json").json
    assert set(would) == {"confirmed", "count", "ids", "not_found", "not_own", "restorable_for_s"}
    assert not would["confirmed"] and set(would["ids"]) == {old, body["id"]}
    assert contents(mahavishnu, "--project", project) == ["Port 8680."]
    gone = mahavishnu("memory", "forget", body["id"], "--json").json
    assert (gone["confirmed"], gone["count"]) == (True, 2)
    assert mahavishnu("memory", "show", old, "--json").error["code"] == "memory.not_found"

    assert body["id"][-8:] in mahavishnu("memory", "restore", "--list").out
    assert mahavishnu("memory", "restore", old[-8:]).out == "Restored 2 memories\n"
    assert contents(mahavishnu, "--project", project) == ["Port 8680."]
    purge = ("memory", "forget", old, body["id"], "--purge")
    assert mahavishnu(*purge, "--json").error["code"] == "memory.unconfirmed"
    purged = mahavishnu(*purge, "--yes").out
    assert purged.startswith("Deleted 2 memories\n") and "backups" in purged
    assert mahavishnu("memory", "restore", old, "--json").error["code"] == "memory.not_forgotten"


def test_forgetting_by_filter_needs_a_yes(mahavishnu: Command, project: str) -> None:
    for number in range(3):
        store(mahavishnu, f"Fact {number}.", "--project", project)
    chosen = ("memory", "forget", "--project", project)
    for words in (chosen, (*chosen, "--json")):
        refused = mahavishnu(*words)
        assert refused.status == 2 and refused.out == "" and "--yes" in refused.err
    assert run_in_terminal(mahavishnu, chosen, typed=b"n\n").out.endswith(
        "Nothing was forgotten.\r\n"
    )
    assert "Would forget 3 memories" in mahavishnu(*chosen, "--dry-run").out
    assert len(listed(mahavishnu, "--project", project)) == 3
    assert mahavishnu(*chosen, "--yes", "--json").json["count"] == 3
    assert listed(mahavishnu, "--project", project) == []
    store(mahavishnu, "One more.", "--project", project)
    assert "Forgot 1 memories" in run_in_terminal(mahavishnu, chosen, typed=b"y\n").out


def test_stats_and_embedding(mahavishnu: Command, project: str) -> None:
    store(mahavishnu, "Counted.", "--project", project)
    body = mahavishnu("memory", "stats", "--json").json
    assert set(body) == {"totals", "model", "groups"}
    assert {"live", "superseded", "waiting", "size_bytes"} <= set(body["totals"])
    [group] = [group for group in body["groups"] if group["project"] == project]
    assert {"memory_type", "collection", "project", "memories", "newest"} <= set(group)
    assert group["memories"] == 1
    refused = mahavishnu("memory", "embed", "--json")
    assert refused.status == 5 and refused.error["code"] == "embedding.none"


# ---- the database and the settings


def test_database_commands(mahavishnu: Command) -> None:
    for name in ("init", "upgrade"):
        body = mahavishnu("db", name, "--json").json
        assert set(body) == {"revision", "current", "url"} and body["current"]
    body = mahavishnu("db", "current", "--json").json
    assert set(body) == {
        "url", "embedded", "revision", "head", "current", "postgresql", "pgvector",
        "bypasses_row_security",
    }  # fmt: skip
    assert body["embedded"] and body["current"] and body["revision"] == body["head"]
    address = mahavishnu("db", "url", "--json").json
    assert set(address) == {"url"} and address["url"].startswith("postgresql://mahavishnu@/")
    assert mahavishnu("db", "url").out == address["url"] + "\n"
    assert mahavishnu.sql("select 6*7") == "42"
    failed = mahavishnu("db", "shell", "--", "-c", "select 1/0")
    assert failed.status == 1 and "division by zero" in failed.err
    assert mahavishnu("db", "grant", "nobody", "--json").error["code"] == "database.no_role"
    own = mahavishnu("db", "grant", "mahavishnu", "--json").json
    assert set(own) == {"role", "url"} and own["role"] == "mahavishnu"


def test_config_commands(mahavishnu: Command, tmp_path: Path) -> None:
    body = mahavishnu("config", "show", "--json").json
    assert set(body) == {"settings"}
    assert body["settings"]["postgresql.pool_size"] == {"value": 10, "origin": "default"}
    assert body["settings"]["postgresql.idle_timeout"] == {"value": 2.0, "origin": "environment"}
    origins = mahavishnu("config", "show", "--origin").out
    assert re.search(r"postgresql.idle_timeout\s+2.0\s+environment", origins)
    assert mahavishnu("config", "validate", "--json").json == {
        "valid": True, "notices": [], "unusable": [],
    }  # fmt: skip
    assert mahavishnu("config", "path", "--json").json == {
        "settings": str(mahavishnu.root / "config/mahavishnu.yaml"),
        "data": str(mahavishnu.root / "data"),
        "state": str(mahavishnu.root / "state"),
    }
    trusted = mahavishnu("config", "trust", "--json", cwd=tmp_path).json
    assert trusted == {"trusted": str(tmp_path)}


def test_a_model_from_import_to_search(tmp_path: Path) -> None:
    command = Command(tmp_path)
    source = packaged_model(tmp_path / "source")
    assert command("model", "list", "--json").json == {"models": []}
    before = store(command, "The zebra crossed the viaduct at noon.")
    status = command("model", "status", "--json").json
    assert set(status) == {"blocked", "database", "embedder", "reason", "tried", "waiting"}
    assert status["embedder"] is None and status["waiting"] == 1
    assert {"provider", "why"} == set(status["tried"][0])

    chosen = command("model", "status", "--json", MAHAVISHNU_EMBEDDING_PROVIDER="in-process").json
    assert chosen["embedder"] is None and "mahavishnu model import" in chosen["reason"]

    imported = command("model", "import", source, "--sha256", GRAPH_SHA256, "--json").json
    assert imported.keys() == {"model", "usable"} and imported["usable"]
    assert set(imported["model"]) == MODEL
    assert imported["model"]["name"] == NAME and imported["model"]["dimensions"] == 384
    assert command("model", "list", "--json").json["models"] == [imported["model"]]
    assert command("model", "verify", NAME, "--json").json == {"model": imported["model"]}

    body = command("memory", "embed", "--json").json
    assert body == {"embedded": 1, "waiting": 0}
    stored = command("memory", "store", "Our database pool holds ten connections.", "--json").json
    assert stored["embedded"]
    found = command("memory", "search", "striped African animal", "--mode", "vector", "--json").json
    assert found["degraded"] == [] and found["hits"][0]["id"] == before
    assert found["hits"][0]["arms"]["vector"]["rank"] == 1
    hybrid = command("memory", "search", "connections to postgres", "--limit", "1", "--json").json
    assert hybrid["hits"][0]["id"] == stored["id"]
    assert command("memory", "stats", "--json").json["model"] == NAME

    graph = next((command.root / "data/models").rglob("*.onnx"))
    graph.chmod(0o600)
    with graph.open("r+b") as stream:
        stream.write(b"damaged")
    assert command("model", "verify", NAME, "--json").status == 7


# ---- help, errors, terminals, pipes


def test_help_version_and_no_arguments(mahavishnu: Command) -> None:
    assert mahavishnu("--version").out == f"mahavishnu, version {__version__}\n"
    for words in (("-h",), ("memory", "--help"), ("memory", "import", "-h"), ("service", "-h")):
        answer = mahavishnu(*words)
        assert answer.status == 0 and answer.out.startswith("Usage: mahavishnu")
    for words in ((), ("memory",), ("config",)):
        answer = mahavishnu(*words)
        assert answer.status == 2 and answer.out == ""
        assert answer.err.startswith("Usage: mahavishnu") and "Commands:" in answer.err
    missing = mahavishnu("memory", "--json")
    assert missing.error["code"] == "usage"


def test_an_error_is_told_to_people_as_to_programs(mahavishnu: Command) -> None:
    told = mahavishnu("memory", "show", "00000000")
    error = mahavishnu("memory", "show", "00000000", "--json").error
    assert told.status == 3 and told.out == ""
    assert told.err == f"Error: {error['message']}\nHint: {error['hint']}\n"


def test_nothing_but_text_where_no_terminal_is(mahavishnu: Command, project: str) -> None:
    identifier = store(mahavishnu, STEERING, "--project", project, "--metadata", f"k={STEERING}")
    for words in (
        ("memory", "list", "--project", project),
        ("memory", "search", "title pwned", "--project", project, "--explain"),
        ("memory", "show", identifier),
        ("memory", "stats"),
        ("config", "show", "--origin"),
        ("model", "status"),
        ("db", "current"),
    ):
        answer = mahavishnu(*words)
        assert answer.status == 0
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.out + answer.err), words


def test_a_terminal_gets_tables_and_no_steering(mahavishnu: Command, project: str) -> None:
    identifier = store(mahavishnu, STEERING, "--project", f"{project}\x1b[7m")
    table = run_in_terminal(mahavishnu, ("memory", "list", "--limit", "1000"))
    assert table.status == 0
    assert "\x1b[1mid" in table.out.replace("\x1b[1;", "\x1b[1m")  # the heading is bold
    shown = run_in_terminal(mahavishnu, ("memory", "show", identifier))
    wrong = run_in_terminal(mahavishnu, ("memory", "list", "--project", project))
    assert "Did you mean" in wrong.out
    for answer in (table, shown, wrong):
        for bad in ("\x07", "\x1b]", "\x1b[31m", "\x1b[7m", "\x9b", "\b", "\x7f"):
            assert bad not in answer.out
    bars = run_in_terminal(mahavishnu, ("memory", "embed", "--limit", "1"))
    assert bars.status == 5 and "Error:" in bars.out


def test_text_is_piped_in(mahavishnu: Command, project: str) -> None:
    text = "Erste Zeile – größer.\nZweite Zeile.\n"
    options = ("--project", project)
    store(mahavishnu, *options, input=text.encode())
    assert contents(mahavishnu, *options) == [text]
    assert mahavishnu("memory", "store", "-", *options, input=text.encode()).out.startswith(
        "Already"
    )
    refused = run_in_terminal(mahavishnu, ("memory", "store"))
    assert refused.status == 2 and "There is no text to remember." in refused.out


@pytest.mark.parametrize(
    "words",
    [("config", "show"), ("config", "path"), ("config", "show", "--json"), ("--help",)],
)
def test_a_reader_that_has_gone_is_no_error(mahavishnu: Command, words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = mahavishnu.start(*words, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")


def with_full_output(command: Command, *words: str) -> tuple[int, str]:
    """Run it with a stdout that takes nothing and return its status and what is on stderr."""
    with open("/dev/full", "wb") as full:
        process = command.start(*words, stdout=full)
        err = process.communicate(timeout=120)[1].decode()
    return process.returncode, err


@needs_full
def test_help_that_cannot_be_written_is_told(mahavishnu: Command) -> None:
    status, err = with_full_output(mahavishnu, "--help")
    assert status == 1 and err.startswith("Error: The output could not be written")


@needs_full
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["table", "json"])
@pytest.mark.parametrize("command", ["store", "list", "search"])
def test_output_that_cannot_be_written_is_told(
    mahavishnu: Command, project: str, command: str, words: tuple[str, ...]
) -> None:
    more = ("--limit", "1") if command == "list" else (project,)
    status, err = with_full_output(mahavishnu, "memory", command, *more, *words)
    assert status == 1
    if "--json" in words:
        error = json.loads(err)["error"]
        assert error["code"] == "output.failed" and "No space left" in error["message"]
    else:
        assert re.search(r"^Error: .*No space left.*\nHint: .* is done.*\n\Z", err, re.MULTILINE)
    if command == "store":
        assert project in [m["content"] for m in listed(mahavishnu, "--type", "agent")]


@pytest.mark.parametrize(
    ("closed", "words", "status"),
    [
        ((1,), ("store", "A text for nobody.", "--json"), 0),
        ((1,), ("list",), 0),
        ((1, 2), ("list", "--type", "none"), 2),
        ((0,), ("store",), 2),
        ((0, 1, 2), ("list",), 0),
    ],
)
def test_closed_streams_do_not_confuse_a_command(
    mahavishnu: Command, closed: tuple[int, ...], words: tuple[str, ...], status: int
) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    answer = mahavishnu("memory", *words, preexec=close)
    assert (answer.status, answer.out) == (status, "")
    if status == 2 and 2 not in closed:
        assert answer.err.startswith("Error: There is no text")
    else:
        assert answer.err == ""


@needs_full
def test_an_export_that_was_cut_is_not_called_done(mahavishnu: Command, project: str) -> None:
    store(mahavishnu, "text", "--project", project)
    status, err = with_full_output(mahavishnu, "memory", "export", "-", "--project", project)
    assert status == 1 and "No space left" in err and "Hint: The export was cut" in err


@needs_full
@pytest.mark.parametrize(
    "words", [("list", "--type", "none"), ("list", "--type", "none", "--json")]
)
def test_errors_that_nobody_can_read_keep_their_status(
    mahavishnu: Command, words: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as broken, open("/dev/full", "wb") as full:
        for stderr in (full, broken):
            process = mahavishnu.start("memory", *words, stderr=stderr)
            assert (process.communicate(timeout=120)[0], process.returncode) == (b"", 2)


def test_a_pipe_that_does_not_wait_gets_everything(mahavishnu: Command, project: str) -> None:
    store(mahavishnu, "--project", project, input=b"long " * 100_000)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(reader, "rb") as stream:
        process = mahavishnu.start("memory", "list", "--project", project, "--json", stdout=writer)
        os.close(writer)
        time.sleep(0.5)  # it fills the pipe meanwhile
        out = stream.read()
    assert (process.communicate(timeout=120)[1], process.returncode) == (b"", 0)
    assert len(json.loads(out)["memories"]) == 1


def test_after_two_dashes_json_is_a_text(mahavishnu: Command) -> None:
    answer = mahavishnu("memory", "show", "--", "--json")
    assert answer.status == 2 and answer.err.startswith("Error: ")
    assert mahavishnu("memory", "show", "--json", "--", "x").error["code"] == "input.id"


def test_head_ends_a_long_list_quietly(mahavishnu: Command, project: str) -> None:
    for number in range(3):
        text = f"{number} " + "long " * 40_000
        store(mahavishnu, "--project", project, input=text.encode())
    words = ("memory", "list", "--project", project, "--json")
    process = mahavishnu.start(*words)
    assert process.stdout and process.stderr
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, check=True)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (head.stdout, err, process.wait(120)) == (b"{\n", b"", 0)
