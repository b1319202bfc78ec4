"""What looks like a key, and what does not, in the texts that clients' settings hold."""

import pytest

from mahavishnu.ai.secrets.key_shapes import find_keys, prints_key

KEYS = [
    "/opt/get/sk-0123456789abcdef0123",
    "echo 0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
    "https://h.example/sk-CANARY0123456789abcd/anthropic",
    "https://name:password@h.example",
    "https://h.example/x?key=1",
    "sk-canary-of-one-0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "https://h.example/token=abc/x",
    "https://h.example/x?s=0123456789abcdef0123456789abcdef",
    "get ms-01234567-89ab-cdef-0123-456789abcdef",
    "get zai-0123456789abcdef0123456789abcdef",
    "get sk_live_0123456789abcdef0123456789",
    "0123456789ABCDEF0123456789ABCDEF",
    "https://h.example/x#key=abc",
    "get tgp_v1_0123456789abcdefABCDEF0123456789",
    "get a_b_0123456789abcdef_0123456789abcdef",
    "https://name:pass/word@h.example",
]
GIVEN = [
    ("PASSWORD=hunter2 get-key", "hunter2"),
    (
        "get 0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
        "0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
    ),
    ("X=1; MY_TOKEN='abc1' get", "abc1"),
    ("get-key --token abc123", "abc123"),
    ("get-key --password=abcdefabcdef", "abcdefabcdef"),
    ("get-key --client-secret abc1", "abc1"),
    ("PGPASSWORD=hunter2 get", "hunter2"),
    ("gcloud secrets versions access 1 --secret=name && get --secret=abc1", "abc1"),
    ("curl -su me:pw https://vault.example/key", "pw"),
    ("curl --user me:pw https://vault.example/key", "pw"),
    ("X-Goog-Key: abc1", "abc1"),
    ("X-ApiToken: abc1", "abc1"),
    ("X-Team: a\nAuthorization: Basic abc", "Basic abc"),
    ("curl -H 'X-Api-Key: abc1' https://vault.example", "abc1"),
]
PRINTED = [
    "echo 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "bash -c 'echo short'",
    "echo short",
    "printf '%s' secretword",
    "/bin/echo x",
]
NONE = [
    "/usr/bin/mahavishnu-key env:ZAI --for https://api.z.ai:443",
    "ANTHROPIC_BASE_URL=https://api.z.ai /opt/x/bin/mahavishnu-key env:ZAI_API_KEY --for https://api.z.ai:443",
    "mahavishnu-key keyring:mahavishnu/zai --for https://api.z.ai:443",
    "env:SOME_VERY_LONG_VARIABLE_NAME_WITH_2_DIGITS_AND_MORE",
    "/home/u/a-very-long-folder-name-with-digits-2026-11/and-another-one/bin",
    "/nix/store/0c1mzn5d3hq4wz2kyq3v8hj1f7b9x6sa-get-key/bin/get-key",
    "/opt/sk-learn-utilities/bin/x",
    "/usr/local/bin/ak-get-token-v2",
    "/opt/ms-keyvault-helper/v2/get-key",
    "cat ~/.keys/sk-gateway-2024/key",
    "claude-sonnet-4-5-20250929-thinking-preview-long",
    "https://gateway.ai.example.com/v1/account/gateway/anthropic",
    "http://127.0.0.1:4000/v1",
    "echo $KEY",
    "curl -H 'Authorization: $AUTH' https://x.example",
    'echo "$(pass show x)"',
    "op read op://vault/item/credential",
    "security find-generic-password -s claude -w",
    "aws secretsmanager get-secret-value --secret-id my/key",
    "vault kv get -field=key secret/x",
    "~/bin/get-key.sh prod",
    "aws secretsmanager get-secret-value --secret-id my_company_llm_gateway_key_of_production_v2",
    "python -m corp.llm_gateway_key_provider_for_claude_code_v2",
    "gcloud secrets versions access latest --secret=anthropic-api-key",
    "gcloud secrets versions access 1 --project p --secret 'anthropic-api-key'",
    "lpass show --password anthropic-api-key",
    "gopass show --password corp/anthropic/key",
    "uvx --from git+https://github.com/corp/get-key@v1 get-key",
    "npx https://registry.example:4873/@corp/get-key",
    "SSH_AUTH_SOCK=/run/user/1 get",
    "KEY_FILE=/x get",
    "TOKEN=$(cat x) get",
    "curl -u me:$PW https://x.example",
    "X-Team: foo",
    "X-Tenant-Id: 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "X-Project-Key: TEAM",
    "x-auth: none",
    "Referer: https://corp.example/a?b=c",
    "bw get password 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "get --client-id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "cmd.exe /c echo %KEY%",
    "KEY=anthropic ./helper",
    "node helper.js sk-profile-name",
    "assume --role arn:aws:iam::123456789012:role/engineering/very-long-name-of-a-role-2025",
    "curl http://localhost:9999/key?name=claude",
    "https://gateway.ai.cloudflare.com/v1/0123456789abcdef0123456789abcdef/gw/anthropic",
    "https://0123456789abcdef0123456789abcdef.lambda-url.example/x?beta=true",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5",
    "none",
    "",
]


@pytest.mark.parametrize("text", KEYS)
def test_a_key_is_known_by_its_shape(text: str) -> None:
    assert find_keys(text)


@pytest.mark.parametrize(("text", "key"), GIVEN)
def test_a_key_is_known_by_what_is_said_of_it(text: str, key: str) -> None:
    assert [text[begin:end] for begin, end in find_keys(text)] == [key]


@pytest.mark.parametrize("text", PRINTED)
def test_a_command_that_prints_its_own_words_is_known(text: str) -> None:
    assert prints_key(text)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    assert not find_keys(text) and not prints_key(text)


def test_of_an_address_only_what_is_secret_is_found() -> None:
    text = "get https://me:pw@h.example/a/sk-0123456789abcdef/b?x=1&sig=abc now"
    assert [text[begin:end] for begin, end in find_keys(text)] == [
        "me:pw",
        "sk-0123456789abcdef/b",
        "abc",
    ]
