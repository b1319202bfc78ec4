"""
A further client is one folder and one line of the table: `tests/fourth_client` goes through every command.

Commands are processes, since options and checks of names are made of the table as modules are loaded.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from mahavishnu.ai.bindings.location import path_in
from tests.support.command import Answer, Command

TREE = Path(__file__).parents[2]
MINE = "# mine\n[ui]\ndark = true # at night\n"
URL = "https://api.z.ai/api/coding/paas/v4"
KEYS = {"QWEN_API_KEY": "sk-canary-qwen-41", "ZAI_API_KEY": "sk-canary-zai-42"}


@pytest.fixture
def run(tmp_path: Path) -> Command:
    program = tmp_path / "bin" / "fourth"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in (".fourth", "work"):
        (tmp_path / name).mkdir(mode=0o700)
    file_of(tmp_path).touch(mode=0o600)
    file_of(tmp_path).write_text(MINE)
    path = f"{program.parent}:{os.environ['PATH']}"
    environ = {**KEYS, "PATH": path, "PYTHONPATH": str(TREE)}
    return Command(tmp_path, environ, (sys.executable, "-m", "tests.fourth_client"))


def file_of(home: Path) -> Path:
    return home / ".fourth" / "fourth.toml"


def state_of(run: Command) -> dict[str, object]:
    [found] = [
        each for each in run("ai", "status", "--json").json["clients"] if each["client"] == "fourth"
    ]
    return {name: found[name] for name in ("use", "profile", "sessions")}


def test_it_is_listed_switched_led_back_and_undone(run: Command) -> None:
    assert "fourth" in run("ai", "profile", "show", "zai", "--json").json["clients"]
    assert run("ai", "switch-llm", "zai", "--client", "fourth").status == 0
    switched = file_of(run.home).read_text()
    assert switched.startswith(MINE) and URL in switched and "canary" not in switched
    used = {
        each["name"]: each["used_by"] for each in run("ai", "list-llms", "--json").json["profiles"]
    }
    assert used["zai"] == ["fourth"]
    assert state_of(run) == {"use": "profile", "profile": "zai", "sessions": 0}
    file_of(run.home).write_text(switched.replace(URL, "https://elsewhere.example"))
    [change] = run("ai", "diff", "--json").json["files"]
    assert change["client"] == "fourth"
    assert run("ai", "restore", "--client", "fourth").status == 0
    assert file_of(run.home).read_text() == switched
    assert run("ai", "undo").status == 0  # of the restoration
    assert run("ai", "undo", "--overwrite").status == 0
    assert file_of(run.home).read_text() == MINE


def test_its_settings_can_be_set(run: Command) -> None:
    run.settings.write_text(f"ai_environments: {{fourth: {{config_path: {run.home}/other.toml}}}}")
    shown = run("config", "show", "--json").json["settings"]
    assert shown["ai_environments.fourth.config_path"]["value"] == f"{run.home}/other.toml"
    assert run("ai", "switch-llm", "zai", "--client", "fourth").status == 0
    assert URL in (run.home / "other.toml").read_text() and file_of(run.home).read_text() == MINE
    run.settings.write_text("ai_environments: {fourth: {enabled: false}}")
    refused = run("ai", "switch-llm", "zai", "--client", "fourth", "--json").error
    assert refused["code"] == "ai.client_disabled"


def test_it_is_started_on_a_profile_and_its_sessions_are_found(run: Command) -> None:
    planned = run("ai", "run", "--json", "zai", "--", "fourth", "--fast").json
    assert planned["words"] == ["fourth", "--asks", URL, "glm-5.3", "--fast"]
    assert run("ai", "switch-llm", "zai", "--client", "fourth").status == 0
    register = run.home / ".fourth" / "running"
    register.write_text(f"{os.getpid()} one {run.home}\n99999999 gone {run.home}\n")
    [session] = run("ai", "sessions", "--client", "fourth", "--json").json["sessions"]
    assert (session["pid"], session["id"], session["profile"]) == (os.getpid(), "one", "zai")
    assert session["needs"] == "nothing" and session["resume"].endswith("fourth --again one")
    assert run("service", "restart", "fourth", "--json").json["sessions"] == []


def test_it_is_given_the_memory_over_mcp(run: Command) -> None:
    words = ("ai", "mcp", "install", "--client", "fourth", "--json")
    [installed] = run(*words).json["clients"]
    assert installed["changed"] and "[servers.mahavishnu]" in file_of(run.home).read_text()
    rows = {each["client"]: each for each in run("ai", "mcp", "list", "--json").json["clients"]}
    assert rows["fourth"]["registered"] and rows["fourth"]["current"]
    assert run("ai", "mcp", "remove", "--client", "fourth").status == 0
    assert file_of(run.home).read_text() == MINE


def guard(run: Command, url: str) -> Answer:
    said = json.dumps({"hook_event_name": "UserPromptSubmit", "cwd": str(run.home / "work")})
    words = ("guard", "fourth", "--directories", path_in(run.root / "state"))
    return run(*words, input=said.encode(), cwd=run.home / "work", FOURTH_URL=url)


def test_it_guards_a_bound_directory(run: Command) -> None:
    bound = run("ai", "bind", "zai", run.home / "work", "--json").json
    assert bound["guarded"] == ["fourth"]
    hooks = json.loads((run.home / ".fourth" / "hooks.json").read_text())["hooks"]
    assert set(hooks) == {"SessionStart", "UserPromptSubmit"}
    assert guard(run, URL).status == 0
    assert "requests go to https://elsewhere" in guard(run, "https://elsewhere.example").err
    assert run("ai", "unbind", run.home / "work").status == 0
