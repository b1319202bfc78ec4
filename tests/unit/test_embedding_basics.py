"""Identity of a model, known models, addresses, whole documents, and what an import loads."""

import subprocess
import sys
from dataclasses import replace

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.embedding.addresses import resolve_ollama_url
from mahavishnu.embedding.documents import EmbeddedChunk, embed_in_chunks
from mahavishnu.embedding.known_models import DOWNLOADS, find_download, find_known
from mahavishnu.embedding.port import ModelIdentity
from tests.support.fakes import FakeEmbedder

IDENTITY = ModelIdentity("ollama", "nomic-embed-text", "abc", 768, "d: ", "q: ", 2048)


def test_the_key_is_stable_over_releases() -> None:
    # Databases hold this string: whoever changes it must migrate them.
    assert IDENTITY.key == "ollama/nomic-embed-text@abc:768+d6e666f9f9ae"


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, provider="fastembed"),
        replace(IDENTITY, name="other"),
        replace(IDENTITY, revision="abd"),
        replace(IDENTITY, dimensions=512),
        replace(IDENTITY, document_prefix=""),
        replace(IDENTITY, query_prefix="q:"),
        replace(IDENTITY, normalized=False),
    ],
)
def test_whatever_alters_the_vectors_alters_the_key(other: ModelIdentity) -> None:
    assert other.key != IDENTITY.key


def test_the_window_does_not_alter_the_key() -> None:
    assert replace(IDENTITY, window_tokens=512).key == IDENTITY.key


@pytest.mark.parametrize(
    ("name", "dimensions", "document_prefix", "query_prefix"),
    [
        ("nomic-embed-text", 768, "search_document: ", "search_query: "),
        ("nomic-embed-text:v1.5", 768, "search_document: ", "search_query: "),
        ("nomic-ai/nomic-embed-text-v1.5", 768, "search_document: ", "search_query: "),
        ("hf.co/nomic-ai/nomic-embed-text-v2-moe-GGUF:Q8_0", 768, "search_document: ", None),
        ("sentence-transformers/all-MiniLM-L6-v2", 384, "", ""),
        (
            "mxbai-embed-large",
            1024,
            "",
            "Represent this sentence for searching relevant passages: ",
        ),
        ("intfloat/multilingual-e5-small", 384, "passage: ", "query: "),
        ("embeddinggemma:300m", 768, "title: none | text: ", "task: search result | query: "),
        ("snowflake-arctic-embed2", 1024, "", "query: "),
        ("BAAI/bge-m3", 1024, "", ""),
    ],
)
def test_known_models_are_found_under_any_owner_and_tag(
    name: str, dimensions: int, document_prefix: str, query_prefix: str | None
) -> None:
    known = find_known(name)
    assert known is not None
    assert (known.dimensions, known.document_prefix) == (dimensions, document_prefix)
    assert query_prefix in (None, known.query_prefix)


@pytest.mark.parametrize("name", ["nomic-embed-textual", "llama3", "my/bge", ""])
def test_other_models_are_not_taken_for_known_ones(name: str) -> None:
    assert find_known(name) is None


def test_the_default_download_is_pinned() -> None:
    download = find_download("nomic-embed-text:latest")
    assert download is DOWNLOADS[0]
    for file in download.files:
        assert len(bytes.fromhex(file.sha256)) == 32
    assert len(bytes.fromhex(download.revision)) == 20


@pytest.mark.parametrize(
    ("configured", "environ", "url"),
    [
        (None, {}, "http://127.0.0.1:11434"),
        (None, {"OLLAMA_HOST": "0.0.0.0"}, "http://127.0.0.1:11434"),
        (None, {"OLLAMA_HOST": ":12000"}, "http://127.0.0.1:12000"),
        (None, {"OLLAMA_HOST": "box.lan:1234"}, "http://box.lan:1234"),
        ("http://localhost:11434/", {"OLLAMA_HOST": "other"}, "http://localhost:11434"),
        ("https://example.org/ollama/", {}, "https://example.org/ollama"),
        ("[::1]:11434", {}, "http://[::1]:11434"),
    ],
)
def test_the_address_of_ollama(configured: str | None, environ: dict[str, str], url: str) -> None:
    assert resolve_ollama_url(configured, environ) == url


@pytest.mark.parametrize(
    "given",
    ["file:///etc", "http://[::1", "http://h:port", "http://u:canary@h", "http://:canary@h",
     "canary@h", "http://u:canary@[::1"],
)  # fmt: skip
def test_what_is_not_an_address_of_ollama(given: str) -> None:
    for configured, environ in ((given, {}), (None, {"OLLAMA_HOST": given})):
        with pytest.raises(UsageError) as caught:
            resolve_ollama_url(configured, environ)
        assert caught.value.code == "embedding.bad_url" and "canary" not in str(caught.value)


class Narrow(FakeEmbedder):
    """Counts half of what its window counts, as an estimate can be wrong."""

    def count_tokens(self, text: str) -> int:
        return super().count_tokens(text) // 2

    def _embed(self, text: str) -> list[float]:
        if super().count_tokens(text) > 100:
            raise UsageError("too long", code="embedding.too_long")
        return super()._embed(text)


async def test_chunks_that_are_too_long_after_all_are_halved() -> None:
    embedder = Narrow()
    text = "one two three four. " * 200
    [chunks, short] = await embed_in_chunks(embedder, [text, "short"])
    position = 0
    for chunk in chunks:
        assert text[position : chunk.start].strip() == ""
        position = chunk.end
    assert text[position:].strip() == ""
    [alone] = await embedder.embed_documents([text[chunks[-1].start : chunks[-1].end]])
    assert chunks[-1].vector == alone
    assert [(c.start, c.end) for c in short] == [(0, 5)]


async def test_a_chunk_that_never_fits_is_an_error_not_a_loop() -> None:
    class Never(FakeEmbedder):
        def _embed(self, text: str) -> list[float]:
            raise UsageError("too long", code="embedding.too_long")

    with pytest.raises(UsageError):
        await embed_in_chunks(Never(), ["word " * 500])


async def test_a_long_document_is_embedded_whole() -> None:
    text = "A sentence of seven words is here. " * 3000
    [chunks] = await embed_in_chunks(FakeEmbedder(), [text])
    assert isinstance(chunks[0], EmbeddedChunk)
    assert chunks[-1].end == len(text.rstrip())


@pytest.mark.parametrize(
    "module", ["", ".port", ".choose", ".chunks", ".documents", ".known_models"]
)
def test_importing_the_package_loads_nothing_heavy(module: str) -> None:
    program = (
        f"import sys, mahavishnu.embedding{module}\n"
        "print([m for m in ('numpy', 'httpx', 'fastembed', 'onnxruntime', 'tokenizers', 'msgspec')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    # Who chooses a model has read settings, which takes msgspec anyway.
    assert done.stdout.strip() == ("['msgspec']" if module == ".choose" else "[]")
