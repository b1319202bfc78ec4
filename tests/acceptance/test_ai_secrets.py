"""`mahavishnu ai secrets` as installed: what can be told of keys, and that none is ever shown."""

import json
import os
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.kept_secrets import lines, private, seal, stand_ins

CANARY = "sk-fake-canary-91d4"
URL = "https://llm.example.com/anthropic"
SETTINGS = f"""
secrets:
  env: {{required_keys: [GONE]}}
  oneiric: {{aws: {{main: {{region: eu-west-1, endpoint_url: "http://127.0.0.1:9"}}}}}}
ai_environments:
  llm_profiles:
    by_variable: {{anthropic_base_url: "{URL}", key: "env:K"}}
    by_file: {{anthropic_base_url: "{URL}", key: "file:~/keys.age#K"}}
    by_gone: {{anthropic_base_url: "{URL}", key: "env:GONE"}}
"""


@pytest.fixture
def product(alone: Command, tmp_path: Path) -> Command:
    alone.settings.write_text(SETTINGS)
    environ = stand_ins(tmp_path / "bin")
    seal(alone.home / "keys.age", lines({"K": CANARY}))
    os.utime(alone.home / "keys.age", (1_700_000_000, 1_700_000_000))
    private(alone.settings.parent / "age-identity.txt", "AGE-SECRET-KEY-FAKE\n")
    path = f"{environ['PATH']}{os.pathsep}{os.environ['PATH']}"
    return Command(alone.home, {**alone.environment, "PATH": path, "K": CANARY})


def test_list_tells_where_each_key_is_and_opens_nothing(product: Command) -> None:
    product.home.joinpath("bin").mkdir()
    answer = product("ai", "secrets", "list", "--json", PATH="/nonexistent")
    rows = {each["profile"]: each for each in answer.json["keys"]}
    assert rows["by_variable"] == {
        "profile": "by_variable", "origin": str(product.settings), "reference": "env:K",
        "store": "the variable K", "state": "present", "dated_at": None,
    }  # fmt: skip
    assert rows["by_file"]["state"] == "present"
    assert rows["by_file"]["dated_at"] == "2023-11-14T22:13:20Z"
    assert rows["by_gone"]["state"] == "missing"
    assert rows["claude"] == rows["claude"] | {
        "reference": None,
        "store": "",
        "state": "own sign-in",
    }
    assert CANARY not in answer.out + product("ai", "secrets", "list").out


def test_check_asks_for_what_is_used_and_its_exit_code_tells(product: Command) -> None:
    answer = product("ai", "secrets", "check", "--json")
    body = json.loads(answer.out)
    assert answer.status == 5 and body["ok"] is False  # no store is there
    rows = {each["profile"]: each for each in body["keys"]}
    assert set(rows) == {"by_variable", "by_file", "by_gone"}, "no preset that nobody uses"
    assert rows["by_file"]["resolves"] and rows["by_file"]["length"] == "usual"
    assert rows["by_file"]["dated_at"] == "2023-11-14T22:13:20Z"
    assert rows["by_gone"]["problem"]["code"] == "secret.missing"
    assert body["required"] == ["env:GONE"]
    [store] = body["stores"]
    assert (store["name"], store["status"]) == ("aws/main", "unhealthy")
    said = product("ai", "secrets", "check")
    assert (
        said.status == 5 and "by_file: there, in the file ~/keys.age, K. Of 2023-11-1" in said.out
    )
    assert CANARY not in answer.out + answer.err + said.out + said.err
    product.settings.write_text("")
    assert (
        product("ai", "secrets", "check").out
        == "No profile with a key is yours, shared or in use.\n"
    )
    product.settings.write_text(
        f"ai_environments.llm_profiles.one: {{anthropic_base_url: '{URL}', key: 'env:K'}}"
    )
    assert product("ai", "secrets", "check").status == 0
    assert product("ai", "secrets", "check", K="").status == 3


def test_test_reads_one_key_and_tells_no_length(product: Command) -> None:
    body = product("ai", "secrets", "test", "by_file", "--json").json
    assert 0 < body.pop("took_s") < 30
    assert body == {
        "profile": "by_file", "reference": "file:~/keys.age#K", "store": "the file ~/keys.age, K",
        "dated_at": "2023-11-14T22:13:20Z", "length": "usual",
    }  # fmt: skip
    short = product("ai", "secrets", "test", "by_variable", K="hunter2")
    assert short.status == 0 and "oddly short" in short.out and "hunter2" not in short.out
    gone = product("ai", "secrets", "test", "by_gone", "--json")
    assert gone.status == 3 and gone.error["code"] == "secret.missing"
    assert product("ai", "secrets", "test", "claude", "--json").error["code"] == "ai.no_key"
    assert product("ai", "secrets", "test", "none", "--json").error["code"] == "ai.unknown_profile"


def test_a_store_that_the_settings_do_not_have_is_named(product: Command) -> None:
    product.settings.write_text(
        f"ai_environments.llm_profiles.one: {{anthropic_base_url: '{URL}', key: 'oneiric:gcp/id'}}"
    )
    assert product("ai", "secrets", "test", "one", "--json").error["code"] == "secret.no_store"
    rows = product("ai", "secrets", "list", "--json").json["keys"]
    [one] = [each for each in rows if each["profile"] == "one"]
    assert (one["state"], one["store"]) == ("no store", "GCP Secret Manager: id")
    assert product("ai", "secrets", "explain", "gcp", "--json").error["code"] == "secret.no_store"
    assert product("ai", "secrets", "check").status == 2
