"""Whole commands beside `python -c pass`: what a user waits for, the server being warm."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import numpy as np

from benchmarks.report import Section
from benchmarks.world import environment, open_product
from mahavishnu.daemon.record import find_listening
from mahavishnu.daemon.token import read_token
from mahavishnu.embedding.model_import import import_model
from mahavishnu.paths import locate
from tests.weights import GRAPH_SHA256, NAME, packaged_model

RUNS = 9
KEY = (
    str(Path(sys.executable).with_name("mahavishnu-key")),
    *("env:NAME", "--for", "https://api.anthropic.com"),
)
EXAMPLES = (
    "We keep the embedded PostgreSQL running for 50 seconds after its last user is gone.",
    "The payment service retries three times before it opens the circuit breaker.",
    "Deploys happen on Tuesdays; the release branch is cut the evening before.",
)


@dataclass(frozen=True)
class Command:
    """One command, run often; `{}` in an argument becomes a number that was never used."""

    name: str
    arguments: tuple[str, ...]
    environ: dict[str, str]


def measure_processes(home: Path) -> Section:
    """Run every command in turns with the bare interpreter and report medians."""
    started = time.monotonic()
    section = Section("Commands as whole processes")
    words = environment(home / "words", MAHAVISHNU_EMBEDDING_PROVIDER="none")
    meaning = environment(
        home / "meaning",
        MAHAVISHNU_EMBEDDING_PROVIDER="in-process",
        MAHAVISHNU_EMBEDDING_MODEL=NAME,
    )
    served = {
        **meaning,
        **environment(home / "served"),
        "MAHAVISHNU_PORT": "0",
    }
    for name in ("meaning", "served"):
        import_model(
            packaged_model(home / name), home / name / "mahavishnu/data/models", sha256=GRAPH_SHA256
        )
    product = (sys.executable, "-m", "mahavishnu")
    store = (*product, "memory", "store", "Note {}: the cache is warmed at night.")
    search = (*product, "memory", "search", "when is the cache warmed")
    # Another model each time, so that there is something to write.
    profile = {
        "anthropic_base_url": "https://one.example",
        "openai_responses_base_url": "https://one.example/v1",
        "key": "env:NAME",
        "model": "model-{}",
    }
    flags = (
        f"--set=ai_environments.llm_profiles.one.{key}={value}" for key, value in profile.items()
    )
    switch = (*product, *flags, "ai", "switch-llm", "one", "--json")
    for folder in (".claude", ".codex"):
        (Path(words["HOME"]) / folder).mkdir(parents=True, exist_ok=True)
    commands = [
        Command("python -c pass", (sys.executable, "-c", "pass"), words),
        Command("mahavishnu --help", (*product, "--help"), words),
        Command("mahavishnu-key env:NAME", KEY, words | {"NAME": "sk-fake"}),
        Command("ai switch-llm, two clients", switch, words | {"NAME": "sk-fake"}),
        Command("memory store, no model", store, words),
        Command("memory search, no model", search, words),
        Command("memory search --mode text, model there", (*search, "--mode", "text"), meaning),
        Command("memory store, model in process", store, meaning),
        Command("memory search, model in process", search, meaning),
        Command("memory store, the daemon's model", store, served),
        Command("memory search, the daemon's model", search, served),
    ]
    for environ in (words, meaning, served):
        for text in EXAMPLES:
            _run((*product, "memory", "store", text), environ)
    _run((*product, "up", "--detach"), served)
    try:
        seconds = asyncio.run(_run_in_turns(commands, (home / "words", home / "meaning")))
        _require_embedded(served, 2 * RUNS)
    finally:
        _run((*product, "down"), served)
    bare = float(np.median(seconds[0]))
    for command, taken in zip(commands, seconds, strict=True):
        median = float(np.median(taken))
        section.add(
            command.name, median__ms=median * 1000, min__ms=min(taken) * 1000,
            times__bare=median / bare, more__ms=(median - bare) * 1000,
        )  # fmt: skip
    section.notes.append(
        f"Median of {RUNS} runs in turns, the embedded server running; the model is {NAME} (int8)."
    )
    section.seconds = time.monotonic() - started
    return section


def _require_embedded(environ: Mapping[str, str], least: int) -> None:
    """Make sure that the daemon's model was used: else its rows would say what they do not show."""
    locations = locate(environ)
    record = find_listening(locations.daemon_lock)
    assert record is not None
    text = httpx.get(
        f"{record.url}/metrics",
        headers={"Authorization": f"Bearer {read_token(locations.token)}"},
    ).text
    pattern = r'mahavishnu_requests_total\{route="embed",status="200"\} ([\d.]+)'
    counted = re.search(pattern, text)
    if counted is None or float(counted[1]) < least:
        raise RuntimeError("The commands did not use the daemon's model.")


async def _run_in_turns(commands: Sequence[Command], homes: Sequence[Path]) -> list[list[float]]:
    """Return the seconds of each run of each command; the servers of `homes` are kept up."""
    numbers = count()
    seconds: list[list[float]] = [[] for _ in commands]
    async with AsyncExitStack() as stack:
        for home in homes:
            await stack.enter_async_context(
                open_product(home, pool_size=1, MAHAVISHNU_EMBEDDING_PROVIDER="none")
            )
        for _ in range(RUNS):
            for place, command in enumerate(commands):
                arguments = [part.replace("{}", str(next(numbers))) for part in command.arguments]
                seconds[place].append(_run(arguments, command.environ))
    return seconds


def _run(arguments: Sequence[str], environ: dict[str, str]) -> float:
    """Run a command to its end and return the seconds; its failure is an error here."""
    started = time.perf_counter()
    done = subprocess.run(
        arguments, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.returncode}\n{done.stderr.decode()}")
    return seconds
