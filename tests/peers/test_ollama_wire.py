"""The Ollama adapter against programs of other people, beside Ollama's own client."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import MahavishnuError, NotFound
from mahavishnu.embedding.choose import EmbeddingConfig, choose_embedder
from mahavishnu.embedding.documents import embed_in_chunks
from mahavishnu.embedding.in_process import InProcessEmbedder
from mahavishnu.embedding.ollama import connect_ollama
from tests.peers.conftest import TEXTS, cosine, require_peers
from tests.support.peers.ollama_peer import MODEL, ollama_peer
from tests.support.weights import stored_model

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def url(gguf: Path) -> Iterator[str]:
    require_peers("ollama", "ollama_proxy", "uvicorn")
    with ollama_peer(gguf) as running:
        yield running


@pytest.mark.verifies("Ollama's API")
async def test_the_peers_vectors_are_those_of_the_in_process_model(
    url: str, tmp_path: Path
) -> None:
    remote = await connect_ollama(url, model=MODEL, batch_size=2, timeout_s=60)
    local = InProcessEmbedder(stored_model(tmp_path), threads=1)
    theirs = await remote.embed_documents(TEXTS)
    ours = await local.embed_documents(TEXTS)
    queries = await remote.embed_query(TEXTS[0]), await local.embed_query(TEXTS[0])
    await remote.aclose()
    await local.aclose()
    for a, b in zip(theirs, ours, strict=True):
        assert cosine(a, b) > 0.99
    assert cosine(*queries) > 0.99
    assert math.hypot(*theirs[0]) == pytest.approx(1)


async def test_ollamas_own_client_sees_the_same_vectors(url: str) -> None:
    import ollama

    remote = await connect_ollama(url, model=MODEL, batch_size=16, timeout_s=60)
    ours = await remote.embed_documents(TEXTS)
    await remote.aclose()
    client = ollama.AsyncClient(host=url, trust_env=False)
    theirs = (await client.embed(model=MODEL, input=TEXTS)).embeddings
    listed = {tag.model: tag.digest for tag in (await client.list()).models}
    await client._client.aclose()
    for a, b in zip(ours, theirs, strict=True):
        assert cosine(a, list(b)) > 0.9999
    assert listed[MODEL] == remote.identity.revision


async def test_automatic_choice_finds_the_peer(url: str, tmp_path: Path) -> None:
    config = EmbeddingConfig(model=MODEL, ollama_base_url=url)
    choice = await choose_embedder(config, models=tmp_path, environ={})
    assert choice.embedder is not None
    assert choice.embedder.identity.dimensions == 384
    await choice.embedder.aclose()


async def test_a_long_document_is_embedded_to_its_end(url: str) -> None:
    remote = await connect_ollama(url, model=MODEL, batch_size=8, timeout_s=60)
    text = "The outbox is delivered at least once, in order, with back-off. " * 60
    [chunks] = await embed_in_chunks(remote, [text])
    await remote.aclose()
    assert len(chunks) > 2
    assert chunks[-1].end == len(text.rstrip())


async def test_what_llama_cpp_refuses_is_an_error_not_a_truncation(url: str) -> None:
    remote = await connect_ollama(
        url, model=MODEL, batch_size=8, timeout_s=60, backoff_s=(0.1, 0.1)
    )
    with pytest.raises(MahavishnuError) as caught:
        await remote.embed_documents(["w1o2r3d4-" * 300])
    assert caught.value.code in ("embedding.too_long", "embedding.input_failed")
    assert len(await remote.embed_documents(["still works"])) == 1
    await remote.aclose()


async def test_a_model_the_peer_does_not_list(url: str) -> None:
    with pytest.raises(NotFound) as caught:
        await connect_ollama(url, model="local/absent", batch_size=8, timeout_s=60)
    assert caught.value.code == "embedding.model_missing"
