"""Turns, executions and metrics, recorded by the installed command."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.command import Command

pytestmark = pytest.mark.postgres
MOMENT = "2026-01-02T03:04:05Z"


def rows(command: Command, statement: str) -> list[list[object]]:
    found = command.sql(f"SELECT json_agg(r) FROM ({statement}) r")
    return [list(row.values()) for row in json.loads(found)]


def test_what_is_recorded_is_there_with_all_that_was_given(mahavishnu: Command) -> None:
    said = mahavishnu(
        "session", "record", "-", "--session", "s-cli", "--position", "0", "--role", "assistant",
        "--speaker", "Claude", "--branch", "main", "--model", "m", "--profile", "p",
        "--metadata", '{"tokens": 3}', "--occurred-at", MOMENT, "--json", input=b"The port is 8680.",
    ).json  # fmt: skip
    assert set(said) == {"id", "created", "embedded", "locations"} and said["created"]
    turn = "role, content, branch, model, profile, metadata FROM agent_conversations_view"
    assert rows(mahavishnu, f"SELECT {turn} WHERE session_id = 's-cli'") == [
        ["assistant", "The port is 8680.", "main", "m", "p", {"tokens": 3}]
    ]

    [listed] = mahavishnu("session", "list", "--json").json["sessions"]
    assert (listed["session_id"], listed["models"], listed["turns"]) == ("s-cli", ["m"], 1)
    assert "Claude · m\nThe port is 8680.\n" in mahavishnu("session", "show", "s-cli").out
    [hit] = mahavishnu("session", "search", "port", "--session", "s-cli", "--json").json["hits"]
    assert hit["session_id"] == "s-cli"

    run = mahavishnu(
        "workflow", "record", "e-cli", "--workflow", "w-cli", "--adapter", "prefect",
        "--status", "crashed", "--started-at", MOMENT, "--finished-at", MOMENT, "--repo", "reef",
        "--result", '{"rows": 1}', "--error", "gone", "--metadata", "host=h", "--json",
    ).json  # fmt: skip
    execution = "id, status, repos, result, error_message, metadata FROM workflow_executions_view"
    assert rows(mahavishnu, f"SELECT {execution} WHERE workflow_id = 'w-cli'") == [
        [run["id"], "crashed", ["reef"], {"rows": 1}, "gone", {"host": "h"}]
    ]

    sample = ("metrics", "record", "c-cli", "health", "--figures", '{"latency_ms": 12.5}',
              "--text", "healthy", "--recorded-at", MOMENT, "--metadata", "host=h")  # fmt: skip
    assert len({mahavishnu(*sample, "--json").json["id"] for _ in range(2)}) == 1
    metric = "metric_type, metrics, metadata FROM performance_metrics_view"
    assert rows(mahavishnu, f"SELECT {metric} WHERE component = 'c-cli'") == [
        ["health", {"latency_ms": 12.5, "text": "healthy"}, {"host": "h"}]
    ]


def test_lines_are_recorded_while_they_come_and_what_never_ended_crashed(
    mahavishnu: Command,
) -> None:
    run = {"workflow_id": "w-lines", "adapter": "tests", "started_at": MOMENT}
    reports = [
        {**run, "execution_id": "ends", "status": "running"},
        {**run, "execution_id": "ends", "status": "completed", "finished_at": MOMENT},
        {**run, "execution_id": "ends", "status": "running"},  # late
        {**run, "execution_id": "goes on", "status": "running"},
        {**run, "execution_id": "no status"},
    ]
    lines = b"".join(json.dumps(report).encode() + b"\n" for report in reports)
    lines += b"\n\xff\n" + b"x" * (9 * 1024 * 1024)
    command = ("workflow", "record", "--lines", "--crashed-at-end", "--json")
    for _ in range(2):
        answer = mahavishnu(*command, input=lines)
        assert answer.json == {"recorded": 2, "failed": 3, "crashed": 1}
        assert answer.err.count("report_refused") == 3
    found = "execution_id, status FROM workflow_executions WHERE workflow_id = 'w-lines'"
    assert rows(mahavishnu, f"SELECT {found} ORDER BY 1") == [
        ["ends", "completed"], ["goes on", "crashed"],
    ]  # fmt: skip
    log = mahavishnu.root / "state/recorder.log"
    quiet = mahavishnu(*command[:-1], "--log", input=b"nonsense")
    assert (quiet.status, quiet.err) == (0, "") and "report_refused" in log.read_text()
    log.unlink()
    log.mkdir()  # as a full disk, it cannot be opened
    assert mahavishnu(*command, "--log", input=lines).json["recorded"] == 2
    log.rmdir()


def test_one_run_or_lines_of_them(mahavishnu: Command) -> None:
    refused = mahavishnu("workflow", "record", "e", "--status", "running", "--json").error
    assert refused["message"] == "A run needs --workflow, --adapter, --started-at."
    refused = mahavishnu("workflow", "record", "--lines", "--status", "running", "--json").error
    assert "leave out status" in refused["message"]


def test_runs_are_listed_found_shown_and_counted(mahavishnu: Command) -> None:
    mahavishnu(
        "workflow", "record", "e-found", "--workflow", "w-found", "--adapter", "prefect",
        "--status", "failed", "--started-at", MOMENT, "--finished-at", "2026-01-02T03:04:07Z",
        "--repo", "reef", "--error", "Traceback\nOSError: quota exceeded",
    )  # fmt: skip
    listed = mahavishnu("workflow", "list", "--workflow", "w-found", "--json").json
    [found] = listed["executions"]
    assert set(listed) == {"executions", "degraded"}
    assert (found["error"], found["duration_s"]) == ("OSError: quota exceeded", 2)
    words = ("--workflow", "w-found", "--repo", "reef", "--since", "2026-01-01", "--with-context")
    searched = mahavishnu("workflow", "search", "quota", *words, "--json").json["executions"]
    assert [each["id"] for each in searched] == [found["id"]] and searched[0]["score"] > 0
    assert "quota exceeded" in mahavishnu("workflow", "search", "quota", *words).out
    shown = mahavishnu("workflow", "show", found["id"][-8:], "--json").json
    assert shown["error"].startswith("Traceback") and shown["execution_id"] == "e-found"
    assert "repositories: reef" in mahavishnu("workflow", "show", "e-found").out
    counted = mahavishnu("workflow", "stats", "--json").json["workflows"]
    [counts] = [each for each in counted if each["workflow_id"] == "w-found"]
    assert (counts["runs"], counts["failed"], counts["median_s"]) == (1, 1, 2)
    assert "w-found" in mahavishnu("workflow", "stats").out
    assert mahavishnu("workflow", "list", "--status", "crashed", "--repo", "no").out == (
        "Nothing found.\n"
    )


def test_a_command_is_run_and_recorded_as_it_ended(mahavishnu: Command) -> None:
    fails = "echo out; echo first >&2; echo quota exceeded >&2; exit 3"
    words = ("workflow", "run", "w-run", "--repo", "reef", "--metadata", "host=h")
    answer = mahavishnu(*words, "--", "sh", "-c", fails)
    assert (answer.status, answer.out, answer.err) == (3, "out\n", "first\nquota exceeded\n")
    assert mahavishnu(*words, "--", "sh", "-c", "kill -9 $$").status == 128 + 9
    assert mahavishnu(*words, "--", "cat", "--", "/dev/null", input=b"x").status == 0
    missing = mahavishnu(*words, "--", "no-such-program")
    assert missing.status == 3 and "no-such-program cannot be started" in missing.err
    columns = "status, repos, result, error_message, metadata FROM workflow_executions_view"
    found = rows(mahavishnu, f"SELECT {columns} WHERE workflow_id = 'w-run' ORDER BY created_at")
    assert [row[0] for row in found] == ["failed", "crashed", "completed", "failed"]
    assert found[0][1:] == [["reef"], {"exit_code": 3}, "first\nquota exceeded", {"host": "h"}]
    assert mahavishnu("workflow", "run", "w-run").status == 2
    away = mahavishnu("--set", "postgresql.enabled=false", *words, "--", "sh", "-c", "exit 4")
    assert away.status == 4 and away.err.startswith("Not recorded: ")


def test_a_command_that_is_ended_was_cancelled(mahavishnu: Command) -> None:
    process = mahavishnu.start(
        "workflow", "run", "w-ended", "--", "sh", "-c", "echo up; exec sleep 60"
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(120) == 128 + 15
    [run] = mahavishnu("workflow", "list", "--workflow", "w-ended", "--json").json["executions"]
    assert run["status"] == "cancelled"


@pytest.fixture
def repositories(mahavishnu: Command, tmp_path: Path) -> list[str]:
    """Two known repositories, whose names no other test has."""
    names = [f"{tmp_path.name}-{number}" for number in (1, 2)]
    for name in names:
        (tmp_path / name).mkdir()
        assert mahavishnu("repo", "add", tmp_path / name).status == 0
    return names


def test_a_command_runs_in_the_folder_of_each_repository(
    mahavishnu: Command, repositories: list[str], tmp_path: Path
) -> None:
    first, gone = repositories
    (tmp_path / gone).rmdir()
    words = (
        "workflow",
        "run",
        "w-each",
        "--repos",
        f"{first}, {gone}",
        "--metadata",
        "host=h",
        "--",
    )
    answer = mahavishnu(*words, "sh", "-c", "pwd; printf end >&2")
    assert answer.status == 1 and f"{first} | {tmp_path / first}\n" in answer.out
    assert (
        f"{first} | end\n" in answer.err and f"The folder {tmp_path / gone} is gone" in answer.err
    )
    assert [line.split()[:3] for line in answer.out.splitlines()[-2:]] == [
        [first, "completed", "0"], [gone, "failed", "3"],
    ]  # fmt: skip
    columns = "repos, status, error_message, metadata FROM workflow_executions_view"
    found = rows(mahavishnu, f"SELECT {columns} WHERE workflow_id = 'w-each' ORDER BY repos")
    assert found == [
        [[first], "completed", None, {"host": "h"}],
        [[gone], "failed", f"NotFound: The folder {tmp_path / gone} is gone.", {"host": "h"}],
    ]
    for wrong in (("--repos", ","), ("--repos", first, "--repo", "a"), ("--retries", "1")):
        assert mahavishnu("workflow", "run", *wrong, "--", "true").status == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_who_ends_the_run_ends_its_commands(
    mahavishnu: Command, repositories: list[str], number: signal.Signals
) -> None:
    """3 s: a process for each repository, and one that has to be killed."""
    words = (
        "--repos",
        ",".join(repositories),
        "--",
        "sh",
        "-c",
        "echo up; sleep 60; echo not ended",
    )
    with mahavishnu.start("workflow", "run", f"w-{number.name}", *words) as process:
        assert process.stdout is not None
        assert all(process.stdout.readline().endswith(b"| up\n") for _ in repositories)
        process.send_signal(number)
        said = process.stdout.read()  # to the end of all that hold it
        assert process.wait(120) == (130 if number is signal.SIGINT else -number)
    assert b"not ended" not in said
    found = mahavishnu("workflow", "list", "--workflow", f"w-{number.name}", "--json").json
    assert [run["status"] for run in found["executions"]] == ["cancelled", "cancelled"]
