"""The provider that Claude Code's settings lead to: its address, models, and where its key is."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.claude_code.client import ClaudeCode
from mahavishnu.ai.clients.claude_code.settings import API_KEY, HEADERS, HELPER, TOKEN, URL
from mahavishnu.ai.clients.delivery import KeyHeader
from mahavishnu.ai.clients.key_command import PROGRAM, helper_line, helper_words, read_words
from mahavishnu.ai.foreign_files.documents import Document, Value
from mahavishnu.ai.foreign_files.merge import Change, ExpectedValues, Set
from mahavishnu.ai.profiles.importing.found import (
    FoundProvider,
    name_of_host,
    require_real,
    text_of,
    timeout_of,
)
from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.masking import Secret

_KEYS: Mapping[str, KeyHeader] = {TOKEN: "bearer", API_KEY: "x-api-key"}


def read_claude_code(document: Document) -> FoundProvider:
    """
    Return the provider of Claude Code's settings.

    Raises:
        NotFound: `ai.import_nothing`, Claude's own sign-in is used.
        UsageError: `ai.import_two_keys`, `ai.import_helper`, `ai.import_proxy`.
    """
    env = _env(document)
    secret, header = key_of(env)
    reference = _own_helper(document)
    url = text_of(env, URL)
    if url is None and secret is None and reference is None:
        raise NotFound(
            "Claude Code's settings lead to no other provider and hold no key.",
            hint="Its own sign-in is the built-in profile claude.",
            code="ai.import_nothing",
        )
    address = url or ClaudeCode.own_url
    entry = claude_entry(env, address, header, reference)
    left = (HEADERS,) if text_of(env, HEADERS) else ()
    return FoundProvider(name_of_host(address), address, entry, secret, left)


def claude_entry(
    env: Mapping[str, object], url: str, header: KeyHeader, reference: Reference | None = None
) -> ProfileEntry:
    """Return what a profile says for the variables of Claude Code."""
    model = text_of(
        env, "ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL"
    )
    small = text_of(env, "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL")
    return ProfileEntry(
        anthropic_base_url=url,
        key=str(reference) if reference else None,
        key_header=header,
        model=model,
        small_model=small if small != model else None,
        api_timeout_ms=timeout_of(env),
    )


def key_of(env: Mapping[str, object]) -> tuple[Secret | None, KeyHeader]:
    """
    Return the key in Claude Code's variables, and the header that carries it.

    Raises:
        UsageError: `ai.import_two_keys`, `ai.import_proxy`.
    """
    keys = {name: text for name in _KEYS if (text := text_of(env, name))}
    if len(set(keys.values())) > 1:
        raise UsageError(
            f"There are two different keys, {TOKEN} and {API_KEY}, and both would be sent.",
            hint="Take out the one that does not belong to this address.",
            code="ai.import_two_keys",
        )
    for name, text in keys.items():
        return require_real(text), _KEYS[name]
    return None, "bearer"


def replace_keys(
    document: Document, reference: Reference, *, url: str, program: Path
) -> tuple[Change, ...]:
    """
    Return the changes by which Claude Code asks for the key instead of having it.

    A running session forgets a variable only if it is set to nothing; and of one that is not named, what
    the user happens to have exported would be sent to the provider as well.
    """
    words = helper_words(reference, bound=url, client=ClaudeCode.name, program=program)
    cleared = (Set(("env", name), "") for name in _KEYS if document.get(("env", name)) != "")
    return (*cleared, Set(HELPER, helper_line(words)))


def expected_keys(document: Document, secret: Secret | None) -> ExpectedValues:
    """Return what must still be there when the keys are replaced: the one that was moved, and no other."""
    moved = secret.reveal() if secret else ""
    _own_helper(document)
    env = _env(document)
    return {
        ("env", name): moved if text_of(env, name) else document.get(("env", name))
        for name in _KEYS
    } | {HELPER: document.get(HELPER)}


def _env(document: Document) -> Mapping[str, Value]:
    env = document.get(("env",))
    return env if isinstance(env, dict) else {}


def _own_helper(document: Document) -> Reference | None:
    """Return the reference that our own command stands for; refuses another's command."""
    line = document.get(HELPER)
    if not isinstance(line, str) or not line.strip():
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if words and words[0].startswith(f"{URL}="):
        words = words[1:]  # so a switch writes it for a project
    if words and Path(words[0]).name == PROGRAM:
        return read_words(words[1:]).reference
    raise UsageError(
        "Claude Code gets its key by a command of its own (apiKeyHelper), which a profile cannot hold.",
        hint="Store the key, and say where: mahavishnu ai profile add NAME --key REFERENCE",
        code="ai.import_helper",
    )
