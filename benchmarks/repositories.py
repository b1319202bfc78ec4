"""
Repositories: how fast a large tree is read, and read again, and whether questions find the right function.

Run as a program it reads one tree in a process of its own, whose peak of memory is then its own.
"""

import ast
import asyncio
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.bm25 import Bm25, tokenize
from benchmarks.report import Section, least, most
from benchmarks.world import environment, open_product
from mahavishnu.app import App
from mahavishnu.embedding.model_import import import_model
from mahavishnu.memory.models import Memory, MemoryFilter, Mode
from mahavishnu.memory.search import SearchRequest
from tests.weights import GRAPH_SHA256, NAME, packaged_model

PACKAGE = Path(__file__).parent.parent / "mahavishnu"
TREE = "openai"  # an installed package with more than 2,000 files
QUESTIONS = 50
SEED = 19
MODES: tuple[Mode, ...] = ("text", "vector", "hybrid")
_COLUMNS = ("id", "content", "context", "path", "repo_id", "source_key", "metadata")


@dataclass(frozen=True)
class Question:
    """The first sentence of a docstring, and the function that it is of."""

    text: str
    path: str
    name: str


def measure_repositories(home: Path) -> Iterator[Section]:
    """Read a tree of thousands of files, then ask this package about its functions."""
    if find_spec("llama_index") is None or find_spec("tree_sitter") is None:
        section = Section("Repositories")
        section.notes.append("The extra llamaindex is not installed.")
        yield section
        return
    tree = Path((find_spec(TREE) or find_spec("mahavishnu")).submodule_search_locations[0])  # type: ignore[union-attr,index]
    yield _measure_ingestion(home, tree)
    import_model(packaged_model(home), home / "mahavishnu/data/models", sha256=GRAPH_SHA256)
    yield asyncio.run(_measure_questions(home))


def _measure_ingestion(home: Path, tree: Path) -> Section:
    started = time.monotonic()
    copied = home / "trees" / tree.name
    shutil.copytree(tree, copied, ignore=shutil.ignore_patterns("__pycache__"))
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.repositories", str(home), str(copied)],
        env=environment(home), check=True, capture_output=True, text=True, cwd=PACKAGE.parent,
    ).stdout  # fmt: skip
    figures = json.loads(answer)
    section = Section(
        f"Reading {figures['files']:,} files, {figures['chunks']:,} chunks, no embedding"
    )
    per_s = figures["chunks"] / figures["first"]
    section.add(
        "first run", most("MB", 400), s=figures["first"], chunks__per__s=per_s, MB=figures["mb"]
    )
    section.add(
        "bare COPY of its rows",
        s=figures["copy"],
        chunks__per__s=figures["chunks"] / figures["copy"],
    )
    section.add("second run", most("s", 2), s=figures["second"])
    section.add("one changed file, until found", most("s", 1), s=figures["changed"])
    section.notes.append("MB is the peak of the process, LlamaIndex included.")
    section.seconds = time.monotonic() - started
    return section


def _open(home: Path, provider: str) -> AbstractAsyncContextManager[App]:
    names = {"MAHAVISHNU_EMBEDDING_PROVIDER": provider, "MAHAVISHNU_EMBEDDING_MODEL": NAME}
    return open_product(home, **names)


async def _read_tree(home: Path, tree: Path) -> dict[str, float]:
    """Read a tree, read it again, and read it with one file changed; without a model."""
    async with _open(home, "none") as app:
        repository = await app.repositories.add(tree)
        figures: dict[str, float] = {}
        for name in ("first", "second"):
            began = time.monotonic()
            done = await app.repository_ingestion.ingest(repository)
            figures[name] = time.monotonic() - began
        figures |= {"files": done.documents, "chunks": done.chunks}
        changed = sorted(tree.rglob("*.py"))[0]
        changed.write_text(f"{changed.read_text('utf-8')}\nWALRUS_TUSK = 1\n", "utf-8")
        began = time.monotonic()
        await app.repository_ingestion.ingest(repository)
        found = await app.search("walrus tusk")
        figures["changed"] = time.monotonic() - began
        assert "WALRUS_TUSK" in found.hits[0].memory.content
        figures["copy"] = await _copy(app)
    figures["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


async def _copy(app: App) -> float:
    """Return how long COPY takes for the rows alone: no index, no text search, no change log."""
    columns = ", ".join(_COLUMNS)
    async with app.connection() as connection, connection.transaction():
        rows = await connection.fetch(f"SELECT {columns} FROM memories")
        await connection.execute(
            f"CREATE TEMP TABLE copied AS SELECT {columns} FROM memories LIMIT 0"
        )
        began = time.monotonic()
        await connection.copy_records_to_table("copied", records=map(tuple, rows), columns=_COLUMNS)
        return time.monotonic() - began


async def _measure_questions(home: Path) -> Section:
    started = time.monotonic()
    folder = home / "undocumented"
    questions = _without_docstrings(folder)
    section = Section(f"{len(questions)} docstrings of this package find their functions")
    async with _open(home, "in-process") as app:
        repository = await app.repositories.add(folder)
        await app.repository_ingestion.ingest(repository)
        while await app.memories.embed_waiting():
            pass
        wanted = MemoryFilter(projects=(repository.name,))
        for mode in MODES:
            answers = []
            for question in questions:
                request = SearchRequest(query=question.text, mode=mode, wanted=wanted, limit=10)
                answers.append([hit.memory for hit in (await app.search(request)).hits])
            goals = (least("hit@3", 0.8),) if mode == "hybrid" else ()
            section.add(mode, *goals, **_scores(questions, answers))
        chunks = await app.memories.list_memories(wanted, limit=1000)
        while len(chunks) % 1000 == 0 and chunks:
            chunks += await app.memories.list_memories(wanted, limit=1000, offset=len(chunks))
    bm25 = Bm25([f"{chunk.context}\n{chunk.content}" for chunk in chunks])
    ranked = [[chunks[n] for n in bm25.rank(question.text, limit=10)] for question in questions]
    section.add("BM25 of the same chunks", **_scores(questions, ranked))
    section.add("files by words in them (grep)", **_grep(folder, questions))
    section.notes.append(
        "file@3: the right file alone; the docstrings are left out of what is searched."
    )
    section.seconds = time.monotonic() - started
    return section


def _scores(questions: Sequence[Question], answers: Sequence[Sequence[Memory]]) -> dict[str, float]:
    def is_function(question: Question, memory: Memory) -> bool:
        return memory.path == question.path and question.name in memory.metadata.get("symbols", ())

    found = {
        "hit@1": [any(is_function(q, m) for m in a[:1]) for q, a in zip(questions, answers, strict=True)],
        "hit@3": [any(is_function(q, m) for m in a[:3]) for q, a in zip(questions, answers, strict=True)],
        "hit@10": [any(is_function(q, m) for m in a) for q, a in zip(questions, answers, strict=True)],
        "file@3": [any(m.path == q.path for m in a[:3]) for q, a in zip(questions, answers, strict=True)],
    }  # fmt: skip
    return {name: sum(values) / len(values) for name, values in found.items()}


def _grep(folder: Path, questions: Sequence[Question]) -> dict[str, float]:
    """Return how often the file is among the three that have most of a question's words, then most often."""
    texts = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8").lower()
        for path in folder.rglob("*.py")
    }
    hits = 0
    for question in questions:
        words = set(tokenize(question.text))
        counts = {path: [text.count(word) for word in words] for path, text in texts.items()}
        ranked = sorted(counts, key=lambda p: (-sum(n > 0 for n in counts[p]), -sum(counts[p]), p))
        hits += question.path in ranked[:3]
    return {"file@3": hits / len(questions)}


def _without_docstrings(folder: Path) -> list[Question]:
    """Write the package without the docstrings of its functions, and return questions out of some."""
    questions = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        inside = path.relative_to(PACKAGE).as_posix()
        lines = text.splitlines(keepends=True)
        for name, function in _functions(ast.parse(text), ()):
            docstring = ast.get_docstring(function)
            if docstring is None or len(function.body) < 2:
                continue
            said = docstring.split("\n\n")[0].replace("\n", " ").partition(". ")[0]
            if len(said.split()) >= 5:
                questions.append(Question(said, inside, name))
            held = function.body[0]
            lines[held.lineno - 1 : held.end_lineno] = [""] * (held.end_lineno - held.lineno + 1)  # type: ignore[operator]
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(lines), "utf-8")
    return random.Random(SEED).sample(questions, QUESTIONS)


def _functions(
    node: ast.AST, above: tuple[str, ...]
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join((*above, child.name)), child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*above, child.name))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_read_tree(Path(sys.argv[1]), Path(sys.argv[2])))))
