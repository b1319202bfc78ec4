"""The words by which a session is started again where it was."""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import replace

from mahavishnu.ai.clients.running import variables_of
from mahavishnu.ai.clients.session import Resume, RunningSession
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.clients.transcripts import decode_object
from mahavishnu.ai.secrets.showing import shown, shown_text


def plan_resume(session: RunningSession, words: Sequence[str], *, model: str | None) -> Resume:
    """
    Return how a session is resumed; one that has nothing to resume is started again.

    `words` are those it was started with. `model` is the one to ask then: None for what the settings
    say, "" for the client's own choice.
    """
    return CLIENTS[session.client].sessions.resume(session, words, model)


def on_profile(resume: Resume, profile: str, said: Collection[str]) -> Resume:
    """Return how one is resumed that `ai run` started: on the same profile, whose options that has `said`."""
    words = ("mahavishnu", "ai", "run", profile, "--", *resume.words)
    return Resume(words, tuple(each for each in resume.left_out if each not in said))


def at_home(resume: Resume, session: RunningSession) -> Resume:
    """Return how one is resumed in any terminal: where its client was given another home, in that."""
    name = CLIENTS[session.client].home_variable
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
