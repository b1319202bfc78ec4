"""A directory is bound to a provider: what holds for the real Qwen Code, and for Claude Code in a terminal."""

import time

import pytest

from tests.support.parts import often
from tests.support.peers.bound import BEARER, BINDING, PROMPT, assert_kept, assert_stopped, run
from tests.support.peers.bound import household as household  # the fixture
from tests.support.peers.pseudo_terminal import submit, terminal, until
from tests.support.peers.switched import KEYS, NAMES, Household, programs, write

pytestmark = pytest.mark.peer


@pytest.mark.verifies("Qwen Code, bound directory")
def test_qwen_is_kept_through_ten_switches_of_the_whole(household: Household) -> None:
    for number in often(10, *BINDING, few=4):  # to each provider and back
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
        assert until(lambda: list(sessions.glob("*.json")), timeout_s=60), session.shown
        served = household.providers
        for name in ("three", "two"):
            submit(session, "Say something.", served.turns_since, lambda: session.shown[-3000:])
            time.sleep(1)
            assert served.turns_since().keys() == {"one"}, str(served.journal)
            served.forget()
            household.switch(name, "claude-code")
            time.sleep(2.5)
        (household.project / ".claude/settings.local.json").unlink()
        time.sleep(2.5)
        session.ask("Say something.")
        time.sleep(4)
        served.require(not served.turns("two"), str(session.shown[-3000:]))
