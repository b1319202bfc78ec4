"""What the Embedder port promises, on the fake and on every adapter."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.embedding.by_daemon import DaemonEmbedder, knows_model
from mahavishnu.embedding.chunks import chunk_spans
from mahavishnu.embedding.documents import embed_in_chunks
from mahavishnu.embedding.in_process import InProcessEmbedder
from mahavishnu.embedding.models import StoredModel
from mahavishnu.embedding.ollama import connect_ollama
from mahavishnu.embedding.openai import connect_openai
from mahavishnu.embedding.port import Embedder
from tests.support.embedding_daemon import embedding_daemon
from tests.support.fake_servers import FakeModel, ollama_server, openai_server
from tests.support.fakes import FakeEmbedder
from tests.support.weights import stored_model

TEXTS = [
    "How do I reset my password?",
    "naïve café, Ünïcödé: 日本語のテキスト 🙂👩‍👩‍👧 العربية",
    "x",
    "def f(a, b):\n    return a + b\n",
]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return stored_model(tmp_path_factory.mktemp("weights"))


@pytest.fixture(params=["fake", "in-process", "daemon", "ollama", "openai"])
async def embedder(request: pytest.FixtureRequest, minilm: StoredModel) -> AsyncIterator[Embedder]:
    if request.param == "fake":
        yield FakeEmbedder()
    elif request.param == "in-process":
        local = InProcessEmbedder(minilm, batch_size=3, threads=1)
        yield local
        await local.aclose()
    elif request.param == "daemon":
        async with embedding_daemon(InProcessEmbedder(minilm, batch_size=3, threads=1)) as client:
            assert await asyncio.to_thread(knows_model, client, minilm.identity)
            ours = DaemonEmbedder(client, minilm, batch_size=3, open_own=pytest.fail)
            yield ours
            await ours.aclose()
    elif request.param == "ollama":
        async with ollama_server() as server:
            remote = await connect_ollama(
                server.url, model="all-minilm", batch_size=3, timeout_s=10
            )
            yield remote
            await remote.aclose()
    else:
        async with openai_server(FakeModel(name="unknown", window_tokens=512)) as server:
            remote = await connect_openai(
                f"{server.url}/v1", model="unknown", api_key=None, batch_size=3, timeout_s=10
            )
            yield remote
            await remote.aclose()


def cosine(a: list[float], b: list[float]) -> float:
    return math.sumprod(a, b)


async def test_vectors_have_the_promised_length_and_norm_1(embedder: Embedder) -> None:
    vectors = [*await embedder.embed_documents(TEXTS), await embedder.embed_query(TEXTS[0])]
    for vector in vectors:
        assert len(vector) == embedder.identity.dimensions
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)


async def test_order_is_kept_and_a_batch_equals_single_calls(embedder: Embedder) -> None:
    together = await embedder.embed_documents(TEXTS * 2)
    assert len(together) == 2 * len(TEXTS)
    for text, vector in zip(TEXTS * 2, together, strict=True):
        [alone] = await embedder.embed_documents([text])
        assert alone == pytest.approx(vector, abs=1e-3)


async def test_the_same_text_gives_the_same_vector(embedder: Embedder) -> None:
    first = await embedder.embed_query(TEXTS[1])
    assert await embedder.embed_query(TEXTS[1]) == pytest.approx(first, abs=1e-6)


async def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed_documents([]) == []


async def test_many_tasks_may_embed_at_once(embedder: Embedder) -> None:
    expected = await embedder.embed_documents(TEXTS)
    results = await asyncio.gather(*(embedder.embed_documents(TEXTS) for _ in range(4)))
    for result in results:
        for vector, alike in zip(result, expected, strict=True):
            assert vector == pytest.approx(alike, abs=1e-3)


async def test_texts_that_share_words_are_nearer_than_others(embedder: Embedder) -> None:
    query = await embedder.embed_query("apple pie recipe")
    near, far = await embedder.embed_documents(
        ["a recipe for apple pie", "sockets close when the server stops"]
    )
    assert cosine(query, near) > cosine(query, far) + 0.1


@pytest.mark.parametrize("text", ["", " \n\t "])
async def test_a_blank_text_is_refused(embedder: Embedder, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        await embedder.embed_documents(["fine", text])
    assert caught.value.code == "embedding.blank_text"
    with pytest.raises(UsageError):
        await embedder.embed_query(text)


async def test_half_a_surrogate_pair_is_refused(embedder: Embedder) -> None:
    with pytest.raises(UsageError) as caught:
        await embedder.embed_query("cut \ud83d")
    assert caught.value.code == "embedding.not_unicode"


@pytest.mark.parametrize("text", ["word " * 600, "w1o2r3d4-" * 600], ids=["words", "one blob"])
async def test_a_long_text_is_refused_not_truncated(embedder: Embedder, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        await embedder.embed_documents(["fine", text])
    assert caught.value.code == "embedding.too_long"
    with pytest.raises(UsageError):
        await embedder.embed_query(text)
    assert len(await embedder.embed_documents(["still works"])) == 1


async def test_chunks_fit_the_window_and_their_end_counts(embedder: Embedder) -> None:
    text = "Notes about retrieval, indexes & pipelines in production.\n" * 80
    spans = chunk_spans(embedder, text)
    assert len(spans) > 3
    chunks = await embed_in_chunks(embedder, [text, "", "short"])
    assert [(c.start, c.end) for c in chunks[0]] == [(s.start, s.end) for s in spans]
    assert chunks[1] == []
    assert [(c.start, c.end) for c in chunks[2]] == [(0, 5)]


async def test_one_that_works_finds_nothing_to_object_to(embedder: Embedder) -> None:
    await embedder.check()


async def test_tokens_are_counted_without_prefix_and_grow_with_the_text(embedder: Embedder) -> None:
    assert embedder.count_tokens("") == 0
    assert 1 <= embedder.count_tokens("word") < embedder.count_tokens("word, another; a third one")


async def test_closing_twice_is_fine(embedder: Embedder) -> None:
    await embedder.embed_query("x")
    await embedder.aclose()
    await embedder.aclose()


@pytest.mark.verifies("all-MiniLM-L6-v2 in this process")
async def test_the_real_model_knows_what_texts_mean(minilm: StoredModel) -> None:
    embedder = InProcessEmbedder(minilm, threads=1)
    query = await embedder.embed_query("How do I reset my password?")
    near, far = await embedder.embed_documents(
        ["Steps to recover account credentials", "The cat sat on the mat"]
    )
    await embedder.aclose()
    assert cosine(query, near) > 0.5 > 0.2 > cosine(query, far)


def test_the_packaged_model_lies_where_it_was_imported(minilm: StoredModel) -> None:
    assert minilm.folder.parent.name == "models"
    assert minilm.identity.dimensions == 384
    assert Path(minilm.folder / "onnx/model.onnx").is_file()
