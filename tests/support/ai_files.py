"""
Foreign programs that write their settings file at any moment, and a seam in which each step can fail.

As a program, for tests: `kill FOLDER SCENARIO` kills an edit at each of its steps; `client KIND FILE COUNT LOG`
imitates a client that adds keys to its file.
"""

import errno
import io
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import Patience, SettingsFile
from mahavishnu.ai.foreign_files.merge import Set
from mahavishnu.base import files

QUICK = Patience(torn=timedelta(milliseconds=200), settle=timedelta(milliseconds=2))
AT_ONCE = Patience(lock=timedelta(0), torn=timedelta(0), settle=timedelta(0))
OLD = b'{\n  "theirs": 1.0\n}\n'
NEW = b'{\n  "theirs": 1.0,\n  "env": {\n    "OURS": "x"\n  }\n}\n'
FRESH = b'{\n  "env": {\n    "OURS": "x"\n  }\n}\n'
CHANGE = (Set(("env", "OURS"), "x"),)
SEAM = [
    (os, name)
    for name in ("open", "read", "write", "fsync", "fchmod", "stat", "fstat", "unlink", "link", "replace", "mkdir",
                 "listdir", "ftruncate")
] + [(io, "open"), (files, "exchange")]  # fmt: skip
SCENARIOS = ("there", "new", "linked", "no exchange")


def settings_file(path: Path, patience: Patience = AT_ONCE) -> SettingsFile:
    """A JSON file beside which, in `locks`, our locks are."""
    return SettingsFile(path, JsonDocument, path.parent.parent / "locks", patience)


def prepare(folder: Path, scenario: str) -> tuple[SettingsFile, Path]:
    """Put the file of a scenario into `folder`, where nothing else is; return it and its target."""
    (folder / "client").mkdir(parents=True, exist_ok=True)
    path = folder / "client" / "settings.json"
    for each in path.parent.iterdir():
        each.unlink()
    target = path
    if scenario == "linked":
        target = path.with_name("dotfiles.json")
        path.symlink_to("dotfiles.json")
    if scenario != "new":
        target.write_bytes(OLD)
    return settings_file(path), target


def wanted(scenario: str) -> tuple[bytes | None, bytes]:
    """Return the only two contents that the file may ever have."""
    return (None, FRESH) if scenario == "new" else (OLD, NEW)


def content(path: Path) -> bytes | None:
    """Return what is in the file; None where there is none."""
    return path.read_bytes() if path.exists() else None


@contextmanager
def at_step(number: int, act: Callable[[], Any], *, exchange: bool = True) -> Iterator[list[int]]:
    """Let `act` happen at that step of what is done to files; gives the number of steps so far."""
    kept = [(home, name, getattr(home, name)) for home, name in SEAM]
    steps = [0]

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            steps[0] += 1
            if steps[0] == number:
                act()
            if original is files_exchange and not exchange:
                raise OSError(errno.ENOSYS, "no such call")
            return original(*arguments, **options)

        return step

    files_exchange = files.exchange
    for home, name, original in kept:
        setattr(home, name, wrapped(original))
    try:
        yield steps
    finally:
        for home, name, original in kept:
            setattr(home, name, original)


def kill_at_every_step(folder: Path, scenario: str) -> dict[str, int]:
    """Kill one process after the other, each one step later, until one is through; return what was seen."""
    old, new = wanted(scenario)
    seen = {"old": 0, "new": 0, "left": 0}
    for number in range(1, 1000):
        file, target = prepare(folder, scenario)
        child = os.fork()
        if child == 0:
            with at_step(
                number,
                lambda: os.kill(os.getpid(), signal.SIGKILL),
                exchange=scenario != "no exchange",
            ):
                file.edit(CHANGE)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        found = content(target)
        assert found in (old, new), (number, found)
        seen["old" if found == old else "new"] += 1
        names = {target.name, file.path.name}
        seen["left"] += {each.name for each in target.parent.iterdir()} - names != set()
        file.edit(CHANGE)
        assert content(target) == new, number
        assert {each.name for each in target.parent.iterdir()} == names, number
        if status == 0:
            return seen
    raise AssertionError("it never ended")


@dataclass(frozen=True)
class Turn:
    """One write of a client: its time, what of ours it had read, and which of its own keys were not there."""

    began: float
    over: float
    env: dict[str, Any]
    missing: list[int]

    def meets(self, start: float, end: float) -> bool:
        """Tell whether any of it was between the two moments."""
        return self.began < end and start < self.over


def read_turns(log: Path) -> list[Turn]:
    """Return what a client noted that has ended."""
    return [Turn(*each) for each in json.loads(log.read_text())]


@dataclass(frozen=True)
class Exchange:
    """An exchange of our temporary file and the client's, and the moments before and after it."""

    temporary: Path
    start: float
    end: float


@contextmanager
def noted_exchanges() -> Iterator[list[Exchange]]:
    """Give a list that gets each exchange in this block."""
    noted: list[Exchange] = []
    exchange = files.exchange

    def note(one: Path, other: Path) -> None:
        start = time.monotonic()
        exchange(one, other)
        noted.append(Exchange(one, start, time.monotonic()))

    files.exchange = note
    try:
        yield noted
    finally:
        files.exchange = exchange


def check_client_keys(theirs: object, turns: list[Turn], exchanges: list[Exchange]) -> int:
    """
    Check that all keys of a client are there, and return how many it lost by what cannot be helped.

    That is, it read our text in the moment in which its own was out of its place, to be put back.
    """
    assert isinstance(theirs, dict)
    lost = [number for number in range(len(turns)) if f"k{number}" not in theirs]
    for number in lost:
        reader = next(turn for turn in turns if number in turn.missing)
        assert any(
            reader.meets(first.start, last.end)
            for first, last in itertools.pairwise(exchanges)
            if first.temporary == last.temporary
        ), (number, reader)
    assert len(lost) < len(turns) / 100, lost
    return len(lost)


def imitate_client(
    kind: str, path: Path, count: int
) -> list[tuple[float, float, dict[str, Any], list[int]]]:
    """Add a key, `count` times, to what the file says; return the turns."""
    source = random.Random(kind)
    turns = []
    for number in range(count):
        began = time.monotonic()
        says = json.loads(path.read_bytes())  # what we write is never seen in parts
        says["theirs"][f"k{number}"] = number
        text = json.dumps(says).encode()
        if kind == "renames":
            temporary = path.with_name("client.tmp")
            temporary.write_bytes(text)
            temporary.replace(path)
        else:
            descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
            time.sleep(source.uniform(0, 0.0008))
            cut = source.randrange(len(text))
            os.write(descriptor, text[:cut])
            os.write(descriptor, text[cut:])
            os.close(descriptor)
        missing = [n for n in range(number) if f"k{n}" not in says["theirs"]]
        turns.append((began, time.monotonic(), says.get("env", {}), missing))
        time.sleep(source.choice([0.0002, 0.0005, 0.001, 0.003, 0.006]))
    return turns


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "kill":
        print(json.dumps(kill_at_every_step(Path(arguments[0]), arguments[1])))
    else:
        kind, path, count, log = arguments
        Path(log).write_text(json.dumps(imitate_client(kind, Path(path), int(count))))
