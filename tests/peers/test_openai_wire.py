"""The OpenAI-compatible adapter against a server of other people: llama.cpp's."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.embedding.choose import EmbeddingConfig, choose_embedder
from mahavishnu.embedding.documents import embed_in_chunks
from mahavishnu.embedding.in_process import InProcessEmbedder
from mahavishnu.embedding.openai import connect_openai
from tests.peers.conftest import TEXTS, cosine
from tests.support.peers.llama_peer import llama_peer
from tests.support.weights import stored_model

pytestmark = pytest.mark.peer
MODEL = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def url(gguf: Path) -> Iterator[str]:
    with llama_peer(gguf) as address:
        yield f"{address}/v1"


@pytest.mark.verifies("OpenAI-compatible API")
async def test_the_peers_vectors_are_those_of_the_in_process_model(
    url: str, tmp_path: Path
) -> None:
    remote = await connect_openai(url, model=MODEL, api_key=None, batch_size=2, timeout_s=60)
    local = InProcessEmbedder(stored_model(tmp_path), threads=1)
    theirs = await remote.embed_documents(TEXTS)
    ours = await local.embed_documents(TEXTS)
    query = await remote.embed_query(TEXTS[0])
    await remote.aclose()
    await local.aclose()
    for a, b in zip(theirs, ours, strict=True):
        assert cosine(a, b) > 0.99
    assert cosine(query, theirs[0]) > 0.9999
    assert math.hypot(*theirs[0]) == pytest.approx(1)


async def test_it_is_chosen_when_configured_and_tells_its_dimensions(
    url: str, tmp_path: Path
) -> None:
    config = EmbeddingConfig(provider="openai", model="whatever-it-serves", openai_base_url=url)
    choice = await choose_embedder(config, models=tmp_path, environ={})
    assert choice.embedder is not None
    identity = choice.embedder.identity
    assert (identity.provider, identity.dimensions) == ("openai", 384)
    await choice.embedder.aclose()


async def test_a_long_document_is_embedded_to_its_end(url: str) -> None:
    remote = await connect_openai(url, model=MODEL, api_key=None, batch_size=8, timeout_s=60)
    text = "The outbox is delivered at least once, in order, with back-off. " * 60
    [chunks] = await embed_in_chunks(remote, [text])
    await remote.aclose()
    assert len(chunks) > 2
    assert chunks[-1].end == len(text.rstrip())


async def test_what_it_refuses_is_an_error_not_a_truncation(url: str) -> None:
    remote = await connect_openai(
        url, model=MODEL, api_key=None, batch_size=8, timeout_s=60, backoff_s=(0.1, 0.1)
    )
    with pytest.raises(MahavishnuError) as caught:
        await remote.embed_documents(["w1o2r3d4-" * 300])
    assert caught.value.code in ("embedding.too_long", "embedding.input_failed")
    assert len(await remote.embed_documents(["still works"])) == 1
    await remote.aclose()
