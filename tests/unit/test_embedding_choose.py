"""Which embedder is chosen, and the reasons given."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from mahavishnu.base.errors import Conflict, MahavishnuError, NotFound, Unavailable
from mahavishnu.base.hosts import is_this_machine
from mahavishnu.base.masking import Secret
from mahavishnu.embedding import choose
from mahavishnu.embedding.choose import Choice, EmbeddingConfig, choose_embedder
from mahavishnu.embedding.models import StoredModel, write_manifest
from tests.support.fake_servers import FakeModel, FakeServer, ollama_server, openai_server
from tests.support.weights import NAME, stored_model


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return stored_model(tmp_path_factory.mktemp("weights"))


@pytest.fixture
async def ollama() -> AsyncIterator[FakeServer]:
    async with ollama_server(FakeModel("nomic-embed-text", 768)) as server:
        yield server


@pytest.fixture
def nobody() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


async def close(choice: Choice) -> None:
    if choice.embedder is not None:
        await choice.embedder.aclose()


async def test_auto_takes_ollama_first(ollama: FakeServer, minilm: StoredModel) -> None:
    config = EmbeddingConfig(ollama_base_url=ollama.url)
    choice = await choose_embedder(config, models=minilm.folder.parent, environ={})
    await close(choice)
    assert choice.embedder is not None
    assert choice.embedder.identity.provider == "ollama"
    assert choice.reason == "nomic-embed-text by ollama."
    assert choice.tried == ()


async def test_auto_finds_ollama_by_its_own_variable(ollama: FakeServer, tmp_path: Path) -> None:
    environ = {"OLLAMA_HOST": f"127.0.0.1:{ollama.port}"}
    choice = await choose_embedder(EmbeddingConfig(), models=tmp_path, environ=environ)
    await close(choice)
    assert choice.embedder is not None


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "gpu.example:11434", "https://gpu.example", "[2001:db8::7]"]
)
async def test_auto_does_not_follow_the_environment_to_another_machine(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knocked: list[str] = []

    async def knock(url: str) -> None:
        knocked.append(url)
        raise Unavailable("Nobody is there.")

    monkeypatch.setattr(choose, "_knock", knock)
    environ = {"OLLAMA_HOST": host}
    choice = await choose_embedder(EmbeddingConfig(), models=tmp_path, environ=environ)
    assert choice.embedder is None and knocked == []
    assert "another machine" in choice.tried[0].why and "embedding.provider" in choice.tried[0].why
    asked = EmbeddingConfig(ollama_base_url=f"http://{host.removeprefix('https://')}")
    await choose_embedder(asked, models=tmp_path, environ=environ)
    with pytest.raises(Unavailable):
        named = EmbeddingConfig(provider="ollama")
        await choose_embedder(named, models=tmp_path, environ=environ)
    assert len(knocked) == 2


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True),
        ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.example", False), ("", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(host: str, here: bool) -> None:
    assert is_this_machine(host) is here


async def test_auto_falls_back_to_the_store_and_says_why(nobody: str, minilm: StoredModel) -> None:
    config = EmbeddingConfig(model=NAME, ollama_base_url=nobody)
    choice = await choose_embedder(config, models=minilm.folder.parent, environ={})
    assert choice.embedder is not None
    assert choice.embedder.identity == minilm.identity
    assert len(await choice.embedder.embed_query("works")) == 384
    await close(choice)
    [refusal] = choice.tried
    assert refusal.provider == "ollama"
    assert nobody in refusal.why


async def test_auto_with_nothing_there_waits_for_no_answer_and_gives_both_reasons(
    nobody: str, tmp_path: Path
) -> None:
    config = EmbeddingConfig(ollama_base_url=nobody)
    async with asyncio.timeout(config.timeout_s / 2):
        choice = await choose_embedder(config, models=tmp_path / "none", environ={})
    assert choice.embedder is None
    assert [refusal.provider for refusal in choice.tried] == ["ollama", "in-process"]
    assert "mahavishnu model download nomic-ai/nomic-embed-text-v1.5" in choice.tried[1].why
    assert not (tmp_path / "none").exists()


async def test_several_models_and_none_named_is_told_with_their_names(
    nobody: str, minilm: StoredModel, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        shutil.copytree(minilm.folder, tmp_path / name)
        write_manifest(tmp_path / name, structs.replace(minilm.manifest, name=name))
    config = EmbeddingConfig(ollama_base_url=nobody)
    choice = await choose_embedder(config, models=tmp_path, environ={})
    assert choice.embedder is None and len(choice.tried) == 2
    assert "one, two" in choice.reason and "embedding.model" in choice.reason
    assert "download" not in choice.reason + choice.tried[1].why
    with pytest.raises(NotFound) as caught:
        in_process = EmbeddingConfig(provider="in-process")
        await choose_embedder(in_process, models=tmp_path, environ={})
    assert caught.value.code == "embedding.model_unnamed"
    named = await choose_embedder(replace(config, model="two"), models=tmp_path, environ={})
    await close(named)
    assert named.embedder is not None and named.embedder.identity.name == "two"


async def test_auto_goes_on_when_ollama_lacks_the_model(
    ollama: FakeServer, minilm: StoredModel
) -> None:
    config = EmbeddingConfig(model=NAME, ollama_base_url=ollama.url)
    choice = await choose_embedder(config, models=minilm.folder.parent, environ={})
    await close(choice)
    assert choice.embedder is not None
    assert choice.embedder.identity.provider == "fastembed"
    assert f"ollama pull {NAME}" in choice.tried[0].why


async def test_auto_keeps_to_the_model_of_the_stored_vectors(
    ollama: FakeServer, minilm: StoredModel
) -> None:
    config = EmbeddingConfig(ollama_base_url=ollama.url)
    choice = await choose_embedder(
        config, models=minilm.folder.parent, environ={}, expected=minilm.identity
    )
    await close(choice)
    assert choice.embedder is not None
    assert choice.embedder.identity.key == minilm.identity.key


@pytest.mark.parametrize("change", ["revision", "name"])
async def test_auto_never_takes_another_model_instead(
    ollama: FakeServer, minilm: StoredModel, change: str
) -> None:
    expected = replace(minilm.identity, **{change: "other"})  # type: ignore[arg-type]
    config = EmbeddingConfig(ollama_base_url=ollama.url)
    choice = await choose_embedder(
        config, models=minilm.folder.parent, environ={}, expected=expected
    )
    assert choice.embedder is None
    assert expected.name in choice.reason
    assert len(choice.tried) == 2


async def test_a_model_pulled_anew_is_not_taken_for_the_old_one(
    ollama: FakeServer, tmp_path: Path
) -> None:
    config = EmbeddingConfig(ollama_base_url=ollama.url)
    first = await choose_embedder(config, models=tmp_path, environ={})
    await close(first)
    assert first.embedder is not None
    expected = replace(first.embedder.identity, revision="before")
    again = await choose_embedder(config, models=tmp_path, environ={}, expected=expected)
    assert again.embedder is None
    with pytest.raises(Conflict) as caught:
        await choose_embedder(
            replace(config, provider="ollama"), models=tmp_path, environ={}, expected=expected
        )
    assert caught.value.code == "embedding.model_differs"
    assert "Bring the former one back" in (caught.value.hint or "")
    with pytest.raises(Conflict) as caught:
        await choose_embedder(
            replace(config, provider="ollama"),
            models=tmp_path, environ={}, expected=replace(expected, name="before"),
        )  # fmt: skip
    assert "before, in embedding.model" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("provider", "kind", "code"),
    [
        ("ollama", Unavailable, "embedding.unreachable"),
        ("in-process", NotFound, "embedding.model_missing"),
    ],
)
async def test_an_explicit_provider_that_cannot_be_had(
    nobody: str, tmp_path: Path, provider: str, kind: type[MahavishnuError], code: str
) -> None:
    config = EmbeddingConfig(provider=provider, ollama_base_url=nobody)  # type: ignore[arg-type]
    with pytest.raises(kind) as caught:
        await choose_embedder(config, models=tmp_path, environ={})
    assert caught.value.code == code


async def test_openai_only_when_asked_for(tmp_path: Path) -> None:
    async with openai_server(FakeModel("own"), key="k") as server:
        config = EmbeddingConfig(
            provider="openai",
            model="own",
            openai_base_url=f"{server.url}/v1",
            openai_api_key=Secret("k"),
        )
        choice = await choose_embedder(config, models=tmp_path, environ={})
        await close(choice)
    assert choice.embedder is not None
    assert choice.embedder.identity.provider == "openai"
    assert "Secret('***')" in repr(config)


async def test_none_is_none(tmp_path: Path) -> None:
    choice = await choose_embedder(EmbeddingConfig(provider="none"), models=tmp_path, environ={})
    assert choice.embedder is None
    assert "settings" in choice.reason
