"""Mixed load with random faults, for an hour: `python -m tests.soak --minutes 60 --seed 1`."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

import httpx
import psutil

from benchmarks.world import clean_up_when_told_to_stop
from tests.crash.scenarios import HALVES
from tests.soak.calls import Refused, call_api
from tests.soak.clients import Client
from tests.soak.harms import EVERY_S, Harmer
from tests.soak.home import PROFILE_KEYS, Home
from tests.soak.report import GOAL, availability, unexplained, write_report
from tests.soak.watching import BEACON, Watcher
from tests.support.command import ROOT, Command
from tests.support.small_disk import small_disk
from tests.support.switching import install

CLIENTS = 10
DISK_MB = 1024
SETTLE_S = 180
# What is there, with the keys of the ledger.
FOUND = (
    "SELECT content FROM memories WHERE superseded_by IS NULL AND content ~ '^(Note|Turn) '",
    "SELECT execution_id FROM workflow_executions WHERE workflow_id = 'soak'",
    "SELECT execution_id || ' ended' FROM workflow_executions WHERE workflow_id = 'soak' AND status = 'completed'",
    "SELECT source FROM performance_metrics WHERE name = 'soak'",
)


def main() -> int:
    """Run, and print the report; the exit code is 1 where anything was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two faults")
    asked = parser.parse_args()
    clean_up_when_told_to_stop()
    with tempfile.TemporaryDirectory(prefix="mahavishnu-soak-") as folder, contextlib.ExitStack() as undo:  # fmt: skip
        home = Home(Command(Path(folder), PROFILE_KEYS), Path(folder) / "daemon.out")
        if ROOT:
            undo.enter_context(small_disk(home.command.root, DISK_MB))
        harmer = Harmer(home, asked.seed, asked.minutes * 60, ROOT, asked.every)
        wrong = asyncio.run(run(home, harmer, asked.seed))
        return 1 if wrong else 0


async def run(home: Home, harmer: Harmer, seed: int) -> list[str]:
    """Run to the end, print the report, and return what was not as promised; leaves no process."""
    install(home.command.home, claude_code="{}", codex="", qwen="{}")
    home.write_settings()
    await home.run("memory", "store", BEACON)
    keeping = asyncio.create_task(home.keep_daemon())
    try:
        while not await _is_up(home):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
        home.begin()
        async with contextlib.AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(home.client()) for _ in range(CLIENTS + 1)]
            clients = [Client(home, at, seed, http) for at, http in enumerate(opened[1:])]
            watcher = Watcher(home, opened[0])
            lives = [harmer.live(), watcher.live(), *(each.live() for each in clients)]
            living = [asyncio.create_task(life) for life in lives]
            await _tell_progress(home, watcher, harmer)
            home.ending = True
            await asyncio.gather(*living)
            wrong = [*home.wrong, *unexplained(home, harmer.done), *await _settle(home, clients)]
        wrong += await _check_rows(home)
        wrong += await _check_clients(home, clients[0].switched)
    finally:
        ends = await _end(home, keeping)
    wrong += ends
    good, of = availability(watcher.probes, harmer.done, "daemon")
    if good / of < GOAL:
        wrong.append(f"available {good / of:.3%}")
    print("\n".join(write_report(home, harmer, watcher, wrong)), flush=True)
    return wrong


async def _tell_progress(home: Home, watcher: Watcher, harmer: Harmer) -> None:
    """Print a line each minute until the time is over."""
    while (left := harmer.seconds - home.now) > 0:
        await asyncio.sleep(min(60.0, left))
        bad = sum(bool(each.problem) for each in watcher.probes)
        answered = sum(map(len, home.seconds.values()))
        load = os.getloadavg()[0]
        print(
            f"{home.now / 60:.0f} min: {answered} calls, {len(home.failures)} failed, {len(harmer.done)} faults, "
            f"{bad} of {len(watcher.probes)} probes bad, {watcher.samples[-1].rss_mb:.0f} MiB, load {load:.1f}",
            flush=True,
        )


async def _is_up(home: Home) -> bool:
    try:
        async with home.client() as http:
            answer = await http.get("/health")
            await call_api(http, "GET", "stats", {})
            return answer.status_code == 200
    except (OSError, Refused, httpx.HTTPError):
        return False


async def _settle(home: Home, clients: list[Client]) -> list[str]:
    """Wait until nothing waits for PostgreSQL or for its vector."""
    status: dict[str, object] = {}
    for _ in range(SETTLE_S):
        with contextlib.suppress(Refused):
            status = await call_api(clients[0].http, "GET", "status", {})
            if not status["waiting"] and not status.get("spooled"):
                return []
        await asyncio.sleep(1)
    return [f"still waits after {SETTLE_S} s: {status}"]


async def _check_rows(home: Home) -> list[str]:
    """Return what the ledger has to say about the rows, and how many memories are there by halves."""
    connection = await home.connect()
    try:
        rows = [row for each in FOUND for row in await connection.fetch(each)]
        halves = await connection.fetchval(HALVES)
    finally:
        await connection.close()
    wrong = home.ledger.check(Counter(row[0] for row in rows))
    return wrong + ([f"{halves} memories are there in part"] if halves else [])


async def _check_clients(home: Home, switched: str) -> list[str]:
    """Return what of the last switch and of the last settings is not in force."""
    wrong = []
    if switched:
        claude = json.loads((home.command.home / ".claude/settings.json").read_text())
        codex = tomllib.loads((home.command.home / ".codex/config.toml").read_text())
        for file in (claude, codex):
            if f"http://127.0.0.1:9/{switched}" not in json.dumps(file):
                wrong.append(f"not on {switched}: {file}")
    for _ in range(SETTLE_S):
        running = _services(home)
        if running == [str(home.round), "embedder"]:
            return wrong
        await asyncio.sleep(1)
    return [
        *wrong,
        f"these services run: {running}, not one of round {home.round} and one embedder",
    ]


def _services(home: Home) -> list[str]:
    """Return the round of each `flaky` that runs, and "embedder" for each of those."""
    found = []
    for each in home.processes():
        with contextlib.suppress(psutil.Error):
            words = each.cmdline()
            if words[:2] == ["sh", "-c"]:
                found.append(each.environ().get("ROUND", ""))
            elif words[1:] and words[1].endswith("soak/embedder.py"):
                found.append("embedder")
    return sorted(found)


async def _end(home: Home, keeping: asyncio.Task[None]) -> list[str]:
    """End the daemon; returns what is wrong with its ends and its log, and the processes that it left."""
    await home.end_daemon()
    await keeping
    log = home.log.read_text(errors="replace")
    wrong = [f"the log has a traceback: {log[-3000:]}"] if "Traceback" in log else []
    *before, last = home.exits
    wrong += [f"the daemon ended: {each}" for each in before if each[1] != -9]
    wrong += [f"the daemon's last exit: {last}"] if last[1] else []
    for _ in range(90):
        left = [each for each in home.processes() if each.pid != os.getpid()]
        if not left:
            return wrong
        await asyncio.sleep(1)
    for each in left:
        with contextlib.suppress(psutil.Error):
            wrong.append(f"orphan {each.pid}: {' '.join(each.cmdline())[:200]}")
            each.kill()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
