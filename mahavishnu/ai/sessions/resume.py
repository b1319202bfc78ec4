"""The words by which a session is started again where it was."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mahavishnu.ai.clients.running import variables_of, word_after
from mahavishnu.ai.clients.session import Session
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.clients.transcripts import decode_object
from mahavishnu.ai.secrets.showing import shown, shown_text

# Options that are said again, with how many words follow each; -1: all up to the next option.
_KEPT: Mapping[ClientName, Mapping[str, int]] = {
    "claude-code": {
        "--dangerously-skip-permissions": 0, "--allow-dangerously-skip-permissions": 0,
        "--strict-mcp-config": 0, "--verbose": 0, "--ide": 0, "--chrome": 0,
        "--permission-mode": 1, "--settings": 1, "--agent": 1, "--append-system-prompt": 1,
        "--system-prompt": 1, "--setting-sources": 1,
        "--add-dir": -1, "--mcp-config": -1, "--allowedTools": -1, "--allowed-tools": -1,
        "--disallowedTools": -1, "--disallowed-tools": -1, "--plugin-dir": -1,
    },
    "codex": {},
    "qwen": {
        "-y": 0, "--yolo": 0, "-s": 0, "--sandbox": 0, "--approval-mode": 1,
        "--system-prompt": 1, "--append-system-prompt": 1, "--output-style": 1,
    },
}  # fmt: skip
# Options that the words to resume take the place of, with how many words follow each.
_REPLACED: Mapping[ClientName, Mapping[str, int]] = {
    "claude-code": {"--resume": 1, "-r": 1, "--continue": 0, "-c": 0, "--model": 1, "--session-id": 1},
    "codex": {},
    "qwen": {"--resume": 1, "-r": 1, "--continue": 0, "-c": 0, "--model": 1, "-m": 1, "--session-id": 1},
}  # fmt: skip


_SAID_BY_RUN = frozenset({"--auth-type", "--openai-base-url"})
_HOMES: Mapping[ClientName, str] = {
    "claude-code": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME", "qwen": "QWEN_HOME",
}  # fmt: skip
# Names of Claude Code's own that a provider's models are put behind.
_ALIASES = frozenset({"default", "opus", "opusplan", "sonnet", "haiku", "fable", "best"})


@dataclass(frozen=True)
class Resume:
    """The `words`, the program first, and the options of the session that are not among them."""

    words: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def plan_resume(session: Session, words: Sequence[str], *, model: str | None) -> Resume:
    """
    Return how a session is resumed; one that has nothing to resume is started again.

    `words` are those it was started with. `model` is the one to ask then: None for what the settings
    say, "" for the client's own choice.
    """
    program = CLIENTS[session.client].program
    if session.client == "codex":
        chosen = ("-m", model) if model else ()
        return Resume((program, "resume", session.id, *chosen))
    kept, left_out = _sort(session.client, _options_in(words))
    chosen = ()
    if session.client == "claude-code":
        alias = alias_in(words)
        chosen = ("--model", alias or "default") if alias or model == "" else ()
    again = ("--resume", session.id) if session.id else ()
    return Resume((program, *kept, *chosen, *again), left_out)


def on_profile(resume: Resume, profile: str) -> Resume:
    """Return how one is resumed that `ai run` started: on the same profile, whose options that says again."""
    words = ("mahavishnu", "ai", "run", profile, "--", *resume.words)
    return Resume(words, tuple(each for each in resume.left_out if each not in _SAID_BY_RUN))


def at_home(resume: Resume, session: Session) -> Resume:
    """Return how one is resumed in any terminal: where its client was given another home, in that."""
    name = _HOMES[session.client]
    given = variables_of(session.process, [name]).get(name)
    return replace(resume, words=("env", f"{name}={given}", *resume.words)) if given else resume


def shown_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return words as they may be printed: with *** for every key in them, also in JSON."""
    return tuple(map(_shown_word, words))


def _shown_word(word: str) -> str:
    start = word.find("{") if word.startswith(("{", "--")) else -1
    said = decode_object(os.fsencode(word[start:])) if start >= 0 else None
    if said is None:
        return shown_text(word)
    harmless = shown("", said)
    return word if harmless == said else word[:start] + json.dumps(harmless)


def alias_in(words: Sequence[str]) -> str:
    """Return the name of Claude Code's own that was chosen as model; settings change what it stands for."""
    given = word_after("--model", words)
    return given if given.partition("[")[0] in _ALIASES else ""


def _options_in(words: Sequence[str]) -> Sequence[str]:
    """Return the words after the program, which of a script is the last word that ends in .js."""
    scripts = [
        place
        for place, word in enumerate(words[:6])
        if Path(word).suffix in (".js", ".cjs", ".mjs")
    ]
    return words[scripts[-1] + 1 :] if scripts else words[1:]


def _sort(client: ClientName, words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the options to say again, and the names of those that are not known; a prompt is not said again."""
    kept: list[str] = []
    left_out: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, mark, _ = word.partition("=")
        if not name.startswith("-"):
            continue
        if name in _KEPT[client]:
            kept += [word, *_take(rest, 0 if mark else _KEPT[client][name])]
        elif name in _REPLACED[client]:
            _take(rest, 0 if mark else _REPLACED[client][name])
        else:
            left_out.append(name)
    return kept, tuple(left_out)


def _take(rest: list[str], count: int) -> list[str]:
    """Take so many words off the rest, below 0 as many as there are, and none from the next option on."""
    free = next((place for place, word in enumerate(rest) if word.startswith("-")), len(rest))
    number = free if count < 0 else min(count, free)
    taken, rest[:] = rest[:number], rest[number:]
    return taken
