"""What is reported of a run of Prefect, and how it is handed on."""

import json
import os
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.base.extras import PACKAGES, require_enabled, require_installed
from mahavishnu.engines.prefect import writer as writing
from mahavishnu.engines.prefect.report import MAX_RESULT, plain_result, report_of
from mahavishnu.engines.prefect.writer import Writer

STARTED = datetime(2026, 1, 2, 3, tzinfo=UTC)


def run_of(**changes: Any) -> Any:
    about = {
        "id": "r", "name": "brave-otter", "run_count": 1, "tags": ["repo:api", "nightly"],
        "start_time": STARTED, "parameters": {"repos": ["shop", "", 1], "token": "secret"},
    }  # fmt: skip
    return SimpleNamespace(**about | changes)


def state_of(kind: str, **changes: Any) -> Any:
    about = {"type": SimpleNamespace(value=kind), "name": kind.title(), "message": None}
    return SimpleNamespace(**{**about, "timestamp": STARTED + timedelta(seconds=2), **changes})


def test_a_report_has_the_fields_of_record_execution() -> None:
    failed = state_of("FAILED", message="Flow run encountered an exception: E: a\0b\ud800")
    report = report_of(run_of(), failed, workflow="w" * 300, repositories=("web",), result={"a": 1})
    assert report == {
        "execution_id": "r", "workflow_id": "w" * 200, "adapter": "prefect", "status": "failed",
        "started_at": "2026-01-02T03:00:00+00:00", "finished_at": "2026-01-02T03:00:02+00:00",
        "repositories": ["api", "shop", "web"], "project": None, "error": "E: ab?",
        "metadata": {"run_name": "brave-otter", "state": "Failed", "attempts": 1,
                     "tags": ["nightly", "repo:api"]},
    }  # fmt: skip
    assert "secret" not in json.dumps(report)


def test_a_run_that_goes_on_has_no_end() -> None:
    for kind, status in (("RUNNING", "running"), ("PAUSED", "running"), ("SCHEDULED", "pending")):
        report = report_of(run_of(start_time=None), state_of(kind), workflow="w")
        assert report["status"] == status and "finished_at" not in report
        assert report["started_at"] == "2026-01-02T03:00:02+00:00"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        ({"a": [1, 2.5, None, True]}, {"a": [1, 2.5, None, True]}),
        (3, {"value": 3}),
        ({"a": {1}}, {"omitted": "dict is not JSON"}),
        ({1: "a"}, {"omitted": "dict is not JSON"}),
        (float("nan"), {"omitted": "float is not JSON"}),
        ([10**4400], {"omitted": "list is not JSON"}),
        ("a\0b", {"omitted": "str is not JSON"}),
        ("x" * 100_000_000, {"omitted": "more than 16,384 characters"}),
        ([["x" * 1000]] * 1_000_000, {"omitted": "more than 16,384 characters"}),
    ],
)
def test_a_result_is_a_small_json_object_or_named(value: object, kept: object) -> None:
    assert plain_result(value) == kept
    assert kept is None or len(json.dumps(kept)) < 2 * MAX_RESULT


def test_a_result_within_itself_is_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert plain_result(endless) == {"omitted": "list is not JSON"}


def test_lines_reach_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = f"import sys; open({str(tmp_path / 'got')!r}, 'wb').write(sys.stdin.buffer.read())"
    monkeypatch.setattr(writing, "WORDS", ("-c", copy))
    writer = Writer()
    lines = [
        b"%d %s\n" % (number, b"x" * 1000) for number in range(5000)
    ]  # more than the pipe holds
    for line in lines:
        writer.send(line, wait_at_exit_s=30)
    writer.close()
    assert (tmp_path / "got").read_bytes() == b"".join(lines)


def test_a_writer_that_was_killed_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = f"import os, sys; open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'wb').write(sys.stdin.buffer.read())"
    monkeypatch.setattr(writing, "WORDS", ("-c", copy))
    writer = Writer()
    writer.send(b"before\n", wait_at_exit_s=30)
    assert writer._process is not None
    writer._process.kill()
    writer._process.wait()
    writer.send(b"after\n")
    writer.close()
    assert b"".join(path.read_bytes() for path in tmp_path.iterdir()) == b"after\n"


def test_a_fork_that_lives_on_does_not_hold_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WORDS", ("-c", "import sys; sys.stdin.buffer.read()"))
    writing.open_writer.cache_clear()
    writer = writing.open_writer()
    writer.send(b"x", wait_at_exit_s=30)
    process = writer._process
    assert process is not None
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        os.close(theirs)
        os.read(ours, 1)  # until the test is over
        os._exit(0)
    try:
        writer.close()
        assert process.returncode == 0
    finally:
        os.close(theirs)
        os.waitpid(child, 0)


def test_a_writer_that_cannot_start_or_has_ended_is_only_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing, "WORDS", ("-c", ""))
    writer = Writer()
    for _ in range(100_000):
        writer.send(b"x" * 1000)
        if caplog.records:
            break
    monkeypatch.setattr(sys, "executable", "/nowhere")
    Writer().send(b"x")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize("engine", PACKAGES)
def test_without_the_extra_or_the_setting_an_engine_says_what_to_do(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[engine], None)
    with pytest.raises(Unavailable) as missing:
        require_installed(engine)
    assert missing.value.code == "engine.not_installed"
    assert f"pip install '.[{engine}]'" in (missing.value.hint or "")
    with pytest.raises(UsageError) as off:
        require_enabled(engine, False)
    assert off.value.code == "engine.off"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert engine in project["project"]["optional-dependencies"]
