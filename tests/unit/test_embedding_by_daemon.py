"""The daemon as an embedder: taken for the very same model only, and never needed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import claim
from mahavishnu.base.daemon.token import ensure_token
from mahavishnu.base.errors import UsageError
from mahavishnu.embedding.by_daemon import DaemonEmbedder, knows_model
from mahavishnu.embedding.choose import DaemonFiles, EmbeddingConfig, choose_embedder
from mahavishnu.embedding.in_process import InProcessEmbedder
from mahavishnu.embedding.models import StoredModel
from tests.support.embedding_daemon import embedding_daemon
from tests.support.fakes import FakeEmbedder
from tests.support.weights import NAME, stored_model


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return stored_model(tmp_path_factory.mktemp("weights"))


@pytest.fixture
async def served(minilm: StoredModel) -> AsyncIterator[DaemonClient]:
    async with embedding_daemon(InProcessEmbedder(minilm, threads=1)) as client:
        yield client


async def test_a_daemon_with_another_model_is_not_asked(
    served: DaemonClient, minilm: StoredModel
) -> None:
    other = replace(minilm.identity, revision="sha256:another")
    assert await asyncio.to_thread(knows_model, served, minilm.identity)
    assert not await asyncio.to_thread(knows_model, served, other)
    async with embedding_daemon(FakeEmbedder()) as fake:
        assert not await asyncio.to_thread(knows_model, fake, minilm.identity)


async def test_a_daemon_that_goes_away_in_the_middle_is_replaced_by_the_model_itself(
    minilm: StoredModel,
) -> None:
    texts = ["one text", "another one"]
    own = InProcessEmbedder(minilm, threads=1)
    opened = []

    def open_own() -> InProcessEmbedder:
        opened.append(own)
        return own

    async with embedding_daemon(InProcessEmbedder(minilm, threads=1)) as client:
        embedder = DaemonEmbedder(client, minilm, batch_size=16, open_own=open_own)
        before = await embedder.embed_documents(texts)
        assert not opened
    after = await embedder.embed_documents(texts)
    assert opened == [own]
    for one, other in zip(before, after, strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert await embedder.embed_query("a question")
    assert opened == [own]  # once is enough
    await embedder.aclose()


async def test_a_text_at_fault_is_told_with_the_daemons_own_code(
    served: DaemonClient, minilm: StoredModel
) -> None:
    embedder = DaemonEmbedder(served, minilm, batch_size=16, open_own=pytest.fail)
    with pytest.raises(UsageError) as caught:
        await embedder.embed_documents(["word " * 2000])
    assert caught.value.code == "embedding.too_long"


async def test_tokens_of_short_texts_need_no_tokenizer_and_long_ones_are_exact(
    served: DaemonClient, minilm: StoredModel
) -> None:
    exact = InProcessEmbedder(minilm, threads=1)
    embedder = DaemonEmbedder(served, minilm, batch_size=16, open_own=pytest.fail)
    short, long = "a short text", "a longer text with many words " * 60
    assert embedder.count_tokens(short) >= exact.count_tokens(short)
    assert embedder.count_tokens(long) == exact.count_tokens(long)
    await exact.aclose()


async def test_no_process_asks_itself_and_a_broken_token_is_no_obstacle(
    minilm: StoredModel, tmp_path: Path
) -> None:
    files = DaemonFiles(tmp_path / "daemon.lock", tmp_path / "token")
    config = EmbeddingConfig(provider="in-process", model=NAME, daemon=files)
    models = minilm.folder.parent
    ensure_token(files.token)
    with claim(files.lock, version="1", since="now") as held:
        held.announce(1)  # nobody listens there; asking would fail
        choice = await choose_embedder(config, models=models, environ={})
        assert isinstance(choice.embedder, InProcessEmbedder)
        await choice.embedder.aclose()
