"""The real Codex is switched between three providers."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.ai.clients.requests import LOCAL_HOSTS
from tests.support.command import PROGRAM
from tests.support.peers.pseudo_terminal import until
from tests.support.peers.switched import (
    KEYS,
    NAMES,
    Household,
    move_in,
    providers,
    sign_in,
    strays,
    write,
)

pytestmark = [pytest.mark.peer, pytest.mark.leak]

PROMPT = ("exec", "--skip-git-repo-check", "Say something.")
FOREIGN = """\
# My own.
approval_policy = "never"   # as I like it
model_reasoning_effort = "low"

[mcp_servers.mine]
command = "true"
args = [ "a",
  "b" ]

[tui]
notifications = false
"""


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".codex/config.toml", FOREIGN)
        yield household
        served.assert_nothing_leaked()


def keys_of(name: str) -> dict[str, str]:
    """Return what a request to a provider brings."""
    return {"authorization": f"Bearer {KEYS[f'{name.upper()}_KEY']}"}


def assert_asks(household: Household, name: str, **environ: str) -> None:
    """Assert that a run reaches the provider, with its key and model."""
    done = household.run(household.home / "bin/codex", *PROMPT, environ=environ)
    assert done.returncode == 0, done
    household.providers.assert_reached(name, keys_of(name), f"{name}-large")


@pytest.mark.verifies("Codex, switching")
def test_each_switch_leads_to_its_provider_and_undo_back(household: Household) -> None:
    path = household.home / ".codex/config.toml"
    before = path.read_bytes()
    for name in NAMES:
        household.switch(name, "codex")
        assert_asks(household, name)
    for name in reversed(NAMES[:-1]):
        assert household.command("ai", "undo").status == 0
        # It adds what it knows of the project to its own file, which undo leaves there.
        assert_asks(household, name)
    assert household.command("ai", "undo").status == 0
    assert path.read_bytes() == before


def test_strays_and_the_clients_own_sign_in_reach_nobody(household: Household) -> None:
    sign_in(household.home)
    exported = strays(household.providers.urls["elsewhere"])
    for name in NAMES[:2]:
        household.switch(name, "codex")
        assert_asks(household, name, **exported)
    # And not in the place of a key that is not there.
    household.run(household.home / "bin/codex", *PROMPT, environ={**exported, "TWO_KEY": ""})
    household.providers.assert_nothing_leaked()
    household.providers.assert_untouched("elsewhere")


def test_an_address_that_was_changed_beside_the_command_does_not_get_the_key(
    household: Household,
) -> None:
    household.switch("one", "codex")
    urls = household.providers.urls
    path = household.home / ".codex/config.toml"
    path.write_text(path.read_text().replace(f'"{urls["one"]}/v1"', f'"{urls["elsewhere"]}/v1"'))
    done = household.run(household.home / "bin/codex", *PROMPT)
    assert_nobody_has_the_key(household, done)


def test_a_profile_of_codex_that_lays_another_address_over_does_not_get_the_key(
    household: Household,
) -> None:
    household.switch("one", "codex")
    elsewhere = f"{household.providers.urls['elsewhere']}/v1"
    over = f'[model_providers.mahavishnu]\nbase_url = "{elsewhere}"\n'
    write(household.home / ".codex/other.config.toml", over)
    done = household.run(household.home / "bin/codex", "--profile", "other", *PROMPT)
    assert_nobody_has_the_key(household, done)


def choose_model(household: Household, model: str) -> None:
    """Have Codex write another model into its own settings, as it does when one is chosen in it."""
    asked: list[dict[str, object]] = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "t", "version": "1"}}},
        {"method": "initialized"},
        {"id": 2, "method": "config/value/write",
         "params": {"keyPath": "model", "value": model, "mergeStrategy": "replace"}},
    ]  # fmt: skip
    with subprocess.Popen(
        [household.home / "bin/codex", "app-server"],
        env=household.environ, cwd=household.project, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdin and server.stdout
        server.stdin.writelines(f"{json.dumps(each)}\n" for each in asked)
        server.stdin.flush()
        answers = (json.loads(line) for line in server.stdout)
        answer = next(each for each in answers if each.get("id") == 2)
        server.stdin.close()
    assert answer["result"]["status"] == "ok", answer
    household.providers.assert_no_turns()  # it may have asked its own provider for a list of them


def test_a_model_that_codex_itself_writes_is_its_own_doing(household: Household) -> None:
    household.switch("one", "codex")
    path = household.home / ".codex/config.toml"
    first = tomllib.loads(path.read_text())
    choose_model(household, "chosen-in-codex")
    assert tomllib.loads(path.read_text()) == {**first, "model": "chosen-in-codex"}
    [file] = household.command("ai", "diff", "--json").json["files"]
    assert file["author"] == "client" and [each["path"] for each in file["drift"]] == [["model"]]
    assert "by Codex itself" in household.command("ai", "status").out
    household.switch("two", "codex")  # which it does not hinder
    assert_asks(household, "two")
    assert household.command("ai", "undo").status == 0
    assert household.command("ai", "restore", "--client", "codex").status == 0
    assert_asks(household, "one")


def assert_nobody_has_the_key(household: Household, done: subprocess.CompletedProcess[str]) -> None:
    """Assert that the helper refused, and that the provider elsewhere was told no key."""
    assert "[secret.other_host]" in done.stderr, done
    household.providers.assert_nothing_leaked()


def test_a_proxy_does_not_get_the_key_of_an_endpoint_on_this_machine(household: Household) -> None:
    household.switch("one", "codex")
    proxy = household.providers.urls["elsewhere"]
    for hosts in ("localhost", "*"):
        exported = {"HTTP_PROXY": proxy, "NO_PROXY": hosts}
        done = household.run(household.home / "bin/codex", *PROMPT, environ=exported)
        assert "[secret.proxy]" in done.stderr, done
        household.providers.forget()  # no key was among it
    assert_asks(household, "one", HTTP_PROXY=proxy, NO_PROXY=",".join(LOCAL_HOSTS))
    # `ai run` sees to it itself.
    words = ("ai", "run", "one", "--", "codex", *PROMPT)
    assert household.command(*words, HTTP_PROXY=proxy, NO_PROXY="").status == 0
    household.providers.assert_reached("one", keys_of("one"), "one-large")


def test_a_project_names_no_provider_for_codex(household: Household) -> None:
    """Codex passes that over even where the user trusts the project, so the command need not look."""
    household.switch("one", "codex")
    elsewhere = f"{household.providers.urls['elsewhere']}/v1"
    path = household.home / ".codex/config.toml"
    trusted = f'\n[projects."{household.project}"]\ntrust_level = "trusted"\n'
    path.write_text(path.read_text() + trusted)
    provider = f'[model_providers.mahavishnu]\nbase_url = "{elsewhere}"\n'
    write(household.project / ".codex/config.toml", provider)
    assert_asks(household, "one")


def test_the_rest_of_the_file_survives_a_hundred_switches(household: Household) -> None:
    path = household.home / ".codex/config.toml"
    household.switch("one", "codex")
    first = path.read_bytes()
    household.switch_often("codex", 99)
    assert path.read_bytes() == first
    rest = iter(first.decode().splitlines())
    assert all(line in rest for line in FOREIGN.splitlines())
    assert tomllib.loads(FOREIGN).items() <= tomllib.loads(first.decode()).items()
    assert_asks(household, "one")


@pytest.mark.verifies("Codex, ai run")
@pytest.mark.parametrize("switched", [(), ("--write-key",), None])
def test_a_run_is_on_its_profile_and_changes_no_file(
    household: Household, switched: tuple[str, ...] | None
) -> None:
    sign_in(household.home)
    if switched is not None:
        words = ("ai", "switch-llm", "two", "--client", "codex", *switched)
        assert household.command(*words).status == 0
    path = household.home / ".codex/config.toml"
    before = path.read_bytes()
    exported = strays(household.providers.urls["elsewhere"])
    done = household.command("ai", "run", "one", "--", "codex", *PROMPT, **exported)
    assert done.status == 0, done
    household.providers.assert_reached("one", keys_of("one"), "one-large")
    assert path.read_bytes() == before


def test_the_clients_own_sign_in_goes_to_its_own_host_again(household: Household) -> None:
    sign_in(household.home)
    household.switch("one", "codex")
    assert_asks_its_own(household, PROGRAM, "ai", "run", "codex", "--", "codex")
    household.switch("codex", "codex")
    assert_asks_its_own(household, household.home / "bin/codex")
    household.providers.assert_untouched(*household.providers.stubs)


def assert_asks_its_own(household: Household, *words: str | Path) -> None:
    """Assert that a run goes to OpenAI, where the proxy stops it; it does not give up for a minute."""
    outside = household.providers.outside
    outside.clear()
    with subprocess.Popen(
        [*words, *PROMPT], env=household.environ, cwd=household.project,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert until(lambda: "api.openai.com" in outside, timeout_s=60), outside
        process.terminate()
