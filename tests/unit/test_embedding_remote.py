"""The HTTP adapters: what is sent, and every failure as one of our errors after bounded tries."""

import asyncio
import email.utils
import json
import math
import time
from collections.abc import AsyncIterator

import pytest

from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.masking import Secret
from mahavishnu.embedding.ollama import connect_ollama
from mahavishnu.embedding.openai import connect_openai
from mahavishnu.embedding.remote import RemoteEmbedder
from tests.support.fake_servers import (
    DIGEST,
    DROP,
    FakeModel,
    FakeServer,
    Reply,
    json_reply,
    ollama_server,
    openai_server,
)

FAST = (0.01, 0.02)
KEY = "sk-canary-0123456789"


async def ollama(server: FakeServer, model: str = "all-minilm", **given: float) -> RemoteEmbedder:
    options = {"batch_size": 2, "timeout_s": 5.0} | given
    return await connect_ollama(server.url, model=model, backoff_s=FAST, **options)  # type: ignore[arg-type]


async def openai(server: FakeServer, **given: object) -> RemoteEmbedder:
    options = {"model": "custom", "api_key": Secret(KEY), "batch_size": 2, "timeout_s": 5.0} | given
    return await connect_openai(f"{server.url}/v1", backoff_s=FAST, **options)  # type: ignore[arg-type]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with ollama_server() as running:
        yield running


@pytest.fixture
async def embedder(server: FakeServer) -> AsyncIterator[RemoteEmbedder]:
    connected = await ollama(server)
    yield connected
    await connected.aclose()


async def failure(embedder: RemoteEmbedder, *texts: str) -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        await embedder.embed_documents(texts or ["a text"])
    return caught.value


async def test_ollama_is_asked_in_batches_and_never_to_truncate() -> None:
    async with ollama_server(FakeModel(name="nomic-embed-text", dimensions=768)) as server:
        embedder = await ollama(server, "nomic-embed-text:latest")
        await embedder.embed_documents(["a", "b", "c"])
        await embedder.embed_query("q")
        await embedder.aclose()
    inputs = [body["input"] for body in server.posts("/api/embed")]
    assert inputs == [
        ["search_document: a", "search_document: b"],
        ["search_document: c"],
        ["search_query: q"],
    ]
    assert all(body["truncate"] is False for body in server.posts("/api/embed"))


async def test_ollama_identity_has_the_digest_and_no_latest_tag(embedder: RemoteEmbedder) -> None:
    identity = embedder.identity
    assert (identity.provider, identity.name) == ("ollama", "all-minilm")
    assert (identity.revision, identity.dimensions) == (DIGEST, 384)
    assert identity.window_tokens == 256


async def test_an_unknown_model_is_described_by_the_server() -> None:
    async with ollama_server(FakeModel("own-model", dimensions=48, window_tokens=1024)) as server:
        embedder = await ollama(server, "own-model")
        await embedder.aclose()
    assert (embedder.identity.dimensions, embedder.identity.window_tokens) == (48, 1024)
    assert embedder.identity.document_prefix == embedder.identity.query_prefix == ""
    assert server.posts("/api/embed") == []


async def test_a_model_without_description_is_tried_once() -> None:
    server = ollama_server(FakeModel("own-model", dimensions=48))
    plain = server.handle
    server.handle = lambda r: json_reply({}) if r.path == "/api/show" else plain(r)
    async with server:
        embedder = await ollama(server, "own-model")
        await embedder.aclose()
    assert embedder.identity.dimensions == 48
    assert len(server.posts("/api/embed")) == 1


async def test_a_model_that_was_not_pulled(server: FakeServer) -> None:
    with pytest.raises(NotFound) as caught:
        await ollama(server, "mxbai-embed-large")
    assert caught.value.code == "embedding.model_missing"
    assert "ollama pull mxbai-embed-large" in (caught.value.hint or "")


async def test_a_model_that_is_removed_later(server: FakeServer, embedder: RemoteEmbedder) -> None:
    server.script = [json_reply({"error": 'model "all-minilm" not found'}, 404)]
    error = await failure(embedder)
    assert (type(error), error.code) == (NotFound, "embedding.model_missing")


async def test_nobody_listens(server: FakeServer, embedder: RemoteEmbedder) -> None:
    await server.__aexit__()
    error = await failure(embedder)
    assert (type(error), error.code) == (Unavailable, "embedding.unreachable")
    with pytest.raises(Unavailable):
        await embedder.check()


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([], "embedding.model_missing"),
        ([{"name": "all-minilm:latest", "digest": "other"}], "embedding.model_differs"),
    ],
)
async def test_a_look_finds_that_the_model_is_gone_or_another_one(
    server: FakeServer, embedder: RemoteEmbedder, tags: list[dict[str, str]], code: str
) -> None:
    await embedder.check()
    server.handle = lambda _: json_reply({"models": tags})
    with pytest.raises(MahavishnuError) as caught:
        await embedder.check()
    assert caught.value.code == code
    assert server.posts("/api/embed") == []


@pytest.mark.parametrize("status", [401, 500])
async def test_a_look_at_an_openai_server_embeds_nothing(status: int) -> None:
    async with openai_server(FakeModel("custom"), key=KEY) as server:
        embedder = await openai(server, dimensions=8)
        await embedder.check()  # it has no list of models
        server.handle = lambda _: Reply(status)
        with pytest.raises(Forbidden if status == 401 else Unavailable):
            await embedder.check()
        await embedder.aclose()
    assert server.posts("/v1/embeddings") == []


@pytest.mark.parametrize(
    "hiccups",
    [
        [json_reply({"error": "loading"}, 503)],
        [DROP, Reply(500)],
        [Reply(200, b'{"embeddings": [[1', cut_bytes=5)],
    ],
    ids=["busy", "dropped and failed", "cut"],
)
async def test_a_hiccup_is_retried(
    server: FakeServer, embedder: RemoteEmbedder, hiccups: list[Reply]
) -> None:
    server.script = list(hiccups)
    [vector] = await embedder.embed_documents(["a text"])
    assert math.hypot(*vector) == pytest.approx(1)
    assert len(server.posts("/api/embed")) == len(hiccups) + 1


async def test_tries_are_bounded(server: FakeServer, embedder: RemoteEmbedder) -> None:
    server.script = [json_reply({"error": "out of memory"}, 500)] * 50
    error = await failure(embedder)
    assert (type(error), error.code) == (Unavailable, "embedding.server_failed")
    assert "out of memory" in error.message
    # Three for the text, three to see whether the server embeds anything at all.
    assert len(server.posts("/api/embed")) == 6


async def test_a_text_that_only_the_server_fails_on(
    server: FakeServer, embedder: RemoteEmbedder
) -> None:
    server.script = [json_reply({"error": "unsupported value: NaN"}, 500)] * 3
    error = await failure(embedder)
    assert (type(error), error.code) == (Corrupt, "embedding.input_failed")


async def test_a_request_that_is_refused_whatever_the_text(
    server: FakeServer, embedder: RemoteEmbedder
) -> None:
    server.script = [json_reply({"error": "does not support embeddings"}, 400)] * 2
    error = await failure(embedder)
    assert (type(error), error.code) == (Unavailable, "embedding.refused")
    assert "does not support embeddings" in error.message


async def test_too_long_is_not_retried(server: FakeServer, embedder: RemoteEmbedder) -> None:
    error = await failure(embedder, "w1o2r3d4-" * 300)
    assert error.code == "embedding.too_long"
    assert len(server.posts("/api/embed")) == 2


async def test_more_words_than_the_window_are_not_even_sent(
    server: FakeServer, embedder: RemoteEmbedder
) -> None:
    error = await failure(embedder, "a " * 257)
    assert error.code == "embedding.too_long"
    assert server.posts("/api/embed") == []


async def test_a_slow_server_times_out_once(server: FakeServer) -> None:
    embedder = await ollama(server, timeout_s=1.5)
    server.script = [Reply(delay_s=30)] * 3
    error = await failure(embedder)
    await embedder.aclose()
    assert (type(error), error.code) == (Unavailable, "embedding.timeout")
    assert len(server.posts("/api/embed")) == 1


@pytest.mark.parametrize(
    ("embeddings", "kind", "code"),
    [
        ([[0.0] * 384], Corrupt, "embedding.bad_vector"),
        ([[math.nan] * 384], Corrupt, "embedding.bad_vector"),
        ([[math.inf] + [0.0] * 383], Corrupt, "embedding.bad_vector"),
        ([[None] * 384], Corrupt, "embedding.bad_vector"),
        ([[1.0] * 383], Conflict, "embedding.dimension_mismatch"),
        ([], Corrupt, "embedding.bad_reply"),
        ([[1.0] * 384] * 2, Corrupt, "embedding.bad_reply"),
        ("none", Corrupt, "embedding.bad_reply"),
    ],
)
async def test_vectors_that_are_none(
    server: FakeServer,
    embedder: RemoteEmbedder,
    embeddings: object,
    kind: type[MahavishnuError],
    code: str,
) -> None:
    server.script = [json_reply({"embeddings": embeddings})]
    error = await failure(embedder)
    assert (type(error), error.code) == (kind, code)


async def test_tiny_and_huge_vectors_are_normalised(
    server: FakeServer, embedder: RemoteEmbedder
) -> None:
    for size in (1e-200, 1e200):
        server.script = [json_reply({"embeddings": [[size] * 384]})]
        [vector] = await embedder.embed_documents(["a"])
        assert vector == pytest.approx([384**-0.5] * 384)


async def test_another_program_at_the_address(server: FakeServer, embedder: RemoteEmbedder) -> None:
    server.script = [Reply(200, b"<html>hello</html>")]
    assert (await failure(embedder)).code == "embedding.bad_reply"


async def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    embedder = await ollama(server)
    await embedder.embed_query("direct")
    await embedder.aclose()
    assert len(server.posts("/api/embed")) == 1


async def test_openai_sends_the_key_and_sorts_by_index() -> None:
    async with openai_server(FakeModel("custom"), key=KEY) as server:
        embedder = await openai(server)
        one, two = await embedder.embed_documents(["first words", "second thoughts"])
        assert one == pytest.approx(await embedder.embed_query("first words"))
        assert one != pytest.approx(two)
        await embedder.aclose()
    assert (embedder.identity.provider, embedder.identity.dimensions) == ("openai", 384)


async def test_openai_asks_for_shorter_vectors() -> None:
    async with openai_server(FakeModel("text-embedding-3-small", 1536), key=KEY) as server:
        embedder = await openai(server, model="text-embedding-3-small", dimensions=256)
        [vector] = await embedder.embed_documents(["a"])
        await embedder.aclose()
    assert len(vector) == embedder.identity.dimensions == 256
    assert server.posts("/v1/embeddings")[0]["dimensions"] == 256


async def test_a_wrong_key_is_forbidden_and_never_shown() -> None:
    async with openai_server(FakeModel("custom"), key="sk-other") as server:
        with pytest.raises(Forbidden) as caught:
            await openai(server)
    assert caught.value.code == "embedding.forbidden"
    assert "sk-" not in f"{caught.value} {caught.value.hint} {Secret(KEY)} {Secret(KEY)!r}"


async def test_the_key_does_not_follow_a_redirect() -> None:
    async with (
        openai_server(FakeModel("text-embedding-3-small", 1536)) as elsewhere,
        openai_server() as server,
    ):
        embedder = await openai(server, model="text-embedding-3-small")
        there = f"{elsewhere.url}/v1/embeddings"
        server.script = [json_reply({}, 307, location=there)] * 2
        assert (await failure(embedder)).code == "embedding.server_failed"
        await embedder.aclose()
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.org/v1", "embedding.insecure_url"),
        ("http://localhost.example.org/v1", "embedding.insecure_url"),
        ("ftp://example.org", "embedding.bad_url"),
        ("https://user:pass@example.org/v1", "embedding.bad_url"),
        ("https://", "embedding.bad_url"),
        ("http://user:pass@[::1", "embedding.bad_url"),
    ],
)
async def test_an_address_that_will_not_do(url: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        await connect_openai(
            url, model="text-embedding-3-small", api_key=Secret(KEY), batch_size=1, timeout_s=1
        )
    assert caught.value.code == code
    assert "user:pass" not in str(caught.value)


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(form: str) -> None:
    async with openai_server(FakeModel("text-embedding-3-small", 1536)) as server:
        embedder = await openai(server, model="text-embedding-3-small")
        until = int(time.time()) + 2 if form == "date" else time.time() + 1
        after = "1" if form == "seconds" else email.utils.formatdate(until, usegmt=True)
        server.script = [json_reply({}, 429, retry_after=after)]
        await embedder.embed_documents(["a"])
        assert time.time() > until - 0.2
        await embedder.aclose()


async def test_a_long_retry_after_is_reported_at_once() -> None:
    async with openai_server(FakeModel("text-embedding-3-small", 1536)) as server:
        embedder = await openai(server, model="text-embedding-3-small")
        server.script = [json_reply({}, 429, retry_after="3600")] * 3
        async with asyncio.timeout(60):
            error = await failure(embedder)
        await embedder.aclose()
    assert (type(error), error.code) == (Unavailable, "embedding.rate_limited")


async def test_openai_vectors_that_miss_a_text() -> None:
    async with openai_server(FakeModel("text-embedding-3-small", 1536)) as server:
        embedder = await openai(server, model="text-embedding-3-small")
        server.script = [json_reply({"data": [{"index": 1, "embedding": [1.0] * 1536}]})]
        assert (await failure(embedder)).code == "embedding.bad_reply"
        await embedder.aclose()


def test_a_secret_does_not_leak_by_serialising() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))
