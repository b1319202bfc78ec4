"""`mahavishnu ai sessions`, `ai restart`, and what `ai switch-llm` says of sessions, as a user calls them."""

import json
import time
from pathlib import Path

import pytest

from tests.support.ai_sessions import running, thread
from tests.support.command import Command
from tests.support.switching import install

KEYS = {"QWEN_API_KEY": "sk-canary-qwen-31", "ZAI_API_KEY": "sk-canary-zai-32"}
SOON = 0.05


@pytest.fixture
def run(tmp_path: Path) -> Command:
    install(tmp_path)
    (tmp_path / "project").mkdir()
    return Command(tmp_path, KEYS)


def test_nothing_runs(run: Command) -> None:
    assert run("ai", "sessions").out == "No session runs.\n"
    assert run("ai", "sessions", "--json").json["sessions"] == []
    for words in (("ai", "restart"), ("service", "restart", "claude")):
        assert run(*words).out == "No session needs a restart.\n"


def test_sessions_and_what_a_switch_does_to_them(tmp_path: Path, run: Command) -> None:
    assert run("ai", "switch-llm", "zai").status == 0
    time.sleep(SOON)
    with (
        running(tmp_path, "claude-code", model="glm-5.3") as claude,
        running(tmp_path, "qwen", "--yolo", model="glm-5.3") as qwen,
        thread(tmp_path, model="glm-5.3", environ=KEYS) as codex,
    ):
        rows = {each["client"]: each for each in run("ai", "sessions", "--json").json["sessions"]}
        assert {name: (row["profile"], row["needs"]) for name, row in rows.items()} == {
            "claude-code": ("zai", "nothing"), "codex": ("zai", "nothing"), "qwen": ("zai", "nothing"),
        }  # fmt: skip
        assert rows["codex"]["shared_process"] and rows["qwen"]["pid"] == qwen.pid
        table = run("ai", "sessions").out
        assert claude.id[-8:] in table and "live, model: restart" in table and "idle" in table
        done = run("ai", "switch-llm", "qwen", "--restart", "idle")
        assert f"session {qwen.id[-8:]}" in done.out and f"codex resume {codex.id}" in done.out
        assert f"qwen --yolo --resume {qwen.id}" in done.out
        assert all(each.process.poll() is None for each in (claude, qwen, codex))
        said = run("ai", "switch-llm", "zai", "--restart", "never", "--json").json
        assert said["sessions"] == []  # back on what they began with
        run("ai", "switch-llm", "qwen", "--restart", "never")
        told = json.loads(run("ai", "switch-llm", "qwen", "--restart", "all", "--json").out)
        outcomes = {each["client"]: each["outcome"] for each in told["sessions"]}
        assert outcomes == {"claude-code": "stopped", "qwen": "stopped", "codex": "left"}
        assert claude.process.poll() is not None and qwen.process.poll() is not None
    assert "canary" not in table + done.out + json.dumps([rows, told])


def test_a_session_by_name(tmp_path: Path, run: Command) -> None:
    with (
        running(tmp_path, "claude-code", model="x") as one,
        running(tmp_path, "claude-code", ignoring=True, status="busy", model="x") as two,
    ):
        for word, code, status in (
            ("nothing-like-it", "ai.no_session", 3),
            (one.id[:6], "ai.session_ambiguous", 2),  # both ids begin with the time
        ):
            refused = run("ai", "restart", word, "--json")
            assert (refused.error["code"], refused.status) == (code, status)
        busy = run("ai", "restart", two.id[-8:])
        assert busy.status == 4 and "busy" in busy.out
        stays = run("ai", "restart", two.id[-8:], "--all", "--timeout", "0.2")
        assert stays.status == 4 and "did not" in stays.out
        gone = run("ai", "restart", str(two.pid), "--all", "--timeout", "0.2", "--kill")
        assert gone.status == 0 and "ended" in gone.out and two.process.poll() is not None
        ended = run("ai", "restart", one.id[-8:], str(one.pid))  # one session, named twice
        assert ended.status == 0 and ended.out.count(f"claude --resume {one.id}") == 1
        assert one.process.poll() is not None


def test_the_desktop_app_is_for_macos(run: Command) -> None:
    refused = run("ai", "restart", "--app", "--json")
    assert refused.error["code"] == "ai.no_desktop_app"
