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
from itertools import accumulate
from pathlib import Path

from benchmarks import pgvector_store
from benchmarks.bm25 import Bm25, tokenize
from benchmarks.pgvector_store import install
from benchmarks.report import Section, least, most
from benchmarks.world import connect_as_superuser, environment, open_product, temporary_home
from mahavishnu.app import App
from mahavishnu.embedding.model_import import import_model
from mahavishnu.memory.models import Memory, MemoryFilter, Mode
from mahavishnu.memory.search import SearchRequest
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

PACKAGE = Path(__file__).parent.parent / "mahavishnu"
CACHE = Path(".cache").resolve()
NODES = 1_000
DIMENSIONS = 384
TREE = "openai"  # an installed package with more than 2,000 files
QUESTIONS = 50
SEED = 20
OTHER_SEED = 19
ANSWERED = 3_000  # characters
MODES: tuple[Mode, ...] = ("text", "vector", "hybrid")
_STORES = {
    "ours": "with vectors: our store",
    "theirs": "with vectors: PGVectorStore",
    "theirs_plain": "with vectors, no graph: PGVectorStore",
    "ours_plain": "without vectors: our store",
}
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
    with temporary_home() as other:  # the vectors of this home's database are of no model
        import_model(packaged_model(other), other / "mahavishnu/data/models", sha256=GRAPH_SHA256)
        yield asyncio.run(_measure_questions(other))


def _measure_ingestion(home: Path, tree: Path) -> Section:
    started = time.monotonic()
    copied = home / "trees" / tree.name
    shutil.copytree(tree, copied, ignore=shutil.ignore_patterns("__pycache__"))
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.repositories", str(home), str(copied)],
        env=environment(home), check=True, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent,
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
    added = figures["added"]
    for key in (name for name in _STORES if name in figures):
        goals = (least("times PGVectorStore", 2),) if key == "ours" and "theirs" in figures else ()
        times = {"times__PGVectorStore": figures["theirs"] / figures[key]} if goals else {}
        name = f"{added:,.0f} nodes {_STORES[key]}"
        section.add(name, *goals, s=figures[key], chunks__per__s=added / figures[key], **times)
    section.add("second run", most("s", 2), s=figures["second"])
    section.add("one changed file, until found", most("s", 1), s=figures["changed"])
    section.notes += [
        "MB is the peak of the process, LlamaIndex included.",
        f"Nodes: the same texts and metadata, with {DIMENSIONS} random numbers for each or none, one call of add() "
        "in the same PostgreSQL. PGVectorStore has hybrid_search, and in its graph the same m and "
        "ef_construction as ours; it adds no node without a vector."
        if "theirs" in figures
        else "PGVectorStore could not be installed.",
    ]
    section.seconds = time.monotonic() - started
    return section


def _open(home: Path, provider: str) -> AbstractAsyncContextManager[App]:
    names = {"MAHAVISHNU_EMBEDDING_PROVIDER": provider, "MAHAVISHNU_EMBEDDING_MODEL": NAME}
    return open_product(home, **names)


async def _read_tree(home: Path, tree: Path) -> dict[str, float]:
    """Read a tree, read it again, and read it with one file changed; without a model."""
    async with _open(home, "none") as app:
        repository = await app.repositories.add(tree)
        wanted = MemoryFilter(repo_id=repository.repo_id)
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
        figures |= await _add_nodes(
            app, home, await app.memories.list_memories(wanted, limit=NODES)
        )
    figures["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


async def _add_nodes(app: App, home: Path, chunks: Sequence[Memory]) -> dict[str, float]:
    """Return how long our vector store takes for nodes with given vectors, and LlamaIndex's own."""
    from llama_index.core.schema import TextNode  # slow

    drawn = random.Random(SEED)
    nodes = [
        {"id_": f"n{chunk.id}", "text": chunk.content, "metadata": {**chunk.metadata},
         "embedding": [drawn.gauss(0, 1) for _ in range(DIMENSIONS)]}
        for chunk in chunks
    ]  # fmt: skip
    figures: dict[str, float] = {"added": len(nodes) - 1}
    for key, name, vectors in (("ours", "given", True), ("ours_plain", "plain", False)):
        store = app.llamaindex().vector_store(
            project="given", name=name, collection="code", model="random"
        )
        made = [TextNode(**node if vectors else {**node, "embedding": None}) for node in nodes]
        await store.async_add(made[:1])
        began = time.monotonic()
        await store.async_add(made[1:])
        figures[key] = time.monotonic() - began
    python = await asyncio.to_thread(install, CACHE / "pgvector-store")
    if python is not None:
        file = home / "nodes.json"
        file.write_text(json.dumps(nodes), "utf-8")
        superuser = await connect_as_superuser(app.database)
        host, port = await superuser.fetchrow(
            "SELECT split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')"
        )
        await superuser.close()
        command = [str(python), pgvector_store.__file__, str(file), host, port]
        answer = await asyncio.to_thread(
            subprocess.run, command, check=True, stdout=subprocess.PIPE, text=True
        )
        figures["theirs_plain"], figures["theirs"] = json.loads(answer.stdout)
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
    every = _without_docstrings(folder)
    questions, others = (
        random.Random(seed).sample(every, QUESTIONS) for seed in (SEED, OTHER_SEED)
    )
    section = Section(
        f"{QUESTIONS} of {len(every):,} docstrings of this package find their functions"
    )
    async with _open(home, "in-process") as app:
        repository = await app.repositories.add(folder)
        await app.repository_ingestion.ingest(repository)
        while await app.memories.embed_waiting():
            pass
        wanted = MemoryFilter(projects=(repository.name,))

        async def ask(mode: Mode, asked: Sequence[Question]) -> dict[str, float]:
            answers = []
            for question in asked:
                request = SearchRequest(query=question.text, mode=mode, wanted=wanted, limit=20)
                answers.append([hit.memory for hit in (await app.search(request)).hits])
            return _scores(asked, answers)

        for mode in MODES:
            goals = (least("hit@3", 0.8),) if mode == "hybrid" else ()
            section.add(mode, *goals, **await ask(mode, questions))
        section.add("hybrid, 50 others", **await ask("hybrid", others))
        chunks = await app.memories.list_memories(wanted, limit=1000)
        while len(chunks) % 1000 == 0 and chunks:
            chunks += await app.memories.list_memories(wanted, limit=1000, offset=len(chunks))
    bm25 = Bm25([f"{chunk.context}\n{chunk.content}" for chunk in chunks])
    ranked = [[chunks[n] for n in bm25.rank(question.text, limit=20)] for question in questions]
    section.add("BM25 of the same chunks", **_scores(questions, ranked))
    section.add("files by words in them (grep)", **_grep(folder, questions))
    section.notes.append(
        "file@3: the right file alone; in 3,000: among the first answers that have 3,000 characters "
        "together. The docstrings are left out of what is searched."
    )
    section.seconds = time.monotonic() - started
    return section


def _scores(questions: Sequence[Question], answers: Sequence[Sequence[Memory]]) -> dict[str, float]:
    def is_function(question: Question, memory: Memory) -> bool:
        return memory.path == question.path and question.name in memory.metadata.get("symbols", ())

    sums = dict.fromkeys(("hit@1", "hit@3", "hit@10", "file@3", "in 3,000"), 0)
    for question, memories in zip(questions, answers, strict=True):
        right = [is_function(question, memory) for memory in memories]
        for count in (1, 3, 10):
            sums[f"hit@{count}"] += any(right[:count])
        sums["file@3"] += any(memory.path == question.path for memory in memories[:3])
        before = accumulate((len(memory.content) for memory in memories), initial=0)
        sums["in 3,000"] += any(
            hit and size < ANSWERED for hit, size in zip(right, before, strict=False)
        )
    return {name: hits / len(questions) for name, hits in sums.items()}


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
    return questions


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
