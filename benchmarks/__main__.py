"""`python -m benchmarks`: measure, print tables, never fail because a goal was missed."""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.backup import measure_backup
from benchmarks.concurrency import EACH, PROCESSES, measure_concurrency
from benchmarks.floors import connect
from benchmarks.following import measure_sessions
from benchmarks.gateway import measure_gateway
from benchmarks.hot import measure_hot
from benchmarks.loading import load_world
from benchmarks.outbox import measure_outbox
from benchmarks.processes import measure_processes
from benchmarks.recording import measure_recording
from benchmarks.report import Section, as_json, describe_machine
from benchmarks.repositories import measure_repositories
from benchmarks.retrieval import measure_retrieval
from benchmarks.scale import Case, make_cases, measure_searches
from benchmarks.services import measure_services
from benchmarks.serving import measure_serving
from benchmarks.spooling import measure_spooling
from benchmarks.storing import Supply, measure_storing
from benchmarks.switching import measure_switching
from benchmarks.synthetic import World, make_more, make_questions, make_world
from benchmarks.telemetry import measure_telemetry
from benchmarks.transfer import measure_transfer
from benchmarks.tuning import measure_settings
from benchmarks.unified import measure_unified
from benchmarks.world import clean_up_when_told_to_stop, open_with_table, temporary_home
from mahavishnu.database.vectors import VectorTable

SECTIONS = (
    "processes",
    "switching",
    "sessions",
    "recording",
    "transfer",
    "outbox",
    "spooling",
    "hot",
    "unified",
    "backup",
    "telemetry",
    "services",
    "gateway",
    "repositories",
    "retrieval",
    "scale",
    "serving",
    "settings",
)
DATA = Path("../shared/data")
MEMORIES = 100_000
QUESTIONS = 250
CALLS = 1_000
BULK = 4_000


def main() -> None:
    """Parse the options, run the sections, print and write what they found."""
    options = parse_options()
    clean_up_when_told_to_stop()
    # The machine is described before it is put to work: its load should be the others'.
    machine = describe_machine()
    print("  ".join(f"{name}: {value}" for name, value in machine.items()), "\n", flush=True)
    started = time.monotonic()
    sections: list[Section] = []
    for name, run in runners(options).items():
        if name not in options.sections:
            continue
        with temporary_home() as home:
            os.environ |= {"HOME": str(home), "MAHAVISHNU_HOME": str(home / "mahavishnu")}
            for section in run(home):
                sections.append(section)
                print(section.render(), flush=True)
    rows = [row for section in sections for row in section.rows if row.goals]
    missed = sum(bool(row.missed) for row in rows)
    print(f"{len(rows) - missed} of {len(rows)} goals met, {time.monotonic() - started:.0f} s")
    if options.json:
        text = json.dumps(as_json(machine, sections), indent=2, allow_nan=False, default=float)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n", encoding="utf-8")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "sections", nargs="*", default=list(SECTIONS), metavar="SECTION",
        help=f"{', '.join(SECTIONS)}; all by default",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--locomo", type=Path, default=DATA / "locomo-dev.json", metavar="PATH")
    parser.add_argument("--cosqa", type=Path, default=DATA / "cosqa-dev.json", metavar="PATH")
    parser.add_argument("--memories", type=int, default=MEMORIES, help="size of the scale world")
    parser.add_argument("--calls", type=int, default=CALLS, help="timed calls of each kind")
    options = parser.parse_args()
    unknown = sorted(set(options.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section: {', '.join(unknown)}")
    for name in ("locomo", "cosqa"):
        path = getattr(options, name)
        if not path.is_file():
            print(f"{path} is not there; give it with --{name}.")
            setattr(options, name, None)
    return options


def runners(options: argparse.Namespace) -> dict[str, Callable[[Path], Iterable[Section]]]:
    """Return what runs for each section, in order; the last three share one world."""
    both = "scale" in options.sections
    serving, settings = ("serving" in options.sections, "settings" in options.sections)

    def further(home: Path, **only: bool) -> Iterable[Section]:
        return [] if both else run_scale(home, options, only=True, **only)

    return {
        "processes": lambda home: [measure_processes(home)],
        "switching": lambda home: [measure_switching(home)],
        "sessions": measure_sessions,
        "recording": lambda home: [asyncio.run(measure_recording(home))],
        "transfer": lambda home: [asyncio.run(measure_transfer(home))],
        "outbox": lambda home: [asyncio.run(measure_outbox(home))],
        "spooling": lambda home: [asyncio.run(measure_spooling(home))],
        "hot": lambda home: (
            asyncio.run(measure_hot(home / str(size), size, calls=options.calls))
            for size in (20_000, options.memories)
        ),
        "unified": lambda home: [asyncio.run(measure_unified(home))],
        "backup": lambda home: [asyncio.run(measure_backup(home))],
        "services": lambda home: [measure_services(home)],
        "gateway": lambda home: [asyncio.run(measure_gateway(home))],
        "telemetry": lambda home: [asyncio.run(measure_telemetry(home))],
        "retrieval": lambda home: measure_retrieval(
            home, locomo=options.locomo, cosqa=options.cosqa
        ),
        "repositories": measure_repositories,
        "scale": lambda home: run_scale(home, options, serving=serving, settings=settings),
        "serving": lambda home: further(home, serving=True, settings=settings),
        "settings": lambda home: [] if serving else further(home, serving=False, settings=True),
    }


def run_scale(
    home: Path, options: argparse.Namespace, *, serving: bool, settings: bool, only: bool = False
) -> Iterator[Section]:
    """Make and load the world, then measure it; storing comes last, because it changes it."""
    started = time.monotonic()
    world = make_world(options.memories)
    everyone = np.arange(len(world.texts))
    cases = make_cases(world, QUESTIONS)
    with asyncio.Runner() as runner:
        table = runner.run(_load(home, world))
        print(f"{len(everyone):,} memories made and loaded: {time.monotonic() - started:.0f} s\n")
        if settings:
            yield from runner.run(_measure_settings(home, world, table))
        if serving:
            asked = make_questions(world, PROCESSES * EACH, among=everyone, seed=601)
            yield from runner.run(_measure_serving(home, world, asked, calls=options.calls))
        if only:
            return
        yield runner.run(_measure_searches(home, world, cases, calls=options.calls))
        questions = make_questions(world, PROCESSES * EACH, among=everyone, seed=401)
        yield runner.run(_measure_concurrency(home, world, questions))
        yield runner.run(_measure_storing(home, world, table, calls=options.calls))


async def _load(home: Path, world: World) -> VectorTable:
    async with open_with_table(home, {}) as app:
        return await load_world(app, world)


async def _measure_settings(home: Path, world: World, table: VectorTable) -> list[Section]:
    async with open_with_table(home, {}) as app, connect(app.database) as floor:
        return await measure_settings(floor, world, table)


async def _measure_searches(
    home: Path, world: World, cases: Sequence[Case], *, calls: int
) -> Section:
    vectors = {text: vector for case in cases for text, vector in case.table.items()}
    async with (
        open_with_table(home, vectors, pool_size=1) as app,
        connect(app.database) as floor,
    ):
        return await measure_searches(app, floor, world, cases, calls=calls)


async def _measure_concurrency(home: Path, world: World, questions: np.ndarray) -> Section:
    # The server is held up: the floors' bare connections do not do that.
    async with open_with_table(home, {}, pool_size=1):
        return await asyncio.to_thread(measure_concurrency, home, world.vectors, questions)


async def _measure_serving(
    home: Path, world: World, questions: np.ndarray, *, calls: int
) -> list[Section]:
    async with open_with_table(home, {}, pool_size=1):  # holds the server up
        return await asyncio.to_thread(
            measure_serving, home, world.texts, world.vectors, questions, calls=calls
        )


async def _measure_storing(home: Path, world: World, table: VectorTable, *, calls: int) -> Section:
    vectors, texts = make_more(world, 2 * calls + 2 * BULK, seed=501)
    async with (
        open_with_table(home, {}, pool_size=1) as app,
        connect(app.database) as floor,
    ):
        supply = Supply(texts, vectors)
        return await measure_storing(app, floor, table, supply, calls=calls, bulk=BULK)


if __name__ == "__main__":
    main()
