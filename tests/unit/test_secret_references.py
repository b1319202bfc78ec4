"""References to keys: one grammar, and no key in what is said of a wrong one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.ai.secrets.in_file import pick_entry
from mahavishnu.ai.secrets.reference import MAX_LENGTH, Reference, parse_reference
from mahavishnu.base.errors import MahavishnuError, UsageError

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/llm-AbCdEf"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:CLAUDE_API_KEY", Reference("env", "CLAUDE_API_KEY")),
        ("${CLAUDE_API_KEY}", Reference("env", "CLAUDE_API_KEY")),
        ("keyring:mahavishnu/zai", Reference("keyring", "mahavishnu", "zai")),
        ("keyring:https://api.z.ai/me@here", Reference("keyring", "https://api.z.ai", "me@here")),
        ("keyring:my service/a key", Reference("keyring", "my service", "a key")),
        ("file:/k/keys.gpg", Reference("file", "/k/keys.gpg")),
        ("file:/k/keys.gpg#ZAI", Reference("file", "/k/keys.gpg", "ZAI")),
        ("file:~/my keys.age#ZAI", Reference("file", "~/my keys.age", "ZAI")),
        ("file:/k/a#b.age#ZAI", Reference("file", "/k/a#b.age", "ZAI")),
        (
            "oneiric:aws/team/llm.keys@prod#ZAI",
            Reference("oneiric", "aws/team/llm.keys@prod", "ZAI"),
        ),
        (f"oneiric:aws/{ARN}#api-key", Reference("oneiric", f"aws/{ARN}", "api-key")),
        ("oneiric:gcp/llm_keys-1", Reference("oneiric", "gcp/llm_keys-1")),
    ],
)
def test_a_reference_and_its_one_form(text: str, reference: Reference) -> None:
    parsed = parse_reference(text)
    assert parsed == reference
    assert parse_reference(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "sk-ant-canary", "canary", "", "env:", "env:sk-canary", "env:1CANARY", "env:A B", "env:Ä",
        "${CLAUDE_API_KEY:-sk-canary}", "${sk-canary}", "${}", "$CANARY", "${A}${CANARY}", "ENV:CANARY",
        "keyring:canary", "keyring:/canary", "keyring:canary/", "file:canary", "file:./canary",
        "file:~canary/x", "file:/canary/", "file:/k#", "file:/k#sk-canary", "file:", "aws:canary",
        "env:CANARY\n", " env:CANARY", "file:/k\0canary", f"env:{'A' * 129}", f"file:/{'a' * MAX_LENGTH}",
        "https://user:canary@host/", "Bearer canary", "oneiric:", "oneiric:canary", "oneiric:aws",
        "oneiric:aws/", "oneiric:/canary", "oneiric:vault/canary", "oneiric:aws/canary#", "oneiric:aws/a#b#canary",
        "oneiric:aws/a#canary/b", "oneiric:aws/a canary", "oneiric:aws/canary?x", "oneiric:gcp/../canary",
        "oneiric:gcp/a/versions/canary", "oneiric:gcp/a.canary",
        f"oneiric:aws/a#{'canary' * 30}", "oneiric:AWS/canary",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert caught.value.code == "secret.reference" and caught.value.hint
    assert "canary" not in f"{caught.value.message}{caught.value.hint}".lower()


def test_infisical_is_answered_with_the_way_out() -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference("oneiric:infisical/canary#FIELD")
    assert caught.value.code == "secret.infisical" and "env:NAME" in (caught.value.hint or "")
    assert "canary" not in caught.value.message


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        parsed = parse_reference(text)
    except MahavishnuError:
        return
    assert parse_reference(str(parsed)) == parsed


@given(st.sampled_from(["keyring", "file"]), st.text(min_size=1, max_size=40), st.text(max_size=20))
def test_what_a_reference_says_is_what_it_was_made_of(scheme: str, place: str, name: str) -> None:
    text = f"keyring:{place}/{name}" if scheme == "keyring" else f"file:/{place}#{name}"
    try:
        parsed = parse_reference(text)
    except MahavishnuError:
        return
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1\nKEY=k\n", "k"),
        ("export KEY = 'k=='\r\n", "k=="),
        ('KEY="k"', "k"),
        ("KEY=old\n# KEY=no\nKEY=k", "k"),
        ("KEY=$(touch x)", "$(touch x)"),
        ('{"KEY": "k", "B": 1}', "k"),
        ('{"KEY": 1}', None),
        ('{"KEY": "k"', None),
        ("[" * 100_000, None),
        ("MY_KEY=k\nKEY2=k\nKEYk", None),
        ("KEY='", "'"),
        ("", None),
    ],
)
def test_an_entry_is_picked_and_nothing_is_evaluated(text: str, value: str | None) -> None:
    assert pick_entry(text, "KEY") == value
