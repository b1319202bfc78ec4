"""Turns, executions and metrics, recorded by the installed command."""

import json

import pytest

from tests.command import Command

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]
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
    assert set(said) == {"id", "created", "embedded"} and said["created"]
    turn = "role, content, branch, model, profile, metadata FROM agent_conversations_view"
    assert rows(mahavishnu, f"SELECT {turn} WHERE session_id = 's-cli'") == [
        ["assistant", "The port is 8680.", "main", "m", "p", {"tokens": 3}]
    ]

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
