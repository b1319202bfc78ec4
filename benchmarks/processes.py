"""Whole commands beside `python -c pass`: what a user waits for, the server being warm."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from benchmarks.commands import BARE, PRODUCT, RUNS, Command, Ran, add_times, run, run_in_turns
from benchmarks.report import Section
from benchmarks.world import environment, open_product
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.paths import locate
from mahavishnu.embedding.model_import import import_model
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

EXAMPLES = (
    "We keep the embedded PostgreSQL running for 50 seconds after its last user is gone.",
    "The payment service retries three times before it opens the circuit breaker.",
    "Deploys happen on Tuesdays; the release branch is cut the evening before.",
)


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
    store = (*PRODUCT, "memory", "store", "Note {}: the cache is warmed at night.")
    search = (*PRODUCT, "memory", "search", "when is the cache warmed")
    commands = [
        Command("python -c pass", BARE, words),
        Command("mahavishnu --help", (*PRODUCT, "--help"), words),
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
            run((*PRODUCT, "memory", "store", text), environ)
    run((*PRODUCT, "up", "--detach"), served)
    try:
        runs = asyncio.run(_run_with_servers(commands, (home / "words", home / "meaning")))
        _require_embedded(served, 2 * RUNS)
    finally:
        run((*PRODUCT, "down"), served)
    add_times(section, commands, runs)
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


async def _run_with_servers(commands: Sequence[Command], homes: Sequence[Path]) -> list[list[Ran]]:
    """Run each command in turns while the servers of `homes` are kept up."""
    async with AsyncExitStack() as stack:
        for home in homes:
            await stack.enter_async_context(
                open_product(home, pool_size=1, MAHAVISHNU_EMBEDDING_PROVIDER="none")
            )
        return run_in_turns(commands)
