"""Real AI clients that run in panes of tmux: what `mahavishnu` says of them, and which provider they ask."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mahavishnu.ai_env.profiles import ClientName
from tests.peers.pseudo_terminal import until
from tests.peers.switched import KEYS, Household, move_in, programs, providers, write
from tests.peers.tmux import Pane

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
            end_codex(household)
        served.assert_nothing_leaked()
        assert nothing_runs(household)
        # Nothing of the user's own was changed, whatever was switched and restarted.
        said = json.loads((home / ".qwen/settings.json").read_text())
        assert {name: said[name] for name in ("general", "privacy")} == {
            name: quiet[name] for name in ("general", "privacy")
        }
        assert said["security"]["folderTrust"] == quiet["security"]["folderTrust"]
        assert trust in (home / ".codex/config.toml").read_text()


def end_codex(household: Household) -> None:
    """End what Codex leaves running: its server by its own command, the updater by the pid it registered."""
    folder = household.home / ".codex/app-server-daemon"
    if not folder.is_dir():
        return
    [codex] = programs()["codex"]
    household.run(codex, "app-server", "daemon", "stop")
    with contextlib.suppress(OSError, ValueError):
        updater = json.loads((folder / "daemon-updater.pid").read_text())
        os.kill(updater["pid"], signal.SIGTERM)


def nothing_runs(household: Household) -> bool:
    """Tell whether no process is left that has the household's home in its environment."""

    def ours(folder: Path) -> bool:
        try:
            state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
            environ = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return state != b"Z" and f"HOME={household.home}".encode() in environ

    return until(lambda: not any(map(ours, Path("/proc").glob("[0-9]*"))), timeout_s=15)


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
    return until(lambda: only(household, client)["activity"] == "idle", timeout_s=30)


def switch(household: Household, name: str, client: ClientName, restart: str = "never") -> Any:
    """Switch one client, and return what the command says."""
    answer = household.command(
        "ai", "switch-llm", name, "--client", client, "--restart", restart, "--json"
    )
    assert answer.status == 0, answer
    return answer.json


def asks(household: Household, pane: Pane, name: str, *, timeout_s: float = 30) -> str:
    """Ask something; the first request for a whole answer goes to this provider; return the model it was for."""
    served = household.providers
    for stub in served.stubs.values():
        stub.asked.clear()
    pane.ask("Say something.")
    if not until(served.count, timeout_s=5):
        pane.press("Enter")  # Codex takes none while it begins
    assert until(served.count, timeout_s=timeout_s), pane.shown
    time.sleep(1)
    turns = served.turns(name)
    assert turns, ({each: len(stub.turns) for each, stub in served.stubs.items()}, pane.shown)
    key = KEYS[f"{name.upper()}_KEY"]
    assert all(key in each.headers["authorization"] for each in turns)
    model = str(max(turns, key=lambda each: len(json.dumps(each.body))).body["model"])
    served.assert_nothing_leaked()
    return model


def began(household: Household, client: ClientName) -> bool:
    """Wait until a session of the client is registered, and tell whether it came to be."""

    def there() -> bool:
        return any(each["client"] == client for each in sessions(household))

    return until(there, timeout_s=60)


def end(household: Household, pane: Pane, client: ClientName) -> None:
    """End a session by the pid that it registered."""
    os.kill(only(household, client)["pid"], signal.SIGTERM)
    assert until(
        lambda: not [e for e in sessions(household) if e["client"] == client], timeout_s=20
    )
