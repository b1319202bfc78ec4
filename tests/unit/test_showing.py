"""What of a client's settings may be shown: keys are hidden, the rest is not."""

from typing import Any

import pytest

from mahavishnu.ai.secrets.showing import is_secret, shown

SECRETS = [
    ("GITHUB_TOKEN", "abc"),
    ("MY_API_KEY", "x"),
    ("apiKey", "x"),
    ("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a"),
    ("Authorization", "Basic abc"),
    ("db_password", "x"),
    ("MY_PWD", "x"),
    ("SECRETKEY", "x"),
    ("APITOKEN", "x"),
    ("NOTE", "sk-ant-REDACTED"),
    ("NOTE", "ghp_0123456789abcdef"),
    ("NOTE", "Bearer abcdefgh12345"),
    ("NOTE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"),
    ("NOTE", "0123456789abcdef0123456789abcdef"),
    ("PROXY", "http://me:pass@proxy.example:8080"),
    ("HOOK", "https://hooks.example/x?sig=abc"),
]
OPEN = [
    ("MAX_OUTPUT_TOKENS", "64000"),
    ("MAX_THINKING_TOKENS", 1000),
    ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "6000"),
    ("apiKeyHelper", "/usr/bin/mahavishnu-key env:ZAI --for https://api.z.ai:443"),
    ("DISABLE_TOKEN", "true"),
    ("TOKEN", ""),
    ("EDITOR", "/usr/bin/vim --not-a-fork"),
    ("PATH", "/home/user/a-very-long-folder-name-with-digits-2026-11/and-another-one/bin"),
    ("MODEL", "claude-sonnet-4-5-20250929"),
    ("keyboard", "x"),
    ("author", "somebody"),
]


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_keys_are_hidden(name: str, value: str) -> None:
    assert "***" in shown(name, value) and is_secret(name, value)
    inside: Any = shown("x", {"y": [{name: value}]})
    assert inside == {"y": [{name: shown(name, value)}]}


@pytest.mark.parametrize(("name", "value"), OPEN)
def test_what_is_no_key_is_shown(name: str, value: Any) -> None:
    assert shown(name, value) == value and not is_secret(name, value)


def test_in_a_command_only_the_key_is_hidden() -> None:
    told = shown("command", "curl -H 'Authorization: Bearer abcdefgh12345' https://a.example/b")
    assert told == "curl -H 'Authorization: ***' https://a.example/b"
    assert shown("command", "curl -u me:pw https://a.example") == "curl -u me:*** https://a.example"
    assert shown("command", "API_KEY=abc1 get --token xyz1") == "API_KEY=*** get --token ***"
    assert shown("command", "echo done") == "echo done"


def test_everything_below_headers_is_hidden() -> None:
    assert shown("headers", {"X-Team": "a", "n": 5}) == {"X-Team": "***", "n": 5}
