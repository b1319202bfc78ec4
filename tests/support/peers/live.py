"""Real AI clients that run in panes of tmux: what `mahavishnu` says of them, and which provider they ask."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.table import ClientName
from tests.support.peers.provider_stub import Asked
from tests.support.peers.pseudo_terminal import submit, until
from tests.support.peers.switched import KEYS, Household, move_in, programs, providers, write
from tests.support.peers.tmux import Pane

NOTICED_S = 2.5
READY = {"claude-code": "❯", "codex": "Ask Codex", "qwen": "Type your message"}


@contextlib.contextmanager
def living(home: Path) -> Iterator[Household]:
    """Yield a household whose clients ask nothing when they begin; no process of it is left behind."""
    with providers() as served:
        household = move_in(home, served)
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        claude = {"hasCompletedOnboarding": True, "theme": "dark",
                  "projects": {str(household.project): trusted}}  # fmt: skip
        write(home / ".claude.json", claude)
        write(home / ".claude/settings.json", {"permissions": {"allow": ["Bash(ls:*)"]}})
        quiet = {
            "security": {"folderTrust": {"enabled": False}},
            "general": {"disableAutoUpdate": True},
            "privacy": {"usageStatisticsEnabled": False},
        }
        write(home / ".qwen/settings.json", quiet)
        trust = f'# My own.\n[projects."{household.project}"]\ntrust_level = "trusted"\n'
        write(home / ".codex/config.toml", trust)
        try:
            yield household
        finally:
            end_codex(household.home, household.environ)
        served.assert_nothing_leaked()
        assert nothing_runs(household)
        # Nothing of the user's own was changed, whatever was switched and restarted.
        said = json.loads((home / ".qwen/settings.json").read_text())
        assert {name: said[name] for name in ("general", "privacy")} == {
            name: quiet[name] for name in ("general", "privacy")
        }
        assert said["security"]["folderTrust"] == quiet["security"]["folderTrust"]
        assert trust in (home / ".codex/config.toml").read_text()


def end_codex(home: Path, environ: Mapping[str, str]) -> None:
    """End what Codex leaves running: its server by its own command, the updater by the pid it registered."""
    folder = home / ".codex/app-server-daemon"
    if not folder.is_dir():
        return
    [codex] = programs()["codex"]
    words = [codex, "app-server", "daemon", "stop"]
    subprocess.run(words, env=environ, cwd=home, capture_output=True, timeout=60, check=False)
    with contextlib.suppress(OSError, ValueError):
        updater = json.loads((folder / "daemon-updater.pid").read_text())
        os.kill(updater["pid"], signal.SIGTERM)


def nothing_runs(household: Household) -> bool:
    """Tell whether no process is left that has the household's home in its environment."""

    return until(lambda: not household.processes(), timeout_s=60)


def sessions(household: Household) -> list[dict[str, Any]]:
    """Return what `ai sessions` says."""
    answer = household.command("ai", "sessions", "--json")
    assert answer.status == 0, answer
    found: list[dict[str, Any]] = answer.json["sessions"]
    return found


def only(household: Household, client: ClientName) -> dict[str, Any]:
    """Return the one session of a client."""
    [found] = [each for each in sessions(household) if each["client"] == client]
    return found


def idle(household: Household, client: ClientName) -> bool:
    """Wait until the session is idle, and tell whether it came to be."""
    return until(lambda: only(household, client)["activity"] == "idle", timeout_s=60)


def switch(household: Household, name: str, client: ClientName, restart: str = "never") -> Any:
    """Switch one client, and return what the command says."""
    answer = household.command(
        "ai", "switch-llm", name, "--client", client, "--restart", restart, "--json"
    )
    assert answer.status == 0, answer
    return answer.json


def asks(household: Household, pane: Pane, name: str, *, before: str = "") -> str:
    """
    Ask something; the requests for a whole answer go to this provider; return the model they were for.

    It is asked again while the client still goes to the provider of `before`: a busy one notices a switch late.
    """
    served = household.providers
    end = time.monotonic() + 60

    def answering() -> dict[str, list[Asked]]:
        """Return who was asked by the client itself, which offers its tools, and not for a title."""
        whole = {
            each: [asked for asked in served.turns(each) if asked.body.get("tools")]
            for each in served.stubs
        }
        return {each: asked for each, asked in whole.items() if asked}

    while True:
        for stub in served.stubs.values():
            stub.asked.clear()
        say(household, pane, answering)
        time.sleep(1)  # what else it asks
        served.assert_nothing_leaked()
        if before not in answering() or time.monotonic() > end:
            break
    assert answering().keys() == {name}, f"{pane.shown}\n{served.journal}"
    key, turns = KEYS[f"{name.upper()}_KEY"], served.turns(name)
    assert all(key in each.headers["authorization"] for each in turns), str(served.journal)
    served.assert_nothing_leaked()
    return str(answering()[name][0].body["model"])


def say(
    household: Household, pane: Pane, happened: Callable[[], object], text: str = "Say something."
) -> None:
    """Say something, and wait until something happens."""
    journal = household.providers.journal
    journal.note(f"typed: {text}")
    submit(pane, text, happened, lambda: f"{pane.shown}\n{journal}")


def began(household: Household, client: ClientName) -> bool:
    """Wait until a session of the client is registered, and tell whether it came to be."""

    def there() -> bool:
        return any(each["client"] == client for each in sessions(household))

    return until(there, timeout_s=60)


def end(household: Household, pane: Pane, client: ClientName) -> None:
    """End a session by the pid that it registered."""
    os.kill(only(household, client)["pid"], signal.SIGTERM)
    assert until(
        lambda: not [e for e in sessions(household) if e["client"] == client], timeout_s=60
    )
