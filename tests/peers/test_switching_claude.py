"""The real Claude Code is switched between three providers, while it runs and between its runs."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import PROGRAM
from tests.support.peers.pseudo_terminal import Terminal, submit, terminal, until
from tests.support.peers.switched import (
    KEYS,
    NAMES,
    Household,
    move_in,
    programs,
    providers,
    sign_in,
    strays,
    write,
)

pytestmark = [pytest.mark.peer, pytest.mark.leak]

PROMPT = ("-p", "Say something.")
NOTICED_S = 2.5
FOLLOWED_S = 60.0
FOREIGN = {
    "$schema": "https://json.schemastore.org/claude-code-settings.json",
    "hooks": {
        "UserPromptSubmit": [
            {"hooks": [{"type": "command", "command": 'echo ran >> "$HOME/hook"'}]}
        ]
    },
    "env": {"MY_OWN": "ü 1", "ANOTHER": "2"},
    "permissions": {"allow": ["Bash(ls:*)"], "deny": ["Read(./.env)"]},
    "x-unknown": [1.0, 2e3, {"deep": None}],
}


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".claude/settings.json", FOREIGN)
        yield household
        served.assert_nothing_leaked()


def keys_of(name: str) -> dict[str, str]:
    """Return what a request to a provider brings: the helper's key, in both ways."""
    key = KEYS[f"{name.upper()}_KEY"]
    return {"authorization": f"Bearer {key}", "x-api-key": key}


def assert_asks(household: Household, name: str, *words: str, **environ: str) -> None:
    """Assert that a run reaches the provider, with its key and model."""
    done = household.run(household.home / "bin/claude", *(words or PROMPT), environ=environ)
    assert done.returncode == 0, done
    household.providers.assert_reached(name, keys_of(name), f"{name}-large")


@pytest.mark.verifies("Claude Code, switching")
def test_each_switch_leads_to_its_provider_and_undo_back(household: Household) -> None:
    path = household.home / ".claude/settings.json"
    before = path.read_bytes()
    for name in NAMES:
        household.switch(name, "claude-code")
        assert_asks(household, name)
    for name in reversed(NAMES[:-1]):
        assert household.command("ai", "undo").status == 0
        assert_asks(household, name)
    assert household.command("ai", "undo").status == 0
    assert path.read_bytes() == before


def test_strays_and_the_clients_own_sign_in_reach_nobody(household: Household) -> None:
    sign_in(household.home)
    exported = strays(household.providers.urls["elsewhere"])
    for name in NAMES[:2]:
        household.switch(name, "claude-code")
        assert_asks(household, name, **exported)
    # And not in the place of a key that is not there.
    household.run(household.home / "bin/claude", *PROMPT, environ={**exported, "TWO_KEY": ""})
    household.providers.assert_nothing_leaked()
    household.providers.assert_untouched("elsewhere")


def test_the_rest_of_the_file_survives_a_hundred_switches(household: Household) -> None:
    path = household.home / ".claude/settings.json"
    write(household.project / ".mcp.json", {"mcpServers": {"x": {"command": "true"}}})
    mcp = (household.project / ".mcp.json").read_bytes()
    before = path.read_bytes()
    household.switch("one", "claude-code")
    first = path.read_bytes()
    household.switch_often("claude-code", 99)
    assert path.read_bytes() == first
    assert_asks(household, "one")
    assert (household.home / "hook").read_text() == "ran\n"
    values = json.loads(first)
    assert {name: values[name] for name in FOREIGN if name != "env"} == {
        name: value for name, value in FOREIGN.items() if name != "env"
    }
    assert (household.project / ".mcp.json").read_bytes() == mcp
    kept = before.decode().splitlines()[:-1]  # the last brace may follow a comma now
    rest = iter(first.decode().splitlines())
    assert all(
        any(line.removesuffix(",") == each.removesuffix(",") for each in rest) for line in kept
    )


def test_a_running_session_follows_within_seconds(household: Household) -> None:
    settle_in(household)
    household.switch("one", "claude-code")
    [claude] = programs()["claude"]
    with terminal([claude], environ=household.environ, folder=household.project) as session:
        sessions = household.home / ".claude/sessions"
        assert until(lambda: list(sessions.glob("*.json")), timeout_s=60), session.shown
        assert_answers(household, session, "one")
        for name in ("two", "three"):
            household.switch(name, "claude-code")
            time.sleep(NOTICED_S)
            assert_answers(household, session, name, follows=True)
        assert household.command("ai", "undo").status == 0
        time.sleep(NOTICED_S)
        assert_answers(household, session, "two", follows=True)


def test_what_another_leads_elsewhere_gets_no_key_and_is_restored_while_it_runs(
    household: Household,
) -> None:
    settle_in(household)
    household.switch("one", "claude-code")
    path = household.home / ".claude/settings.json"
    urls = household.providers.urls
    written = path.read_bytes()
    path.write_bytes(written.replace(urls["one"].encode(), urls["elsewhere"].encode(), 1))
    [file] = household.command("ai", "diff", "--json").json["files"]
    assert file["author"] == "unknown" and "mahavishnu-key refuses" in file["warning"]
    household.run(household.home / "bin/claude", *PROMPT)
    household.providers.assert_nothing_leaked()
    sent = household.providers.turns("elsewhere")  # what was typed does go there, without a key
    assert all(value in ("", "Bearer") for each in sent for value in each.credentials.values())
    household.providers.forget()
    assert household.command("ai", "restore").status == 0
    [claude] = programs()["claude"]
    with terminal([claude], environ=household.environ, folder=household.project) as session:
        sessions = household.home / ".claude/sessions"
        assert until(lambda: list(sessions.glob("*.json")), timeout_s=60), session.shown
        assert_answers(household, session, "one")
        household.switch("two", "claude-code")
        path.write_bytes(written.replace(urls["one"].encode(), urls["three"].encode()))
        time.sleep(NOTICED_S)
        assert household.command("ai", "restore").status == 0
        time.sleep(NOTICED_S)
        assert_answers(household, session, "two", follows=True)
    assert household.command("ai", "undo").status == 0
    assert urls["three"].encode() in path.read_bytes()


def assert_answers(
    household: Household, session: Terminal, name: str, *, follows: bool = False
) -> None:
    """
    Assert that a prompt goes to the provider; a session keeps the model it began with.

    One that `follows` a switch is asked again while it still goes to the provider of before: a busy one notices late.
    """
    served = household.providers
    end = time.monotonic() + FOLLOWED_S
    while True:
        submit(session, "Say something.", served.turns_since, lambda: session.shown[-2000:])
        time.sleep(0.5)  # what else it asks, of its small model for example
        turns = served.turns_since()
        if not follows or served.journal.reached not in turns or time.monotonic() > end:
            break
        served.forget()
    assert turns.keys() == {name}, str(served.journal)
    assert {str(each.credentials) for each in turns[name]} == {str(keys_of(name))}
    served.journal.reached = name
    served.forget()


def settle_in(household: Household) -> None:
    """Have Claude Code's first questions answered, so that a session begins with a prompt."""
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    values = {"hasCompletedOnboarding": True, "theme": "dark",
              "projects": {str(household.project): trusted}}  # fmt: skip
    write(household.home / ".claude.json", values)


@pytest.mark.verifies("Claude Code, ai run")
def test_a_run_is_on_its_profile_and_changes_no_file(household: Household) -> None:
    sign_in(household.home)
    household.switch("two", "claude-code")
    path = household.home / ".claude/settings.json"
    before = path.read_bytes()
    shown: list[str] = []
    started: list[subprocess.Popen[str]] = []

    def watch() -> None:
        for folder in household.processes():
            with contextlib.suppress(OSError):  # it ended
                shown.append((folder / "cmdline").read_text(errors="replace"))
        shown.append(os.readlink(f"/proc/{started[0].pid}/exe"))

    household.providers.stubs["one"].watch = watch
    exported = strays(household.providers.urls["elsewhere"])
    words = [PROGRAM, "ai", "run", "one", "--", "claude", *PROMPT]
    with subprocess.Popen(
        words, env=household.environ | exported, cwd=household.project, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        started.append(process)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, (out, err)
    household.providers.assert_reached("one", keys_of("one"), "one-large")
    assert path.read_bytes() == before
    [claude] = programs()["claude"]
    assert str(claude) in shown  # the process that was started is the client now
    assert not [each for each in shown if any(key in each for key in KEYS.values())]
    assert_asks(household, "two")


def test_a_run_in_a_project_that_redirects_is_refused(household: Household) -> None:
    elsewhere = {"env": {"ANTHROPIC_BASE_URL": household.providers.urls["elsewhere"]}}
    write(household.project / ".claude/settings.json", elsewhere)
    refused = household.command("ai", "run", "one", "--", "claude", *PROMPT)
    assert refused.status == 6 and "send requests elsewhere" in refused.err, refused
    household.providers.assert_untouched("elsewhere")


def test_the_clients_own_sign_in_goes_to_its_own_host_again(household: Household) -> None:
    sign_in(household.home)
    household.switch("one", "claude-code")
    outside = household.providers.outside
    outside.clear()
    household.command("ai", "run", "claude", "--", "claude", *PROMPT)
    assert set(outside) == {"api.anthropic.com"}
    outside.clear()
    household.switch("claude", "claude-code")
    household.run(household.home / "bin/claude", *PROMPT)
    assert set(outside) == {"api.anthropic.com"}
    household.providers.assert_untouched(*household.providers.stubs)


def test_a_switch_of_one_project_leads_its_runs_alone(household: Household) -> None:
    household.switch("one", "claude-code")
    words = ("ai", "switch-llm", "two", "--client", "claude-code", "--scope", "project")
    assert household.command(*words).status == 0
    exported = strays(household.providers.urls["elsewhere"])
    del exported["CLAUDE_CODE_USE_VERTEX"]  # with it, the command for the key refuses
    assert_asks(household, "two", **exported)
    elsewhere = household.home / "elsewhere"
    elsewhere.mkdir()
    assert household.run(household.home / "bin/claude", *PROMPT, cwd=elsewhere).returncode == 0
    household.providers.assert_reached("one", keys_of("one"), "one-large")
    assert household.command("ai", "undo").status == 0
    assert_asks(household, "one")
