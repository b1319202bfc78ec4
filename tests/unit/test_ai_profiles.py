"""Profiles: what an entry becomes, what is refused, and that no message repeats what may be a key."""

from dataclasses import fields
from typing import Any

import pytest

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import (
    Profile,
    ProfileEntry,
    check_profile,
    doubtful_hosts,
    entry_of,
    read_profile,
)
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.tree import ProfileSettings

URL = "https://llm.example.com/anthropic"
CANARY = "sk-canary-0123456789"


def read(base: Profile | None = None, **said: Any) -> Profile:
    return read_profile("mine", ProfileEntry(**said), origin="here", base=base)


def refused(base: Profile | None = None, **said: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(base, **said)
    assert CANARY not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_can_be_used(name: str) -> None:
    profile = SHIPPED[name]
    check_profile(profile)
    assert profile.name == name and profile.title and profile.key is not None
    assert profile.origin in ("built-in", "preset")
    assert all(origin_of(url).scheme == "https" for url in profile.endpoints.values())
    assert any(profile.protocol_for(client) for client in CLIENTS)
    assert not doubtful_hosts(profile)


def test_the_three_environments_are_built_in() -> None:
    built_in = {name: each for name, each in SHIPPED.items() if each.origin == "built-in"}
    assert list(built_in) == ["claude", "codex", "qwen"]
    assert [str(each.key) for each in built_in.values()] == [
        "env:CLAUDE_API_KEY", "env:CODEX_API_KEY", "env:QWEN_API_KEY",
    ]  # fmt: skip
    assert [each.auth for each in built_in.values()] == ["native", "native", "key"]


@pytest.mark.parametrize("name", SHIPPED)
def test_an_entry_says_all_of_a_profile(name: str) -> None:
    whole = SHIPPED[name]
    assert read_profile(name, entry_of(whole), origin=whole.origin) == whole


def test_settings_and_entries_have_the_same_keys() -> None:
    assert {item.name for item in fields(ProfileEntry)} == set(ProfileSettings.__struct_fields__)


def test_a_client_gets_the_first_protocol_that_it_speaks() -> None:
    profile = read(
        anthropic_base_url=URL, openai_chat_base_url="https://llm.example.com/v1", key="env:K"
    )
    assert profile.protocol_for("claude-code") == "anthropic"
    assert profile.protocol_for("codex") is None
    assert profile.protocol_for("qwen") == "openai-chat"


def test_clients_narrow_whom_a_profile_is_for() -> None:
    profile = read(anthropic_base_url=URL, key="env:K", clients=("qwen",))
    assert profile.protocol_for("claude-code") is None
    assert profile.protocol_for("qwen") == "anthropic"


def test_an_entry_without_an_address_changes_what_it_names() -> None:
    changed = read(SHIPPED["qwen"], model="qwen3-max", key="keyring:llm/qwen")
    assert changed.endpoints == SHIPPED["qwen"].endpoints
    assert changed.model == "qwen3-max" and str(changed.key) == "keyring:llm/qwen"
    assert changed.small_model == SHIPPED["qwen"].small_model and changed.origin == "here"


def test_another_address_takes_no_models_and_no_other_addresses_along() -> None:
    moved = read(SHIPPED["qwen"], anthropic_base_url=URL, key="env:MY_KEY")
    assert moved.endpoints == {"anthropic": URL}
    assert (moved.model, moved.small_model, moved.timeout_ms) == (None, None, None)
    assert str(moved.key) == "env:MY_KEY" and moved.title == SHIPPED["qwen"].title


@pytest.mark.parametrize("url", [
    URL, "https://api.z.ai:8443/api/anthropic", "http://127.0.0.1:8080", "https://z.ai/api/anthropic",
])  # fmt: skip
@pytest.mark.parametrize("protocol", ["anthropic_base_url", "openai_chat_base_url"])
def test_another_host_is_not_sent_the_key_of_a_shipped_profile(url: str, protocol: str) -> None:
    for said in ({}, {"auth": "key"}):
        error = refused(SHIPPED["zai"], **{protocol: url}, **said)
        assert error.code == "ai.profile_other_host" and url.startswith(
            error.message.split()[7][:-1]
        )
    moved = {
        "anthropic_base_url": URL,
        "openai_chat_base_url": "https://api.z.ai/api/coding/paas/v4",
    }
    assert refused(SHIPPED["zai"], **moved).code == "ai.profile_other_host"
    claude = {"anthropic_base_url": URL}
    assert refused(SHIPPED["claude"], **claude).code == "ai.profile_other_host"
    named = read(SHIPPED["zai"], **{protocol: url}, key="env:ZAI_API_KEY")
    assert str(named.key) == "env:ZAI_API_KEY"


def test_an_address_of_the_same_host_keeps_what_belongs_to_it() -> None:
    url = "https://dashscope-intl.aliyuncs.com/other"
    moved = read(SHIPPED["qwen"], openai_chat_base_url=url)
    assert moved.endpoints == {"openai-chat": url} and moved.model == SHIPPED["qwen"].model
    claude = read(SHIPPED["claude"], anthropic_base_url="https://api.anthropic.com/other")
    assert (claude.auth, claude.key_header, str(claude.key)) == (
        "key", "x-api-key", "env:CLAUDE_API_KEY",
    )  # fmt: skip


def test_an_own_sign_in_is_for_the_clients_that_have_one() -> None:
    native = read(anthropic_base_url=CLIENTS["claude-code"].own_url, auth="native")
    assert [client for client in CLIENTS if native.protocol_for(client)] == ["claude-code"]


def test_another_address_or_a_key_ends_the_use_of_the_own_sign_in() -> None:
    claude = SHIPPED["claude"]
    assert read(claude, model="opus").auth == "native"
    assert read(claude, anthropic_base_url="https://api.anthropic.com/").auth == "native"
    assert read(claude, key="env:OTHER").auth == "key"
    assert read(claude, anthropic_base_url="https://api.anthropic.com/v2").auth == "key"


@pytest.mark.parametrize("url", [
    f"https://user:{CANARY}@llm.example.com/v1", f"https://{CANARY}@llm.example.com",
    f"https://llm.example.com/v1?key={CANARY}", f"llm.example.com/{CANARY}",
    f"https://llm.example.com/{CANARY} x", f"ftp://{CANARY}.example.com", "https://", "",
])  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    error = refused(anthropic_base_url=url, key="env:K")
    assert error.code == "ai.profile_address"
    assert "anthropic_base_url" in error.message and "mine" in error.message


def test_credentials_in_an_address_are_named_as_such() -> None:
    error = refused(anthropic_base_url=f"https://u:{CANARY}@llm.example.com", key="env:K")
    assert "credentials" in error.message


@pytest.mark.parametrize("key", ["anthropic_base_url", "openai_responses_base_url"])
def test_plain_http_is_for_this_machine_alone(key: str) -> None:
    assert (
        refused(**{key: "http://llm.example.com/v1", "key": "env:K"}).code == "ai.profile_insecure"
    )
    for host in ("127.0.0.1:8080", "localhost", "[::1]:9000"):
        read(**{key: f"http://{host}/v1", "key": "env:K"})


@pytest.mark.parametrize(
    "key", [CANARY, f"Bearer {CANARY}", f"{CANARY}:x", f"${{K:-{CANARY}}}", ""]
)
def test_a_raw_key_is_refused_and_not_repeated(key: str) -> None:
    assert refused(anthropic_base_url=URL, key=key).code == "ai.profile_raw_key"


def test_a_profile_without_an_address_a_client_or_a_key_is_refused() -> None:
    assert refused(key="env:K").code == "ai.profile_no_protocol"
    assert (
        refused(openai_chat_base_url=URL, key="env:K", clients=("codex",)).code
        == "ai.profile_no_protocol"
    )
    assert refused(anthropic_base_url=URL).code == "ai.profile_no_key"


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_in_a_variable_that_a_switch_clears_is_refused(name: str) -> None:
    assert refused(anthropic_base_url=URL, key=f"env:{name}").code == "ai.profile_key_name"


@pytest.mark.parametrize("said", [
    {"anthropic_base_url": URL},
    {"anthropic_base_url": CLIENTS["claude-code"].own_url, "clients": ("qwen",)},
    {"openai_responses_base_url": CLIENTS["codex"].own_url, "clients": ("claude-code", "codex", "qwen")},
    {"openai_chat_base_url": "https://api.openai.com/v1"},
])  # fmt: skip
def test_an_own_sign_in_goes_nowhere_else(said: dict[str, Any]) -> None:
    assert refused(auth="native", **said).code in ("ai.profile_native", "ai.profile_no_protocol")


@pytest.mark.parametrize("said", [
    {"model": "two words"}, {"model": "x" * 201}, {"small_model": "a\nb"}, {"title": "a\x1b[2J"},
])  # fmt: skip
def test_texts_that_can_be_none_are_refused(said: dict[str, str]) -> None:
    assert refused(anthropic_base_url=URL, key="env:K", **said).code == "ai.profile_text"


@pytest.mark.parametrize(
    "name", ["", "A", "a.b", "a/b", "..", "-a", "a-", "a b", "x" * 65, "ä", "a\n"]
)
def test_a_name_that_can_be_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_profile(name, ProfileEntry(anthropic_base_url=URL, key="env:K"), origin="here")
    assert caught.value.code == "ai.profile_name"


def test_hosts_of_early_samples_are_told() -> None:
    assert doubtful_hosts(read(anthropic_base_url="https://api.codex.com", key="env:K")) == (
        "api.codex.com",
    )
