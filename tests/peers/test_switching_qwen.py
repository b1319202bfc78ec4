"""The real Qwen Code is switched between three providers, by both protocols."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import Command
from tests.support.peers.pseudo_terminal import submit, terminal, until
from tests.support.peers.switched import (
    KEYS,
    NAMES,
    Household,
    move_in,
    programs,
    providers,
    strays,
    write,
)

pytestmark = [pytest.mark.peer, pytest.mark.leak]

PROMPT = ("-p", "Say something.")
NOTICED_S = 3.0
FOREIGN: dict[str, Any] = {
    "$version": 4,
    "mcpServers": {"mine": {"command": "true"}},
    "modelProviders": {
        "openai": [
            {"id": "mine", "name": "Mine", "baseUrl": "http://127.0.0.1:9", "envKey": "MY_OWN"}
        ]
    },
    "env": {"MY_OWN": "ü 1"},
    "general": {"x-unknown": [1.0, 2e3, None]},
}


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".qwen/settings.json", FOREIGN)
        yield household
        served.assert_nothing_leaked()


def keys_of(name: str) -> dict[str, str]:
    """Return what a request to a provider brings."""
    return {"authorization": f"Bearer {KEYS[f'{name.upper()}_KEY']}"}


def assert_asks(household: Household, name: str, **environ: str) -> None:
    """Assert that a run reaches the provider, with its key and model."""
    done = household.run(household.home / "bin/qwen", *PROMPT, environ=environ)
    assert done.returncode == 0, done
    household.providers.assert_reached(name, keys_of(name), f"{name}-large")


def test_settings_that_were_moved_are_found(household: Household) -> None:
    moved = {"QWEN_HOME": "~/elsewhere"}
    (household.home / "elsewhere").mkdir()
    answer = household.command("ai", "switch-llm", "one", "--client", "qwen", **moved)
    assert answer.status == 0 and not (household.home / ".qwen/settings.json").read_text().count(
        "one-large"
    )
    assert_asks(household, "one", **moved)


def speak_messages(household: Household) -> None:
    """Leave the profiles Anthropic's protocol alone."""
    path = Command(household.home).settings
    values = yaml.safe_load(path.read_text())
    for each in values["ai_environments"]["llm_profiles"].values():
        del each["openai_chat_base_url"], each["openai_responses_base_url"]
    path.write_text(yaml.safe_dump(values))


@pytest.mark.verifies("Qwen Code, switching")
def test_each_switch_leads_to_its_provider_and_undo_back(household: Household) -> None:
    path = household.home / ".qwen/settings.json"
    before = path.read_bytes()
    for name in NAMES:
        household.switch(name, "qwen")
        assert_asks(household, name)
    for name in reversed(NAMES[:-1]):
        assert household.command("ai", "undo").status == 0
        assert_asks(household, name)
    assert household.command("ai", "undo").status == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic"])
def test_strays_reach_nobody(household: Household, protocol: str) -> None:
    if protocol == "anthropic":
        speak_messages(household)
    exported = strays(household.providers.urls["elsewhere"])
    household.switch("one", "qwen")
    assert_asks(household, "one", **exported)
    # And not in the place of a key that is not there: Qwen Code by itself would send one.
    household.run(household.home / "bin/qwen", *PROMPT, environ={**exported, "ONE_KEY": ""})
    household.providers.assert_nothing_leaked()
    household.providers.assert_untouched("elsewhere")


def test_the_rest_of_the_file_survives_a_hundred_switches(household: Household) -> None:
    path = household.home / ".qwen/settings.json"
    before = path.read_bytes()
    household.switch("one", "qwen")
    household.switch_often("qwen", 99)
    after = path.read_bytes()
    kept = before.decode().splitlines()[:-1]
    rest = iter(after.decode().splitlines())
    assert all(
        any(line.removesuffix(",") == each.removesuffix(",") for each in rest) for line in kept
    )
    assert_asks(household, "one")
    for _ in range(3):
        assert household.command("ai", "undo").status == 0
        household.switch("one", "qwen")
        assert path.read_bytes() == after


@pytest.mark.verifies("Qwen Code, ai run")
@pytest.mark.parametrize(
    ("switched", "protocol"), [("two", "openai-chat"), ("one", "openai-chat"), (None, "anthropic")]
)
def test_a_run_is_on_its_profile_and_changes_no_file(
    household: Household, switched: str | None, protocol: str
) -> None:
    if protocol == "anthropic":
        speak_messages(household)
    if switched:
        household.switch(switched, "qwen")
    path = household.home / ".qwen/settings.json"
    before = path.read_bytes()
    exported = strays(household.providers.urls["elsewhere"])
    done = household.command("ai", "run", "one", "--", "qwen", *PROMPT, **exported)
    assert done.status == 0, done
    household.providers.assert_reached("one", keys_of("one"), "one-large")
    assert path.read_bytes() == before


def test_a_run_in_a_project_that_redirects_is_refused(household: Household) -> None:
    """Qwen Code by itself sends the key to whom a project's settings name, without a question."""
    element = {
        "id": "one-large",
        "baseUrl": household.providers.urls["elsewhere"],
        "envKey": "ONE_KEY",
    }
    write(household.project / ".qwen/settings.json", {"modelProviders": {"openai": [element]}})
    refused = household.command("ai", "run", "one", "--", "qwen", *PROMPT)
    assert refused.status == 6 and "send requests elsewhere" in refused.err, refused
    household.providers.assert_untouched("elsewhere")


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic"])
@pytest.mark.parametrize("where", [".env", ".qwen/.env", ".qwen/settings.json"])
def test_a_run_passes_no_proxy_that_a_project_names(
    household: Household, where: str, protocol: str
) -> None:
    """Qwen Code by itself asks an endpoint on this machine, in the open, through it."""
    if protocol == "anthropic":
        speak_messages(household)
    served = household.providers
    proxy = served.proxy["HTTPS_PROXY"]
    named = f"HTTP_PROXY={proxy}\nHTTPS_PROXY={proxy}\nNO_PROXY=\nno_proxy=x\n"
    settings = {"proxy": proxy, "env": {"HTTP_PROXY": proxy, "no_proxy": "x"}}
    write(household.project / where, settings if where.endswith(".json") else named)
    unset = dict.fromkeys((*served.proxy, "no_proxy"), "")  # for Qwen Code as if not set
    done = household.command("ai", "run", "one", "--", "qwen", *PROMPT, **unset)
    assert "127.0.0.1" not in served.outside, done
    served.assert_reached("one", keys_of("one"), "one-large")


@pytest.mark.parametrize("where", [".qwen", "project/.qwen"])
def test_a_run_with_models_elsewhere_that_would_get_the_key_is_refused(
    household: Household, where: str
) -> None:
    """Qwen Code by itself asks a model for other tasks with the key of the session."""
    fast = {
        "id": "fast",
        "baseUrl": household.providers.urls["elsewhere"],
        "envKey": "OPENAI_API_KEY",
    }
    settings = {"fastModel": "fast", "modelProviders": {"openai": [fast]}}
    write(household.home / where / "settings.json", settings)
    refused = household.command("ai", "run", "one", "--", "qwen", *PROMPT)
    assert refused.status == (4 if where == ".qwen" else 6), refused
    household.providers.assert_untouched("elsewhere")


def test_a_running_session_keeps_its_provider_and_its_key(household: Household) -> None:
    """It would take a changed address of its model over, and not the key that goes with it."""
    served = household.providers
    household.switch("one", "qwen")
    words, environ = programs()["qwen"], household.environ
    with terminal(words, environ=environ, folder=household.project) as session:
        assert until(lambda: b"Type your message" in session.shown, timeout_s=60), session.shown
        for change in (("switch-llm", "two", "--client", "qwen"), ("undo",), ("undo",)):
            submit(session, "Say something.", served.turns_since, lambda: session.shown[-2000:])
            time.sleep(3)  # the rest of its answer, and the memories that it asks for afterwards
            served.assert_reached("one", keys_of("one"), "one-large")
            assert household.command("ai", *change).status == 0
            time.sleep(NOTICED_S)
        session.ask("Say something.")
        time.sleep(NOTICED_S)
        served.assert_untouched("two", "three")


def test_another_address_for_a_model_that_a_session_uses_is_refused(household: Household) -> None:
    household.switch("one", "qwen")
    path = household.home / ".qwen/settings.json"
    before = json.loads(path.read_text())["modelProviders"]
    settings = Command(household.home).settings
    values = yaml.safe_load(settings.read_text())
    values["ai_environments"]["llm_profiles"]["two"]["model"] = "one-large"
    settings.write_text(yaml.safe_dump(values))
    words, environ = programs()["qwen"], household.environ
    with terminal(words, environ=environ, folder=household.project):
        sessions = household.home / ".qwen/sessions"
        assert until(lambda: list(sessions.glob("*.json")), timeout_s=60)
        refused = household.command("ai", "switch-llm", "two", "--client", "qwen", "--json")
        assert refused.error["code"] == "ai.session_running"
        assert json.loads(path.read_text())["modelProviders"] == before
    assert household.command("ai", "switch-llm", "two", "--client", "qwen").status == 0
