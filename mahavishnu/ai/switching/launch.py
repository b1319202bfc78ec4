"""
Start a client on a profile for one session: by its own options and its environment, no file is changed.

No key is among the words, which every user of the machine can read. Variables that would lead the
client elsewhere, or send another key along, are taken out.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mahavishnu.ai.clients.claude_code.settings import HELPER, OWNED_ENV
from mahavishnu.ai.clients.codex.settings import CHOSEN, MODEL, OWN_PROVIDER, PROVIDER
from mahavishnu.ai.clients.port import Known
from mahavishnu.ai.clients.qwen.in_force import STARTED_ON
from mahavishnu.ai.clients.qwen.models import find_model
from mahavishnu.ai.clients.qwen.settings import LISTS
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import Value
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.documents.toml_values import render, render_key
from mahavishnu.ai.foreign_files.merge import Set
from mahavishnu.ai.profiles.delivery import NO_KEY, Delivery, deliver
from mahavishnu.ai.profiles.profile import ClientName, Profile
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.project import require_not_redirected
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.switch import why_not
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.masking import Secret

RUN_ID = "mahavishnu-run"  # not that of a switch: Codex merges what is said of one id
_FOREIGN = ("ANTHROPIC_", "OPENAI_", "CLAUDE_CODE_USE_", "CLAUDE_CODE_SKIP_")
SIGN_INS = ("CLAUDE_CODE_OAUTH_TOKEN", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN")
_QWEN_KEYS = {"openai-chat": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_NO_PROXY = {"NO_PROXY": "no_proxy", "no_proxy": "NO_PROXY"}
_OWN_SETTINGS = ("--settings", "--managed-settings")

type Resolve = Callable[[Reference], Secret]


@dataclass(frozen=True)
class Launch:
    """What to start: the words begin with the client's name; the environment may hold the key."""

    program: Path
    words: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    taken_out: tuple[str, ...]


def recognise(word: str) -> ClientName:
    """
    Return the client that a program's name or path stands for.

    Raises:
        UsageError: `ai.unknown_program`.
    """
    for name, client in CLIENTS.items():
        if Path(word).name == client.program:
            return name
    raise UsageError(
        f"{Path(word).name} is none of the clients that can be started on a profile.",
        hint=f"They are: {', '.join(each.program for each in CLIENTS.values())}. For a program of"
        " another name that starts one of them: --client",
        code="ai.unknown_program",
    )


def plan_launch(
    profile: Profile,
    client: ClientName,
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    helper: Path,
    resolve: Resolve,
) -> Launch:
    """
    Return how a client is started on a profile; nothing is done.

    `words` are the user's own, the program first; `folder` is where it will work.

    Raises:
        UsageError: `ai.unsuitable_profile`, `ai.own_settings`.
        NotFound: `ai.program_missing`; of the key as `resolve`.
        Conflict: `ai.model_taken`.
        Forbidden: `secret.project_redirects`.
    """
    program = _find_program(words[0], environ)
    delivery = _deliver(profile, client, helper)
    key = Secret(NO_KEY)
    if delivery.mode != "native" and profile.key is not None:
        key = resolve(profile.key)
    kept, taken_out = _without_strays(profile, delivery, environ)
    more = {} if delivery.mode == "native" else _past_proxies(delivery.url, environ)
    if client == "claude-code":
        if delivery.words:
            require_not_redirected(delivery.url, client, folder=folder, environ={**kept, **more})
        options = _claude_options(delivery, words)
    elif client == "codex":
        options = _codex_options(delivery)
    else:
        keys, options = _qwen_options(delivery, key, environ=environ, folder=folder)
        more |= {**keys, STARTED_ON: profile.name}
    said = (words[0], *options, *words[1:])
    return Launch(program, said, {**kept, **more}, taken_out)


def _find_program(word: str, environ: Mapping[str, str]) -> Path:
    found = shutil.which(word, path=environ.get("PATH", ""))
    if found is None:
        raise NotFound(
            f"There is no program {word}.",
            hint="Install it, or add its folder to PATH.",
            code="ai.program_missing",
        )
    return Path(found)


def _deliver(profile: Profile, client: ClientName, helper: Path) -> Delivery:
    known = CLIENTS[client]
    reason = why_not(profile, known, "user")
    if reason:
        raise UsageError(
            f"{known.title} cannot be started on {profile.name}: {reason}.",
            hint="Choose another profile or client: mahavishnu ai profile list",
            code="ai.unsuitable_profile",
        )
    return deliver(profile, known.way, helper=helper)


def _without_strays(
    profile: Profile, delivery: Delivery, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the environment without what leads to another provider, and what was taken out of it."""
    own = profile.key.place if profile.key and profile.key.scheme == "env" else ""
    # With a client's own sign-in, what carries that stays.
    gone = () if delivery.mode == "native" else SIGN_INS
    out = {
        name
        for name in environ
        if (name.startswith(_FOREIGN) or name in gone)
        and (name != own or delivery.mode == "native")
    }
    kept = {name: value for name, value in environ.items() if name not in out}
    return kept, tuple(sorted(out))


def _claude_options(delivery: Delivery, words: Sequence[str]) -> tuple[str, ...]:
    """Return settings that override those of all files, in which "" stands for what is not wanted."""
    if any(word.split("=")[0] in _OWN_SETTINGS for word in words):
        raise UsageError(
            "Claude Code takes only one --settings, and the profile is given by that.",
            hint="Put your settings into a file of the client, or switch with: mahavishnu ai"
            " switch-llm",
            code="ai.own_settings",
        )
    variables: dict[str, Value] = dict.fromkeys(OWNED_ENV, "")
    helper: Value = ""
    for change in CLIENTS["claude-code"].changes(JsonDocument.parse(b""), delivery, Known()):
        if isinstance(change, Set) and change.path == HELPER:
            helper = change.value
        elif isinstance(change, Set):
            variables[change.path[1]] = change.value
    return ("--settings", json.dumps({"env": variables, "apiKeyHelper": helper}))


def _codex_options(delivery: Delivery) -> tuple[str, ...]:
    """Return overrides for a provider of this session's own."""
    if delivery.mode == "native":
        model = [(MODEL, delivery.model)] if delivery.model else []
        return _overrides([(CHOSEN, OWN_PROVIDER), *model])
    found = CLIENTS["codex"].changes(TomlDocument.parse(b""), delivery, Known())
    said = {each.path: each.value for each in found if isinstance(each, Set)}
    provider = said.pop(PROVIDER)
    said[CHOSEN] = RUN_ID
    return _overrides([*said.items(), ((*PROVIDER[:-1], RUN_ID), provider)])


def _overrides(said: Sequence[tuple[tuple[str, ...], Value]]) -> tuple[str, ...]:
    return tuple(
        word for path, value in said for word in ("-c", f"{render_key(path)}={render(value)}")
    )


def _qwen_options(
    delivery: Delivery, key: Secret, *, environ: Mapping[str, str], folder: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return variables with the key, and flags; it has no way to ask a command for the key."""
    kind = LISTS[delivery.protocol]
    names = {_QWEN_KEYS[delivery.protocol]}
    known = find_model(delivery, names, environ=environ, folder=folder)
    names |= {known} if known else set()
    more = dict.fromkeys(names, key.reveal())
    more["NODE_TLS_REJECT_UNAUTHORIZED"] = "1"  # else a .env of the project could switch it off
    flags = ("--auth-type", kind, "--model", delivery.model)
    if kind == "anthropic":
        return {**more, "ANTHROPIC_BASE_URL": delivery.url}, flags
    return more, (*flags, "--openai-base-url", delivery.url)


def _past_proxies(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return variables that keep what goes to this machine in the open from proxies.

    One could read the key, and Qwen Code takes from a `.env` or the settings of a project what is not set.
    Through https a proxy reads nothing, and the user may need one.
    """
    scheme, host, _ = origin_of(url)
    if scheme == "https":
        return {}
    # An IPv6 address has many forms, and only one of them is compared.
    own = "*" if host.startswith("[") and host != "[::1]" else f"{host},{host}."
    own += ",::1" if host == "[::1]" else ""
    said = {name: environ.get(name) or environ.get(other, "") for name, other in _NO_PROXY.items()}
    return {
        name: "*" if "*" in (value, own) else f"{value},{own}".lstrip(",")
        for name, value in said.items()
    }
