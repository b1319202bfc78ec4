"""A switch, or an undo, that is killed at each of its steps: as a program, `FOLDER SCENARIO`."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mahavishnu.ai.switching.drift import adopt
from mahavishnu.ai.switching.recovery import settle
from mahavishnu.ai.switching.restore import restore
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.ai.switching.undo import undo
from tests.support.ai_files import at_step
from tests.support.parts import Part
from tests.support.switching import FILES, KEYS, ONE, TWO, install, site_in, switch_to

# What the long loops of switching prove; where any of it changed they run whole.
CODE = (
    "mahavishnu/ai/clients/claude_code/key_settings",
    "mahavishnu/ai/clients/claude_code/settings",
    "mahavishnu/ai/clients/codex/",
    "mahavishnu/ai/clients/qwen/",
    "mahavishnu/ai/clients/settings",
    "mahavishnu/ai/foreign_files/",
    "mahavishnu/ai/profiles/",
    "mahavishnu/ai/switching/",
    "mahavishnu/base/files",
    "tests/integration/test_ai_",
    "tests/support/switching",
)
TEXTS = {
    "claude_code": '{\n  "permissions": {"allow": ["x"]}\n}\n',
    "codex": '# mine\nmodel = "gpt"  # good\n',
    "qwen": '{"$version": 4}\n',
}


def switch_raw(site: Site) -> None:
    switch_to(site, TWO, write_key=True)


def change_by_hand(site: Site) -> None:
    """Switch, then lead one client elsewhere, delete the settings of another, and leave one alone."""
    switch_to(site, ONE)
    home = Path(site.environ["HOME"])
    codex, qwen = home / FILES["codex"], home / FILES["qwen"]
    for path in (codex, qwen):
        path.write_text(path.read_text().replace("https://one.example/v1", "https://x.example"))
    (home / FILES["claude-code"]).unlink()


def adopt_all(site: Site) -> None:
    change_by_hand(site)
    adopt(site)


# What is done before, and what is killed.
SCENARIOS: dict[str, tuple[Callable[[Site], object], Callable[[Site], object]]] = {
    "first": (lambda _: None, lambda site: switch_to(site, ONE)),
    "new files": (lambda _: None, lambda site: switch_to(site, ONE)),
    "undo to no files": (lambda site: switch_to(site, ONE), undo),
    # Of one client alone, what an undo had emptied for a running session is removed, not filled again.
    "undo to no file": (lambda site: switch_to(site, ONE, "claude-code"), undo),
    "raw keys": (switch_raw, lambda site: switch_to(site, ONE)),
    "undo": (switch_raw, undo),
    "restore": (change_by_hand, lambda site: restore(site, lambda _: ONE, SwitchOptions())),
    "undo of an adoption": (adopt_all, undo),
}


WITHOUT_FILES = ("new files", "undo to no files", "undo to no file")


def prepare(home: Path, scenario: str) -> Site:
    """Make the home anew, with a session of Claude Code that runs: this process."""
    home.mkdir()
    install(home, **({} if scenario in WITHOUT_FILES else TEXTS))
    sessions = home / ".claude" / "sessions"
    sessions.mkdir()
    (sessions / f"{os.getpid()}.json").write_text("{}")
    site = site_in(home)
    SCENARIOS[scenario][0](site)
    return site


def contents(home: Path) -> dict[str, tuple[str, int, int] | None]:
    """Return the clients' files as they are, with their modes and those of their folders; None where there is none."""
    paths = {name: home / relative for name, relative in FILES.items()}
    return {
        name: (path.read_text(), path.stat().st_mode, path.parent.stat().st_mode)
        if path.exists()
        else None
        for name, path in paths.items()
    }


def kill_at_every_step(folder: Path, scenario: str, part: Part) -> dict[str, int]:
    """Kill one process after the other, each at a later step, until one is through; return what was seen."""
    act = SCENARIOS[scenario][1]
    os.fsync = lambda _: None  # what is killed leaves all that it wrote
    home, kept = folder / "home", folder / "kept"
    site = prepare(home, scenario)
    shutil.copytree(home, kept)
    old = contents(home)
    act(site)
    new = contents(home)
    assert old != new
    seen = {"old": 0, "new": 0, "between": 0, "steps": 0}
    for number in part.steps(3000):
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        child = os.fork()
        if child == 0:
            with at_step(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                act(site)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        between = contents(home)
        seen["between"] += between not in (old, new)
        settled = settle_in(site)
        found = contents(home)
        assert found in (old, new), (number, settled, found)
        history = site.journal.read()
        assert not history.open and len(history.done) - (found == new) == history_before(scenario)
        journal = site.journal.path.read_text() if site.journal.path.exists() else ""
        assert not [key for key in KEYS.values() if key in journal]
        seen["old" if found == old else "new"] += 1
        seen["steps"] = number
        if found == old:
            act(site)
        assert contents(home) == new, number
        if status == 0:
            return seen
    raise AssertionError("it never ended")


def settle_in(site: Site) -> tuple[str, ...]:
    """Do what the next command does first."""
    with site.journal.held():
        return settle(site).told


def history_before(scenario: str) -> int:
    """Return how many entries were done before."""
    return {"first": 0, "new files": 0, "undo of an adoption": 2}.get(scenario, 1)


if __name__ == "__main__":
    chosen = Part(int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(kill_at_every_step(Path(sys.argv[1]), sys.argv[2], chosen)))
