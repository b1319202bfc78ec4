"""What of a member goes into the journal and onto the screen, where its name says that it is a key."""

import pytest

from mahavishnu.ai.foreign_files.documents import KeyPath
from mahavishnu.ai.switching.redaction import holds_key, shown

PLAIN = "AbcdEfghIjklMnopQrstUvwx"  # no shape that is known


def nothing(path: KeyPath) -> bool:
    return False


@pytest.mark.parametrize(
    "name", ["apiKey", "api_key", "API_KEY", "secret", "authToken", "Authorization", "X-Api-Key"]
)
def test_a_member_that_is_named_for_keys_is_marked_whatever_its_shape(name: str) -> None:
    assert holds_key(PLAIN, ("modelProviders", name), nothing)
    element = {"id": "m", name: PLAIN}
    assert PLAIN not in repr(shown([element], ("modelProviders",), nothing))


@pytest.mark.parametrize(
    "name",
    ["envKey", "env_key", "apiKeyHelper", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "bearer_token_env_var",
     "max_tokens", "maxTokens", "tokenLimit", "keyFile", "model", "monkey", "ANTHROPIC_CUSTOM_HEADERS"],
)  # fmt: skip
def test_names_that_only_sound_like_it_are_not(name: str) -> None:
    assert not holds_key(PLAIN, ("x", name), nothing)
