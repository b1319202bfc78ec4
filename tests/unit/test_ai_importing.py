"""Providers of other programs: what of them becomes a profile, and where their keys may go."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.merge import merge
from mahavishnu.ai.profiles.importing.cc_switch import Row, read_cc_switch, read_rows
from mahavishnu.ai.profiles.importing.claude_code import (
    expected_keys,
    read_claude_code,
    replace_keys,
)
from mahavishnu.ai.profiles.importing.found import (
    FoundProvider,
    PassedOver,
    free_name,
    name_of,
    name_of_host,
)
from mahavishnu.ai.profiles.importing.keys import destination, keep_keys
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.base.errors import Conflict, Corrupt, MahavishnuError, NotFound, UsageError
from mahavishnu.base.masking import Secret

CANARY = "sk-fake-canary-55aa"
URL = "https://api.deepseek.com/anthropic"
PLACE = parse_reference("keyring:llm/deepseek")


def claude(**members: Any) -> JsonDocument:
    return JsonDocument.parse(json.dumps(members).encode())


def refused(document: JsonDocument, kind: type[MahavishnuError] = UsageError) -> str:
    with pytest.raises(kind) as caught:
        read_claude_code(document)
    assert CANARY not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "header"), [("ANTHROPIC_AUTH_TOKEN", "bearer"), ("ANTHROPIC_API_KEY", "x-api-key")]
)
def test_the_provider_of_claude_code(name: str, header: str) -> None:
    env = {
        "ANTHROPIC_BASE_URL": URL, name: f" {CANARY}\n", "ANTHROPIC_MODEL": "big",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "small", "API_TIMEOUT_MS": 3_000_000,
    }  # fmt: skip
    found = read_claude_code(claude(env=env, hooks={}))
    assert found.name == "deepseek-com" and found.secret is not None
    assert found.secret.reveal() == CANARY and CANARY not in repr(found)
    assert found.entry.said() == {
        "anthropic_base_url": URL, "key_header": header, "model": "big", "small_model": "small",
        "api_timeout_ms": 3_000_000,
    }  # fmt: skip


def test_headers_of_ones_own_are_told_and_not_taken() -> None:
    env = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_CUSTOM_HEADERS": f"x-key: {CANARY}"}
    found = read_claude_code(claude(env=env))
    assert found.left == ("ANTHROPIC_CUSTOM_HEADERS",) and CANARY not in repr(found)


def test_a_key_without_an_address_is_for_anthropic() -> None:
    found = read_claude_code(claude(env={"ANTHROPIC_API_KEY": CANARY}))
    assert found.entry.anthropic_base_url == "https://api.anthropic.com"


def test_our_own_command_is_the_reference_it_names() -> None:
    line = f"/opt/bin/mahavishnu-key 'keyring:my llm/x' --for {URL}"
    found = read_claude_code(claude(env={"ANTHROPIC_BASE_URL": URL}, apiKeyHelper=line))
    assert found.entry.key == "keyring:my llm/x" and found.secret is None


def test_our_command_in_a_project_is_the_reference_too() -> None:
    line = f"ANTHROPIC_BASE_URL=https://api.deepseek.com /opt/bin/mahavishnu-key env:DS_KEY --for {URL}"
    found = read_claude_code(claude(env={"ANTHROPIC_BASE_URL": URL}, apiKeyHelper=line))
    assert found.entry.key == "env:DS_KEY"
    other = "ANTHROPIC_BASE_URL=https://api.deepseek.com print-key"
    assert refused(claude(apiKeyHelper=other)) == "ai.import_helper"


def test_what_of_claude_code_cannot_be_taken_over() -> None:
    assert refused(claude(), NotFound) == "ai.import_nothing"
    assert refused(claude(env={"ANTHROPIC_AUTH_TOKEN": ""}), NotFound) == "ai.import_nothing"
    assert refused(claude(env=["ANTHROPIC_AUTH_TOKEN"]), NotFound) == "ai.import_nothing"
    two = {"ANTHROPIC_AUTH_TOKEN": CANARY, "ANTHROPIC_API_KEY": "sk-other"}
    assert refused(claude(env=two)) == "ai.import_two_keys"
    assert refused(claude(apiKeyHelper=f"echo {CANARY}")) == "ai.import_helper"
    assert refused(claude(apiKeyHelper="it's torn")) == "ai.import_helper"
    managed = {"ANTHROPIC_AUTH_TOKEN": "PROXY_MANAGED"}
    assert refused(claude(env=managed)) == "ai.import_proxy"


def test_a_timeout_that_is_none_is_left_out() -> None:
    for value in ("soon", -1, 0, 1.5, True, 10**12, "٣"):
        env = {"ANTHROPIC_BASE_URL": URL, "API_TIMEOUT_MS": value}
        assert read_claude_code(claude(env=env)).entry.api_timeout_ms is None


def test_claude_code_asks_for_the_key_that_it_had() -> None:
    document = claude(env={"ANTHROPIC_AUTH_TOKEN": CANARY, "KEPT": "1"}, model="opus")
    changes = replace_keys(document, PLACE, url=URL, program=Path("/opt/bin/mahavishnu-key"))
    changed, effects = merge(document, changes, expected_keys(document, Secret(CANARY)))
    assert not any(effect.foreign for effect in effects)
    assert json.loads(changed.text) == {
        "env": {"ANTHROPIC_AUTH_TOKEN": "", "KEPT": "1", "ANTHROPIC_API_KEY": ""},
        "model": "opus",
        "apiKeyHelper": "/opt/bin/mahavishnu-key keyring:llm/deepseek --for https://api.deepseek.com",
    }


@pytest.mark.parametrize("there", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_the_key_that_is_not_used_is_emptied_too(there: str) -> None:
    document = claude(env={there: CANARY})
    changes = replace_keys(document, PLACE, url=URL, program=Path("/opt/bin/mahavishnu-key"))
    changed, effects = merge(document, changes, expected_keys(document, Secret(CANARY)))
    assert not any(effect.foreign for effect in effects)
    emptied = {"ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_API_KEY": ""}
    assert json.loads(changed.text)["env"] == emptied


def test_another_key_that_came_meanwhile_is_not_lost() -> None:
    document = claude(env={"ANTHROPIC_AUTH_TOKEN": "sk-newer"})
    changes = replace_keys(document, PLACE, url=URL, program=Path("/opt/bin/mahavishnu-key"))
    _, effects = merge(document, changes, expected_keys(document, Secret(CANARY)))
    assert any(effect.foreign for effect in effects)
    with pytest.raises(UsageError):
        expected_keys(claude(apiKeyHelper="another"), Secret(CANARY))


def row(app: str, settings: Any, *, name: str = "DeepSeek", meta: Any = None) -> Row:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return Row(app, name, text, json.dumps(meta or {}))


def codex(config: str, **auth: str) -> dict[str, Any]:
    return {"auth": auth, "config": config}


CODEX = """
model_provider = "custom"
model = "gpt-x"
[model_providers.custom]
name = "Custom"
base_url = "https://llm.example.com/v1"
wire_api = "responses"
"""


def test_the_providers_of_cc_switch() -> None:
    env = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": CANARY}
    first, second, third = read_cc_switch([
        row("claude", {"env": env}),
        row("codex", codex(CODEX, OPENAI_API_KEY=CANARY), name="智谱"),
        row("codex", codex(CODEX + 'env_key = "LLM_KEY"'), name="By Variable!"),
    ])  # fmt: skip
    assert (
        isinstance(first, FoundProvider)
        and isinstance(second, FoundProvider)
        and isinstance(third, FoundProvider)
    )
    assert (first.name, first.entry.anthropic_base_url) == ("deepseek", URL)
    assert first.secret is not None and first.secret.reveal() == CANARY
    assert (second.name, second.label) == ("llm-example-com", "智谱 (Codex)")
    assert second.entry.openai_responses_base_url == "https://llm.example.com/v1"
    assert second.entry.model == "gpt-x" and second.secret is not None
    assert (third.name, third.entry.key, third.secret) == ("by-variable", "env:LLM_KEY", None)
    assert CANARY not in repr([first, second, third])


@pytest.mark.parametrize(("app", "settings", "meta"), [
    ("codex", codex(CODEX), {"apiFormat": "openai_chat"}),
    ("codex", codex(CODEX.replace("responses", "chat")), {}),
    ("claude", {"env": {"ANTHROPIC_BASE_URL": "https://llm.example.com/v1"}}, {"apiFormat": "openai_chat"}),
    ("claude", {"env": {"ANTHROPIC_BASE_URL": "https://llm.example.com/v1"}, "api_format": "openai_chat"}, {}),
])  # fmt: skip
def test_a_protocol_that_cc_switch_translates_is_the_providers_own(
    app: str, settings: Any, meta: Any
) -> None:
    [found] = read_cc_switch([row(app, settings, meta=meta)])
    assert isinstance(found, FoundProvider)
    assert found.entry.openai_chat_base_url == "https://llm.example.com/v1"
    assert found.entry.anthropic_base_url is None and found.entry.openai_responses_base_url is None


@pytest.mark.parametrize("bad", [
    row("gemini", {"env": {"GEMINI_API_KEY": CANARY}}), row("claude", {"env": {}}),
    row("codex", codex("")), row("claude", f'{{"env": "{CANARY}'), row("codex", codex(f"= {CANARY}")),
    row("claude", []), row("claude", "[" * 100_000), row("codex", codex('model_provider = "openai"')),
    row("claude", {"env": {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": "PROXY_MANAGED"}}),
    Row("claude", "x", json.dumps({"env": {"ANTHROPIC_BASE_URL": URL}}), "{"),
])  # fmt: skip
def test_what_is_passed_over_says_why_and_ends_nothing(bad: Row) -> None:
    good = row("claude", {"env": {"ANTHROPIC_BASE_URL": URL}})
    passed, found = read_cc_switch([bad, good])
    assert isinstance(passed, PassedOver) and passed.reason and CANARY not in repr(passed)
    assert isinstance(found, FoundProvider)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_the_database_is_read_and_not_changed(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "cc switch?#%.db"
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute(
            "CREATE TABLE providers (id TEXT, app_type TEXT, name TEXT, settings_config TEXT, meta TEXT)"
        )
        database.execute("INSERT INTO providers VALUES ('1', 'claude', 'One', '{}', NULL)")
    database.close()
    before = path.read_bytes()
    path.chmod(0o400)
    assert read_rows(path) == [Row("claude", "One", "{}", "")]
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_what_is_in_the_log_of_a_running_cc_switch_counts(tmp_path: Path) -> None:
    path = tmp_path / "cc-switch.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as running:
        running.execute("PRAGMA journal_mode = WAL")
        running.execute("CREATE TABLE providers (id, app_type, name, settings_config, meta)")
        running.execute("INSERT INTO providers VALUES ('1', 'claude', 'One', '{}', '{}')")
        assert [row.name for row in read_rows(path)] == ["One"]
        running.execute("BEGIN")
        running.execute("INSERT INTO providers VALUES ('2', 'claude', 'Two', '{}', '{}')")
        assert [row.name for row in read_rows(path)] == ["One"]
        running.execute("COMMIT")
        assert [row.name for row in read_rows(path)] == ["One", "Two"]


def test_what_is_no_database_of_cc_switch(tmp_path: Path) -> None:
    path = tmp_path / "cc-switch.db"
    with pytest.raises(NotFound) as missing:
        read_rows(path)
    assert missing.value.code == "ai.import_nothing" and not path.exists()
    for content in (b"no database", b""):
        path.write_bytes(content)
        with pytest.raises(Corrupt) as caught:
            read_rows(path)
        assert caught.value.code == "ai.import_unreadable"


def test_names() -> None:
    assert name_of("  Zhipu GLM (en) ") == "zhipu-glm-en" and name_of("智谱") == ""
    assert (
        name_of("Mein Glück 中文") == "mein-gluck"
        and name_of("Große Ｃafé №1") == "grosse-cafe-no1"
    )
    assert len(name_of("x" * 100)) <= 64 and not name_of("a" * 47 + "-b").endswith("-")
    assert name_of_host("https://api.z.ai/x") == "z-ai"
    assert name_of_host("http://127.0.0.1:80") == "127-0-0-1" and name_of_host("no") == "imported"
    assert free_name("a", {"a", "a-2"}) == "a-3" and free_name("b", {"a"}) == "b"


def test_where_keys_may_go() -> None:
    assert destination("keyring:llm/x", "mine") == Reference("keyring", "llm", "x")
    assert destination("keyring:llm", "mine") == Reference("keyring", "llm", "mine")
    for text in ("env:X", "file:/a.gpg#X", "keyring:", CANARY, ""):
        with pytest.raises(UsageError) as caught:
            destination(text, "mine")
        assert caught.value.code == "ai.import_destination" and CANARY not in caught.value.message


class FakeKeyring:
    """Keeps keys in memory."""

    def __init__(self, kept: Mapping[Reference, str] | None = None) -> None:
        self.kept = dict(kept or {})

    def read(self, reference: Reference) -> Secret:
        if reference not in self.kept:
            raise NotFound("none", code="secret.missing")
        return Secret(self.kept[reference])

    def write(self, reference: Reference, secret: Secret) -> None:
        self.kept[reference] = secret.reveal()


OTHER = parse_reference("keyring:llm/other")


def test_keys_are_kept_all_or_none() -> None:
    keyring = FakeKeyring({OTHER: "sk-another"})
    keys = {PLACE: Secret(CANARY), OTHER: Secret("sk-mine")}
    with pytest.raises(Conflict) as caught:
        keep_keys(keyring, keys, replace=False)
    assert caught.value.code == "ai.import_key_exists"
    assert keyring.kept == {OTHER: "sk-another"}
    keep_keys(keyring, keys, replace=True)
    assert keyring.kept == {PLACE: CANARY, OTHER: "sk-mine"}
    keep_keys(keyring, keys, replace=False)  # they are there already


def test_what_can_be_no_key_is_not_kept() -> None:
    keyring = FakeKeyring()
    with pytest.raises(Corrupt) as caught:
        keep_keys(keyring, {PLACE: Secret(f"{CANARY} x"), OTHER: Secret("ok")}, replace=False)
    assert CANARY not in caught.value.message and keyring.kept == {}
