"""A home in which a directory is bound to a provider, and how clients are run there."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers.switched import KEYS, Household, move_in, providers, write

EXEC = ("exec", "--skip-git-repo-check", "Say something.")
PROMPT = ("-p", "Say something.")
BINDING = ("mahavishnu/ai/bindings/", "mahavishnu/ai/clients/")  # the code that keeps a directory
BEARER = {"authorization": f"Bearer {KEYS['ONE_KEY']}"}


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    """A home in which `project` is bound to `one`, and all clients are on `two`."""
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".claude/settings.json", "{}\n")
        write(tmp_path / ".codex/config.toml", "# mine\n")
        write(tmp_path / ".qwen/settings.json", {"$version": 4})
        for client in ("claude-code", "codex", "qwen"):
            household.switch("two", client)
        answer = household.command("ai", "bind", "one")
        assert answer.status == 0 and not answer.err, answer
        served.assert_untouched(*served.stubs)
        with daemons_ended(household):
            yield household
        served.assert_nothing_leaked()


@contextlib.contextmanager
def daemons_ended(household: Household) -> Iterator[None]:
    """End what Codex leaves running, by its own command, and its updater by the pid that it wrote."""
    try:
        yield
    finally:
        household.run(household.home / "bin/codex", "app-server", "daemon", "stop")
        updater = household.home / ".codex/app-server-daemon/daemon-updater.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(json.loads(updater.read_text())["pid"], signal.SIGTERM)


def run(household: Household, client: str, *words: str | Path, **options: Any) -> str:
    """Run a client to its end, and return what it said."""
    prompt = EXEC if client == "codex" else PROMPT
    done = household.run(household.home / "bin" / client, *(words or prompt), **options)
    return done.stdout + done.stderr


def assert_stopped(household: Household, client: str, *words: str | Path, **options: Any) -> None:
    """Assert that a run asks no model of anybody."""
    said = run(household, client, *words, **options)
    household.providers.assert_no_turns(said)


def assert_kept(household: Household, client: str) -> None:
    """Assert that `ai run --bound` reaches the bound provider, and no other."""
    prompt = EXEC if client == "codex" else PROMPT
    answer = household.command("ai", "run", "--bound", "--", client, *prompt)
    assert answer.status == 0, answer
    household.providers.assert_reached("one", BEARER, "one-large")
