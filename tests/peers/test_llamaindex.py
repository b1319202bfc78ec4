"""LlamaIndex over the memories: its splitters, its pipeline, and its extension points."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.knowledge.file_kinds import language_of
from mahavishnu.memory.models import MemoryFilter, NewMemory
from tests.conftest import OpenWorld, World
from tests.peers.conftest import require_peers
from tests.support.ingesting import commit, write
from tests.support.served import app_of
from tests.support.weights import stored_model

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("llama_index", "tree_sitter")

from llama_index.core import Document, VectorStoreIndex  # noqa: E402
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline  # noqa: E402
from llama_index.core.node_parser import SentenceSplitter  # noqa: E402
from llama_index.core.schema import TextNode  # noqa: E402
from llama_index.core.storage.docstore import SimpleDocumentStore  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from mahavishnu.engines.llamaindex.extension_points import LlamaIndexParts  # noqa: E402
from mahavishnu.engines.llamaindex.splitting import CHARACTERS_OF_TOKEN, SourceSplitter  # noqa: E402

PACKAGE = Path(__file__).parents[2] / "mahavishnu"


def split(text: str, path: str, tokens: int = 200) -> list[TextNode]:
    splitter = SourceSplitter(chunk_tokens=tokens, overlap_tokens=20, include_prev_next_rel=False)
    document = Document(id_=path, text=text, metadata={"language": language_of(path)})
    return [node for node in splitter([document]) if isinstance(node, TextNode)]


@pytest.mark.parametrize("tokens", [64, 300, 1024])
def test_chunks_lose_nothing_and_know_their_lines(tokens: int) -> None:
    for path in [*sorted((PACKAGE / "memory").glob("*.py")), PACKAGE.parent / "CONTRIBUTING.md"]:
        text = path.read_text("utf-8")
        lines = text.split("\n")
        covered = [False] * len(text)
        for node in split(text, path.name, tokens):
            start, end = node.start_char_idx or 0, node.end_char_idx or 0
            assert text[start:end] == node.text and len(node.text) <= tokens * CHARACTERS_OF_TOKEN
            first, last = node.metadata["start_line"], node.metadata["end_line"]
            assert node.text.strip("\n") in "\n".join(lines[first - 1 : last])
            covered[start:end] = [True] * (end - start)
        left = "".join(text[place] for place, seen in enumerate(covered) if not seen)
        assert not left.strip(), (path, left[:80])


def test_chunks_are_of_definitions_and_headings() -> None:
    code = "\n\n".join(
        f'def f{n}(x):\n    """Say {n}."""\n    return x + {n} * 2' for n in range(8)
    )
    symbols = [node.metadata["symbols"] for node in split(code, "a.py", 64)]
    assert [name for names in symbols for name in names] == [f"f{n}" for n in range(8)]
    assert all(node.text.startswith("def f") for node in split(code, "a.py", 64))
    body = "".join(f"        self.x{n} = {n}\n" for n in range(6))
    method = f"    def {{}}(self):\n        def inner(): pass\n{body}"
    shop = f"class Shop:\n    size = {'1' * 80}\n\n{method.format('a')}\n    # why\n    @cache\n{method.format('b')}"
    head, a, b = split(shop, "a.py")  # one each, though all of them would fit together
    assert [n.metadata["symbols"] for n in (head, a)] == [["Shop"], ["Shop.a", "Shop.a.inner"]]
    assert b.text.startswith("    # why\n    @cache\n    def b") and b.metadata["start_line"] == 13
    [node] = split("class A:\n    def b(self):\n        pass\n", "a.py")
    assert node.metadata["symbols"] == ["A", "A.b"]
    nodes = split("# A\ntext\n## B\n```\n# no heading\n```\nmore\n", "a.md")
    assert [node.metadata["heading"] for node in nodes] == ["A", "A > B"]
    for path, text, name in (
        ("a.go", "package a\nfunc Add(x int) int { return x }\n", "Add"),
        ("a.ts", "export const sum = (a: number) => a;\n", "sum"),
        ("a.rs", "impl Shop { fn open(&self) {} }\n", "Shop.open"),
        ("a.c", "int main(void) { return 0; }\n", "main"),
        ("a.java", "class Shop { void open() {} }\n", "Shop.open"),
    ):
        [node] = split(text, path)
        assert name in node.metadata["symbols"], path


@pytest.mark.parametrize("text", ["def (:\n" * 50, "(" * 5000, "x" * 9000, "é" * 3000 + "\n"])
def test_what_does_not_parse_is_split_as_text(text: str) -> None:
    nodes = split(text, "a.py", 100)
    assert nodes and all(len(node.text) <= 300 for node in nodes)


async def test_a_repository_is_ingested_changed_and_asked(world: World, tmp_path: Path) -> None:
    root = tmp_path / "shop"
    write(root, prices_py="def total(prices):\n    return sum(prices)\n")
    (root / "README.md").write_text("# Shop\n## Opening hours\nWe open at nine.\n")
    head = commit(root)
    repository = await world.repositories.add(root)
    done = await world.repository_ingestion.ingest(repository)
    assert (done.documents, done.stored, done.waiting) == (2, 3, 0)
    app = app_of(world, tmp_path)
    [hit] = (await app.search("when does it open")).hits[:1]
    found = hit.memory
    assert (found.path, found.commit_id, found.repo_id) == ("README.md", head, repository.repo_id)
    assert found.metadata["heading"] == "Shop > Opening hours"
    assert found.metadata["doc_id"] == found.metadata["file_path"] == "README.md"
    assert found.metadata["node_id"] == str(found.id) and found.metadata["start_line"] == 2
    (root / "README.md").write_text("# Shop\n## Opening hours\nWe open at ten.\n")
    again = await world.repository_ingestion.ingest(repository)
    assert (again.changed, again.unchanged) == (1, 1)
    texts = {hit.memory.content for hit in (await app.search("when does it open")).hits}
    assert any("at ten" in text for text in texts) and not any("at nine" in text for text in texts)


async def test_a_killed_run_is_mended_by_the_next(
    open_world: OpenWorld, tmp_path: Path, target: Any
) -> None:
    """`kill -9` in the middle, at three places; then one run, and the rows are those of a clean one."""
    root = tmp_path / "shop"
    for n in range(600):
        write(
            root, **{f"f{n}_py": f"def f{n}():\n    return {n}\n\n\ndef g{n}():\n    return {n}\n"}
        )
    async with open_world(without_embedder=True) as world:
        repository = await world.repositories.add(root)

        async def rows() -> str:
            found = await world.database.run(
                lambda c: c.fetch(
                    "SELECT id, path, content, metadata::text FROM memories ORDER BY id"
                )
            )
            return hashlib.sha256(repr([tuple(row) for row in found]).encode()).hexdigest()

        async def status() -> str:
            [found] = await world.repositories.look([repository])
            assert found.last_run is not None
            return found.last_run.status

        await world.repository_ingestion.ingest(repository)
        clean = await rows()
        for stop_at in (1, 100, 250):
            await world.repository_ingestion.remove(await world.repositories.find("shop"))
            repository = await world.repositories.add(root)
            code = KILLED.format(dsn=target.url, stop_at=stop_at)
            ended = subprocess.run([sys.executable, "-c", code], check=False)
            assert ended.returncode == -9
            async with asyncio.timeout(60):
                while await status() == "in_progress":
                    pass  # the server is still at the last statement of the killed one
            assert await status() == "failed" and await rows() != clean
            await world.repository_ingestion.ingest(repository)
            assert await rows() == clean


async def test_the_documented_example_runs(target: Any, tmp_path: Path) -> None:
    from tests.docs.test_docs import DOCS, blocks

    [code] = blocks(DOCS / "how-to" / "use-with-llamaindex.md", "python")
    model = stored_model(tmp_path / "data")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "MAHAVISHNU_HOME": str(tmp_path),
        "PYTHONPATH": str(PACKAGE.parent), "MAHAVISHNU_PG_DSN": target.url,
        "MAHAVISHNU_EMBEDDING_PROVIDER": "in-process", "MAHAVISHNU_EMBEDDING_MODEL": model.manifest.name,
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("Deploys run at nine. ")
    assert lines[1] == "['Deploys run at nine.', 'Deploys ran at noon.']"


KILLED = """
import asyncio, os, signal
from mahavishnu.app import open_app
from mahavishnu.base.settings.sources import load_settings

async def main():
    loaded = load_settings(environ={{"HOME": "/nowhere", "MAHAVISHNU_PG_DSN": "{dsn}",
                                    "MAHAVISHNU_EMBEDDING_PROVIDER": "none"}})
    async with open_app(loaded) as app:
        async def progress(files, of_files, chunks):
            if chunks >= {stop_at}:
                os.kill(os.getpid(), signal.SIGKILL)
        await app.repository_ingestion.ingest(await app.repositories.find("shop"), progress=progress)

asyncio.run(main())
"""


@pytest.fixture
async def parts(world: World) -> LlamaIndexParts:
    return LlamaIndexParts(world.memories, world.space, world.retriever.search)


def node(text: str, doc: str = "d", **metadata: Any) -> TextNode:
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo

    related = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc)}
    return TextNode(id_=f"n-{text}", text=text, metadata=metadata, relationships=related)


async def test_nodes_come_back_are_replaced_and_deleted(
    parts: LlamaIndexParts, world: World
) -> None:
    await world.memories.store(NewMemory(content="not a node", collection="document"))
    store = parts.vector_store(project="p")
    first = node("walrus", "one", year=2020, tags=["a", "b"])
    first.excluded_embed_metadata_keys = ["year"]
    assert await store.async_add([first, node("seal", "two")]) == ["n-walrus", "n-seal"]
    [back] = await store.aget_nodes(["n-walrus"])
    assert back.metadata == {"year": 2020, "tags": ["a", "b"]} and back.ref_doc_id == "one"
    assert isinstance(back, TextNode) and back.text == "walrus"
    assert back.excluded_embed_metadata_keys == ["year"]
    await store.async_add([node("walrus", "one", year=2021)])  # other metadata alone
    changed = TextNode(id_="n-seal", text="a seal that swims")
    await store.async_add([changed])
    texts = {(n.get_content(), n.metadata.get("year")) for n in await store.aget_nodes()}
    assert texts == {("walrus", 2021), ("a seal that swims", None)}
    await store.adelete("one")
    assert [n.node_id for n in await store.aget_nodes()] == ["n-seal"]
    assert await parts.vector_store(project="p", name="other").aget_nodes() == []
    await store.aclear()
    assert await store.aget_nodes() == []
    assert (await world.memories.stats())[1]["live"] == 1


FILTERS: list[tuple[str, FilterOperator, Any, set[str]]] = [
    ("year", FilterOperator.EQ, 2020, {"a"}),
    ("year", FilterOperator.NE, 2020, {"b", "c"}),
    ("year", FilterOperator.GT, 2020, {"b", "c"}),
    ("year", FilterOperator.GTE, 2021, {"b", "c"}),
    ("year", FilterOperator.LT, 2021, {"a"}),
    ("year", FilterOperator.LTE, 2021, {"a", "b"}),
    ("kind", FilterOperator.IN, ["x", "y"], {"a", "b"}),
    ("kind", FilterOperator.NIN, ["x", "y"], {"c"}),
    ("tags", FilterOperator.ANY, ["red", "blue"], {"a", "b"}),
    ("tags", FilterOperator.ALL, ["red", "blue"], {"a"}),
    ("tags", FilterOperator.CONTAINS, "blue", {"a", "b"}),
    ("tags", FilterOperator.IS_EMPTY, None, {"c"}),
    ("title", FilterOperator.TEXT_MATCH, "Sea.", {"a"}),
    ("title", FilterOperator.TEXT_MATCH_INSENSITIVE, "sea", {"a", "b"}),
    ("title", FilterOperator.EQ, "zz' OR '1'='1", set()),
    ("title", FilterOperator.EQ, 'zz" || "1" == "1', set()),
    ('o\'dd "key"', FilterOperator.EQ, 1, {"c"}),
    ("ref_doc_id", FilterOperator.EQ, "d", {"a", "b", "c"}),
]


async def test_every_filter_narrows_what_is_found_and_deleted(parts: LlamaIndexParts) -> None:
    store = parts.vector_store()
    await store.async_add([
        node("a", year=2020, kind="x", tags=["red", "blue"], title="The Sea. A"),
        node("b", year=2021, kind="y", tags=["blue"], title="Seal"),
        node("c", year=2022, kind="z", **{"o'dd \"key\"": 1}),
    ])  # fmt: skip

    async def found(filters: MetadataFilters) -> set[str]:
        query = VectorStoreQuery(query_str="a b c", similarity_top_k=9, filters=filters)
        asked = await store.aquery(query)
        listed = {n.get_content() for n in await store.aget_nodes(filters=filters)}
        assert {n.get_content() for n in asked.nodes or ()} == listed
        return listed

    for key, operator, value, expected in FILTERS:
        one = MetadataFilter(key=key, operator=operator, value=value)
        assert await found(MetadataFilters(filters=[one])) == expected, (key, operator)
    young = MetadataFilter(key="year", operator=FilterOperator.GT, value=2020)
    blue = MetadataFilter(key="tags", operator=FilterOperator.CONTAINS, value="blue")
    for condition, expected in (
        (FilterCondition.AND, {"b"}), (FilterCondition.OR, {"a", "b", "c"}), (FilterCondition.NOT, set()),
    ):  # fmt: skip
        both = MetadataFilters(filters=[young, blue], condition=condition)
        assert await found(both) == expected, condition
    inner = MetadataFilters(filters=[blue], condition=FilterCondition.NOT)
    await store.adelete_nodes(filters=MetadataFilters(filters=[young, inner]))
    assert {n.get_content() for n in await store.aget_nodes()} == {"a", "b"}


async def test_an_index_asks_by_vectors_words_and_both_from_threads_and_loops(
    parts: LlamaIndexParts,
) -> None:
    embedding = await parts.embedding()
    store = parts.vector_store(project="zoo", model=embedding.model_name)
    texts = ["walrus tusk ice", "seal fur ice", "parrot feather"]

    def build_and_ask() -> list[str]:
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
        for text in texts:
            index.insert(Document(id_=text, text=text))
        found = []
        for mode in ("default", "text_search", "hybrid"):
            asked = index.as_retriever(similarity_top_k=1, vector_store_query_mode=mode)
            found += [hit.node.get_content() for hit in asked.retrieve("walrus tusk")]
            # LlamaIndex's own loop, in this thread
            found += [h.node.get_content() for h in asyncio.run(asked.aretrieve("walrus tusk"))]
        return found

    assert set(await asyncio.to_thread(build_and_ask)) == {"walrus tusk ice"}
    query = VectorStoreQuery(query_str="ice", similarity_top_k=1, mode=VectorStoreQueryMode.MMR)
    with pytest.raises(Exception, match="no mode mmr"):
        await store.aquery(query)
    with pytest.raises(Exception, match="wait for itself"):
        store.get_nodes()


async def test_the_pipeline_of_others_upserts_into_the_store(parts: LlamaIndexParts) -> None:
    store = parts.vector_store(project="docs")
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(
                chunk_size=64, chunk_overlap=0, tokenizer=str.split, chunking_tokenizer_fn=lambda text: [text]
            ),
            await parts.embedding(),
        ],
        vector_store=store, docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )  # fmt: skip
    documents = [Document(id_=name, text=f"{name} says hello") for name in ("a", "b", "c")]
    assert len(await pipeline.arun(documents=documents)) == 3
    assert await pipeline.arun(documents=documents) == []
    changed = [Document(id_="a", text="a says goodbye"), documents[1]]
    await pipeline.arun(documents=changed)
    texts = {n.get_content() for n in await store.aget_nodes()}
    assert texts == {"a says goodbye", "b says hello"}


async def test_a_retriever_answers_from_all_memories(parts: LlamaIndexParts, world: World) -> None:
    await world.memories.store(NewMemory(content="We deploy at nine.", project="shop"))
    await world.memories.store(NewMemory(content="We deploy by hand.", project="fair"))
    wanted = MemoryFilter(projects=("shop",))
    for retrieve in as_both(parts.retriever(limit=5, wanted=wanted)):
        [hit] = await retrieve("when do we deploy?")
        assert hit.node.get_content() == "We deploy at nine." and hit.score == 1.0
        assert hit.node.metadata["project"] == "shop"


def as_both(retriever: Any) -> list[Callable[[str], Any]]:
    return [retriever.aretrieve, lambda text: asyncio.to_thread(retriever.retrieve, text)]


async def test_an_embedding_is_that_of_the_memories(parts: LlamaIndexParts, world: World) -> None:
    embedding = await parts.embedding()
    assert embedding.dimensions == 64
    assert await embedding.aget_query_embedding("walrus") == list(
        await world.space.embed_query("walrus")
    )
    long = " ".join(f"word{n}" for n in range(2000))  # beyond the window: the mean of its parts
    [vector] = await embedding.aget_text_embedding_batch([long])
    assert abs(sum(value * value for value in vector) - 1) < 1e-5
