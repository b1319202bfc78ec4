"""
The demonstration: remember some of this repository's documents and history, then answer questions about them.

Every heading and commit subject that fits one text alone is asked, after everything is stored; 80 of 100 must lead
to their source within the first three hits. Ten of them, drawn anew at each run, are shown. Then each drawn line is
taken out of its own text and the ten are asked again, which shows what meaning alone finds.
Everything happens in a temporary home, with real embeddings from a model that comes in a package.

What is remembered is bounded, and does not depend on the draw: the run is as red or green as the search is good.
`chance_of_alarm` says how often a search that finds as many as this one falls below the bar by chance.
"""

import argparse
import asyncio
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mahavishnu.app import App, open_app
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.embedding.model_import import import_model
from mahavishnu.knowledge.changes import memory_of_section
from mahavishnu.knowledge.git import find_top_level, read_history
from mahavishnu.knowledge.ingest import memory_of_commit
from mahavishnu.knowledge.markdown import Section, read_documents
from mahavishnu.knowledge.sources import Source as Origin
from mahavishnu.memory.lexicon import split_query
from mahavishnu.memory.models import Hit, Memory, MemoryFilter, NewMemory
from mahavishnu.memory.search import SearchRequest

ROOT = Path(__file__).parent.parent
SOURCES = 150  # of each kind, at most
SHOWN = 10
NEEDED = 0.8  # of all questions
WITHIN = 3
LEAST_TERMS = 3  # a heading of fewer words ("Context") does not ask for anything in particular
LEAST_WORDS = 20  # a source of fewer words is hardly one


@dataclass(frozen=True)
class Source:
    """Something to remember, and the line of it that may become a question."""

    memory: NewMemory
    line: str
    rest: str


def sections(project: str) -> Iterator[Source]:
    """Yield the sections of the repository's documents."""
    for item in read_documents(ROOT):
        if isinstance(item, Section):
            rest = "\n".join(item.content.splitlines()[1:]).strip()
            yield Source(
                memory_of_section(item, project=project, source=Origin(None, "", str(ROOT))),
                item.heading,
                rest,
            )


async def commits(project: str) -> list[Source]:
    """Return the commits of the repository's history."""
    top_level = await find_top_level(ROOT)
    return [
        Source(
            memory_of_commit(commit, project=project),
            commit.subject,
            memory_of_commit(replace(commit, subject=""), project=project).content.strip(),
        )
        async for commit in read_history(top_level, after=None)
    ]


def select(sources: list[Source]) -> list[Source]:
    """Return at most `SOURCES` of them, at even distances: the same ones for the same repository."""
    step = max(1, -(-len(sources) // SOURCES))
    return sources[::step]


def questions(sources: list[Source]) -> list[Source]:
    """Return those whose line is a question that fits them alone."""
    asked = [frozenset(split_query(source.line)) for source in sources]
    return [
        source
        for source, terms in zip(sources, asked, strict=True)
        if len(terms) >= LEAST_TERMS
        and sum(terms <= others for others in asked) == 1  # else another line answers it as well
        and len(source.rest.split()) >= LEAST_WORDS
    ]


def draw(fit: list[Source], generator: random.Random) -> list[Source]:
    """Return ten questions, half of them of the history."""
    of_history = [source for source in fit if source.memory.commit_id]
    of_documents = [source for source in fit if not source.memory.commit_id]
    taken = generator.sample(of_history, min(len(of_history), SHOWN // 2))
    return taken + generator.sample(of_documents, SHOWN - len(taken))


def chance_of_alarm(found: int, asked: int) -> float:
    """
    Return how probable it is that so good a search finds too few of so many questions.

    Each is found, independently, with the share seen here, one miss more counted (Laplace's rule of succession).
    """
    share = (found + 1) / (asked + 2)
    needed = math.ceil(NEEDED * asked)
    return sum(math.comb(asked, n) * share**n * (1 - share) ** (asked - n) for n in range(needed))


async def run(seed: int) -> bool:
    """Remember, ask, print; tells whether enough questions led to their sources."""
    sys.path.insert(0, str(ROOT))
    from tests.support.weights import packaged_model  # noqa: PLC0415 - a development dependency

    with tempfile.TemporaryDirectory() as folder:
        loaded = load_settings(
            environ={
                "HOME": folder, "MAHAVISHNU_HOME": f"{folder}/home", "PATH": os.environ["PATH"],
                "MAHAVISHNU_EMBEDDING_PROVIDER": "in-process",
                "MAHAVISHNU_EMBEDDING_MODEL": "all-MiniLM-L6-v2",
                "MAHAVISHNU_PG_IDLE_TIMEOUT": "1",
            },
            folder=Path(folder),
        )  # fmt: skip
        import_model(packaged_model(Path(folder)), loaded.locations.models)
        started = time.perf_counter()
        async with open_app(loaded) as app:
            sources = select(list(sections("demo"))) + select(await commits("demo"))
            stored = [o async for o in app.memories.store_many(s.memory for s in sources)]
            print(
                f"Remembered {len(stored)} sections and commits in "
                f"{time.perf_counter() - started:.1f} s. Ten of the questions, seed {seed}:\n"
            )
            fit = questions(sources)
            places = {source.memory.source_key: await place_of(app, source) for source in fit}
            drawn = draw(fit, random.Random(seed))
            for source in drawn:
                await show(app, source, places[source.memory.source_key])
            found = sum(map(bool, places.values()))
            print(
                f"\n{found} of all {len(fit)} sources found within the first {WITHIN} hits, {NEEDED:.0%} "
                f"needed; by chance fewer: {chance_of_alarm(found, len(fit)):.0e}."
            )
            harder = await ask_without_lines(app, drawn)
            print(f"With the lines taken out of their own texts: {harder} of the {len(drawn)}.")
    return found >= NEEDED * len(fit)


async def place_of(app: App, source: Source) -> int:
    """Return at which place a question leads to its source; 0 where it does not."""
    hits = await ask(app, source)
    return next((n for n, found in enumerate(hits, 1) if is_source(found, source)), 0)


async def show(app: App, source: Source, place: int) -> None:
    """Print a question, and what it found."""
    print(f"{f'#{place}' if place else 'missed':>7}  {source.line}")
    for found in await ask(app, source):
        mark = "→" if is_source(found, source) else " "
        print(f"         {mark} {found.score:.2f}  {label(found.memory)}")


async def ask(app: App, source: Source) -> tuple[Hit, ...]:
    """Ask a drawn line as a question."""
    return (await app.search(SearchRequest(query=source.line, limit=WITHIN))).hits


async def ask_without_lines(app: App, drawn: list[Source]) -> int:
    """Replace each drawn memory by one without its line, ask again, count what is found."""
    keys = {source.memory.source_key for source in drawn}
    everything = await app.memories.select_ids(MemoryFilter())
    for identifier in everything:
        if (await app.memories.get(identifier)).source_key in keys:
            await app.memories.forget([identifier])
    await app.memories.store_batch([replace(s.memory, content=s.rest, metadata={}) for s in drawn])
    found = [any(is_source(hit, source) for hit in await ask(app, source)) for source in drawn]
    return sum(found)


def is_source(hit: Hit, source: Source) -> bool:
    """Tell whether a hit is what the question was drawn from."""
    return hit.memory.source_key == source.memory.source_key


def label(memory: Memory) -> str:
    """Name a memory as a person would."""
    return f"commit {memory.commit_id[:8]}" if memory.commit_id else memory.source_key


def main() -> None:
    """Run once; leave with 1 when too few were found."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    sys.exit(0 if asyncio.run(run(parser.parse_args().seed)) else 1)


if __name__ == "__main__":
    main()
