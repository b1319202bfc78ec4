"""
Writers and drainers of a spool that are killed in the middle: as a program, `write|drain HOME DSN SEED...`.

A killed process is forked from this one, and counts the functions that the product calls, its own and others': at a
number that the seed gives it ends by SIGKILL, so that the same seed leads to the same place. It prints lines of JSON.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import mahavishnu
from mahavishnu.app import open_app
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.factories import database_name
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.spool.entries import Write, write_down
from mahavishnu.memory.spool.file import SpoolFile
from tests.support.away import environ_of

PACKAGE = str(Path(mahavishnu.__file__).parent)
MOST_CALLS = 1_000  # of a writer, before it is killed
KNOWN = "known before"


def say(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def forked(work: Callable[[], object], *, kill_at: float = float("inf")) -> tuple[bool, int]:
    """Run work in a process of its own; returns whether it was killed, and how many calls it made."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        calls = 0

        def count(frame: FrameType, event: str, _argument: Any) -> None:
            nonlocal calls
            if event.endswith("call") and frame.f_code.co_filename.startswith(PACKAGE):
                calls += 1
                if calls >= kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        threading.setprofile(count)
        sys.setprofile(count)
        work()
        os.write(theirs, str(calls).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as counted:
        text = counted.read()
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0, int(text or 0)


def write(spool: SpoolFile, seed: int) -> None:
    """Let a writer keep writes until it is killed; says each that was acknowledged."""

    def work() -> None:
        for number in itertools.count():
            entries = [
                write_down(NewMemory(content=f"{seed}.{number}.{n}"), "embedded")
                for n in range(1 + number % 3)
            ]
            spool.append(entries)
            say(kept=[str(each.id) for each in entries])

    killed, _ = forked(work, kill_at=random.Random(seed).randint(1, MOST_CALLS))
    say(seed=seed, killed=killed)


def some_writes(seed: int) -> list[Write]:
    """Return writes of each kind; one has a text that is known, and an execution begins and ends."""
    news = [NewMemory(content=f"{seed} memory {n}") for n in range(6)]
    turns = [NewTurn(session_id=f"s{seed}", position=n, role="user", content=f"{seed} turn {n}")
             for n in range(3)]  # fmt: skip
    began = NewExecution(execution_id=f"e{seed}", workflow_id=f"w{seed}", adapter="a",
                         status="running", started_at=utc_now())  # fmt: skip
    ended = replace(began, status="cancelled")
    return [*news[:3], began, NewMemory(content=KNOWN), *turns, ended, *news[3:]]


def drain(spool: SpoolFile, loaded: Loaded, seeds: list[int]) -> None:
    """Drain once for each seed, and be killed in it; what is left is for the next one. Says what was spooled."""
    name = database_name(loaded.settings.postgresql)

    def work() -> None:
        async def run() -> None:
            async with open_app(loaded, drain=False) as app:
                await app.writes.drain()

        asyncio.run(run())

    def put(seed: int) -> None:
        entries = [write_down(each, name) for each in some_writes(seed)]
        spool.append(entries)
        say(kept=[str(each.id) for each in entries])

    put(-1)
    _, calls = forked(work)  # which is not killed: it tells how long one is
    for seed in seeds:
        put(seed)
        killed, _ = forked(work, kill_at=random.Random(seed).randint(1, calls))
        say(seed=seed, killed=killed, left=spool.total())


def main(what: str, home: Path, dsn: str, seeds: list[int]) -> None:
    loaded = load_settings(environ=environ_of(home, dsn), folder=home)
    spool = SpoolFile(loaded.locations.data)
    if what == "drain":
        drain(spool, loaded, seeds)
    else:
        for seed in seeds:
            write(spool, seed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], [int(each) for each in sys.argv[4:]])
