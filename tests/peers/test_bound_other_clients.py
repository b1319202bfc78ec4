"""A directory is bound to a provider: what holds for the real Codex and Qwen Code, and for sessions in a terminal."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import PROGRAM
from tests.peers.pseudo_terminal import Terminal, terminal, until
from tests.peers.switched import KEYS, NAMES, Household, move_in, programs, providers, write

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

EXEC = ("exec", "--skip-git-repo-check", "Say something.")
PROMPT = ("-p", "Say something.")
BEARER = {"authorization": f"Bearer {KEYS['ONE_KEY']}"}


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    """A home in which `project` is bound to `one`, and all clients are on `two`."""
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".claude/settings.json", "{}\n")
        write(tmp_path / ".codex/config.toml", "# mine\n")
        write(tmp_path / ".qwen/settings.json", {"$version": 4})
        for client in ("claude-code", "codex", "qwen"):
            household.switch("two", client)
        answer = household.command("ai", "bind", "one")
        assert answer.status == 0 and not answer.err, answer
        with daemons_ended(household):
            yield household
        served.assert_nothing_leaked()


@contextlib.contextmanager
def daemons_ended(household: Household) -> Iterator[None]:
    """End what Codex leaves running, by its own command, and its updater by the pid that it wrote."""
    try:
        yield
    finally:
        household.run(household.home / "bin/codex", "app-server", "daemon", "stop")
        updater = household.home / ".codex/app-server-daemon/daemon-updater.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(json.loads(updater.read_text())["pid"], signal.SIGTERM)


def run(household: Household, client: str, *words: str | Path, **options: Any) -> str:
    """Run a client to its end, and return what it said."""
    prompt = EXEC if client == "codex" else PROMPT
    done = household.run(household.home / "bin" / client, *(words or prompt), **options)
    return done.stdout + done.stderr


def assert_stopped(household: Household, client: str, *words: str | Path, **options: Any) -> None:
    """Assert that a run asks no model of anybody."""
    said = run(household, client, *words, **options)
    assert household.providers.count() == 0, said
    household.providers.forget()


def assert_kept(household: Household, client: str) -> None:
    """Assert that `ai run --bound` reaches the bound provider, and no other."""
    prompt = EXEC if client == "codex" else PROMPT
    answer = household.command("ai", "run", "--bound", "--", client, *prompt)
    assert answer.status == 0, answer
    household.providers.assert_reached("one", BEARER, "one-large")


@pytest.mark.verifies("Codex, bound directory")
def test_codex_is_kept_through_ten_switches_of_the_whole(household: Household) -> None:
    for number in range(10):
        name = NAMES[number % 3]
        household.switch(name, "codex")
        assert_kept(household, "codex")
        if name == "one":
            run(household, "codex")
            household.providers.assert_reached("one", BEARER, "one-large")
        else:
            assert_stopped(household, "codex")


def test_codex_is_stopped_wherever_it_is_led(household: Household) -> None:
    household.switch("one", "codex")
    urls = household.providers.urls
    other = f'{{name="x", base_url="{urls["two"]}/v1", env_key="TWO_KEY"}}'
    led = ("-c", "model_provider=x", "-c", f"model_providers.x={other}")
    assert_stopped(household, "codex", *led, *EXEC)
    same = ("-c", f'model_providers.mahavishnu.base_url="{urls["two"]}/v1"')
    said = run(household, "codex", *same, *EXEC)
    assert household.providers.count() == 0, said
    household.providers.stubs[
        "two"
    ].asked.clear()  # it asked for models, with the key: by an option
    layer = f'model_provider = "x"\n[model_providers]\nx = {other}\n'
    write(household.home / ".codex/other.config.toml", layer)
    assert_stopped(household, "codex", "--profile", "other", *EXEC)
    key = f'{{name="x", base_url="{urls["one"]}/v1", env_key="TWO_KEY"}}'
    assert_stopped(
        household, "codex", "-c", "model_provider=x", "-c", f"model_providers.x={key}", *EXEC
    )
    assert_stopped(household, "codex", "-C", household.project, *led, *EXEC, cwd=household.home)


def test_codex_by_a_link_or_below_is_stopped(household: Household) -> None:
    link, sub = household.home / "link", household.project / "sub"
    link.symlink_to(household.project)
    sub.mkdir()
    for folder in (link, sub):
        assert_stopped(household, "codex", cwd=folder)


def test_the_key_is_withheld_where_codex_runs_no_guard(household: Household) -> None:
    """By settings elsewhere, or because a repository that the user trusts switches hooks off."""
    other = household.home / "other"
    other.mkdir()
    config = household.home / ".codex/config.toml"
    (other / "config.toml").write_text(config.read_text())
    elsewhere = {"CODEX_HOME": str(other)}
    assert_key_withheld(household, run(household, "codex", environ=elsewhere))
    trusted = f'\n[projects."{household.project}"]\ntrust_level = "trusted"\n'
    config.write_text(config.read_text() + trusted)
    write(household.project / ".codex/config.toml", "[features]\nhooks = false\n")
    assert_key_withheld(household, run(household, "codex"))
    [row] = household.command("ai", "bindings", "--json").json["bindings"]
    assert row["state"] == "unguarded" and "switches hooks off" in row["notes"][0]


def assert_key_withheld(household: Household, said: str) -> None:
    assert "[secret.other_profile]" in said, said
    assert not any(each.credentials for each in household.providers.turns("two"))
    household.providers.forget()


def test_a_thread_of_there_does_not_go_on_elsewhere(household: Household) -> None:
    assert_kept(household, "codex")
    outside = household.home / "outside"
    outside.mkdir()
    [thread] = (household.home / ".codex/sessions").rglob("*.jsonl")
    resume = ("exec", "--skip-git-repo-check", "resume", thread.stem[-36:], "Go on.")
    assert_stopped(household, "codex", *resume, cwd=outside)
    run(household, "codex", cwd=outside)
    assert household.providers.turns("two")
    household.providers.stubs["two"].asked.clear()


def test_codex_in_a_terminal_is_stopped_once_anything_of_it_would_go_elsewhere(
    household: Household,
) -> None:
    """A thread keeps its provider, but its title is asked for with the settings of the present."""
    household.switch("one", "codex")
    trust(household)
    with codex_in_terminal(household) as session:
        assert_answers(household, session)
        household.switch("two", "codex")
        assert_silent(household, session)
        household.switch("one", "codex")
        assert_answers(household, session)
        household.switch("two", "codex")
        assert_silent(household, session, "/compact")
    with codex_in_terminal(household) as session:
        assert_silent(household, session)
        household.switch("one", "codex")  # the thread is still with the other
        assert_silent(household, session)


def test_codex_in_a_terminal_that_was_started_on_the_profile_is_kept(household: Household) -> None:
    trust(household)
    words = (str(PROGRAM), "ai", "run", "--bound", "--", str(household.home / "bin/codex"))
    with codex_in_terminal(household, *words) as session:
        for name in ("three", "two"):
            assert_answers(household, session)
            household.switch(name, "codex")
        assert_answers(household, session)


def test_a_server_of_codex_that_was_started_there_serves_other_folders(
    household: Household,
) -> None:
    """It asks for keys from the folder that it was started in, for all its threads."""
    outside = household.home / "outside"
    outside.mkdir()
    trust(household)
    trust(household, outside)
    with codex_in_terminal(household) as session:
        assert_silent(household, session)
    with codex_in_terminal(household, folder=outside) as session:
        submit(session, lambda: bool(household.providers.turns("two")))
        [*_, asked] = household.providers.turns("two")
        assert asked.credentials == {"authorization": f"Bearer {KEYS['TWO_KEY']}"}


def trust(household: Household, folder: Path | None = None) -> None:
    path = household.home / ".codex/config.toml"
    trusted = f'\n[projects."{folder or household.project}"]\ntrust_level = "trusted"\n'
    path.write_text(path.read_text() + trusted)


@contextlib.contextmanager
def codex_in_terminal(
    household: Household, *words: str, folder: Path | None = None
) -> Iterator[Terminal]:
    environ, where = household.environ, folder or household.project
    with terminal(words or programs()["codex"], environ=environ, folder=where) as session:
        assert until(lambda: session.shown, timeout_s=60)
        time.sleep(10)  # it starts its server, and takes no prompt until then
        yield session


def assert_answers(household: Household, session: Terminal) -> None:
    """Assert that a prompt goes to the bound provider, with whatever Codex asks besides."""
    submit(session, lambda: bool(household.providers.turns("one")))
    time.sleep(2)  # the title, which is asked for in a thread of its own
    household.providers.assert_reached("one", BEARER, "one-large")


def assert_silent(household: Household, session: Terminal, text: str = "Say something.") -> None:
    """Assert that a prompt is refused, and that no model of anybody is asked."""
    before = readable(session).count("bound")
    submit(session, lambda: readable(session).count("bound") > before, text)
    time.sleep(2)
    assert household.providers.count() == 0, readable(session)
    household.providers.forget()


def submit(session: Terminal, happened: Callable[[], bool], text: str = "Say something.") -> None:
    """Ask, and press return once more where Codex swallowed it, as it does while it starts."""
    session.ask(text)
    if not until(happened, timeout_s=10):
        session.ask("")
    assert until(happened, timeout_s=20), readable(session)


def readable(session: Terminal) -> str:
    """Return what was shown, without what places it on the screen."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", session.shown.decode(errors="replace"))


@pytest.mark.verifies("Qwen Code, bound directory")
def test_qwen_is_kept_through_ten_switches_of_the_whole(household: Household) -> None:
    for number in range(10):
        household.switch(NAMES[number % 3], "qwen")
        if number % 3 == 0:
            run(household, "qwen")
        else:
            assert_kept(household, "qwen")
            continue
        household.providers.assert_reached("one", BEARER, "one-large")
    household.switch("two", "qwen")
    assert_stopped(household, "qwen")


def test_qwen_is_stopped_wherever_it_is_led(household: Household) -> None:
    household.switch("one", "qwen")
    urls = household.providers.urls
    led = ("--openai-base-url", urls["two"], "--openai-api-key", KEYS["TWO_KEY"],
           "--model", "two-large", "--auth-type", "openai")  # fmt: skip
    assert_stopped(household, "qwen", *led, *PROMPT)
    element = {"id": "one-large", "baseUrl": f"{urls['two']}/v1", "envKey": "TWO_KEY"}
    path = household.project / ".qwen/settings.json"
    write(path, {"modelProviders": {"openai": [element]}})
    assert_stopped(household, "qwen")
    # The same address with the key of another customer.
    element = {"id": "one-large", "baseUrl": f"{urls['one']}/v1", "envKey": "TWO_KEY"}
    write(path, {"modelProviders": {"openai": [element]}})
    assert_stopped(household, "qwen")
    fast = {"id": "fast", "baseUrl": f"{urls['two']}/v1", "envKey": "TWO_KEY"}
    write(path, {"fastModel": "fast", "modelProviders": {"openai": [fast]}})
    assert_stopped(household, "qwen")
    path.unlink()
    exported = {
        "OPENAI_BASE_URL": urls["two"], "OPENAI_API_KEY": KEYS["TWO_KEY"],
        "OPENAI_MODEL": "two-large",
    }  # fmt: skip
    run(household, "qwen", environ=exported)  # which counts less than the settings
    household.providers.assert_reached("one", BEARER, "one-large")


def test_qwen_below_and_by_a_link_is_stopped(household: Household) -> None:
    link, sub = household.home / "link", household.project / "sub"
    link.symlink_to(household.project)
    sub.mkdir()
    for folder in (link, sub):
        assert_stopped(household, "qwen", cwd=folder)


def test_what_a_repository_switches_off_is_told(household: Household) -> None:
    """Qwen Code lets a folder's own settings go before the user's: `ai run` holds, and the list says so."""
    write(household.project / ".qwen/settings.json", {"disableAllHooks": True})
    assert_kept(household, "qwen")
    [row] = household.command("ai", "bindings", "--json").json["bindings"]
    assert row["state"] == "unguarded" and "switches hooks off" in row["notes"][0]


def test_claude_in_a_terminal_is_stopped_when_its_settings_go(household: Household) -> None:
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    values = {"hasCompletedOnboarding": True, "theme": "dark",
              "projects": {str(household.project): trusted}}  # fmt: skip
    write(household.home / ".claude.json", values)
    [claude] = programs()["claude"]
    with terminal([claude], environ=household.environ, folder=household.project) as session:
        sessions = household.home / ".claude/sessions"
        assert until(lambda: list(sessions.glob("*.json")), timeout_s=30), session.shown
        for name in ("three", "two"):
            session.ask("Say something.")
            assert until(lambda: household.providers.turns("one"), timeout_s=20), session.shown
            time.sleep(1)
            assert not household.providers.turns("two") + household.providers.turns("three")
            household.providers.forget()
            household.switch(name, "claude-code")
            time.sleep(2.5)
        (household.project / ".claude/settings.local.json").unlink()
        time.sleep(2.5)
        session.ask("Say something.")
        time.sleep(4)
        assert not household.providers.turns("two"), session.shown[-3000:]
