"""The store of local models: import from folders, what is refused, verification."""

import json
import shutil
import stat
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, Corrupt, MahavishnuError, NotFound, UsageError
from mahavishnu.embedding.in_process import InProcessEmbedder
from mahavishnu.embedding.model_import import import_model
from mahavishnu.embedding.models import find_model, list_models, read_model, verify_model
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged_model(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    """A copy of the model folder that a test may damage."""
    return shutil.copytree(source, tmp_path / "model")


def left_over(store: Path) -> list[str]:
    return [p.name for p in store.glob("*")] + [p.name for p in store.glob(".staging/*")]


def refusal(path: Path, store: Path, **given: str) -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        import_model(path, store, **given)
    if store.exists():
        assert left_over(store) == [".lock", ".staging"] or left_over(store) == [
            ".staging",
            ".lock",
        ]
    return caught.value


def test_a_folder_is_imported_with_its_facts(source: Path, tmp_path: Path) -> None:
    model = import_model(source, tmp_path / "store", sha256=GRAPH_SHA256)
    manifest = model.manifest
    assert model.folder == tmp_path / "store" / NAME
    assert (manifest.name, manifest.dimensions, manifest.pooling) == (NAME, 384, "mean")
    assert manifest.window_tokens == 256
    assert manifest.imported_at.endswith("+00:00")
    assert model.identity.revision == GRAPH_SHA256
    assert list_models(tmp_path / "store") == [model]
    assert find_model(tmp_path / "store", NAME.upper()) == model
    assert verify_model(tmp_path / "store", NAME) == model
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_importing_again_changes_nothing(source: Path, tmp_path: Path) -> None:
    first = import_model(source, tmp_path)
    before = (first.folder / "model.json").stat().st_mtime_ns
    assert import_model(source, tmp_path) == first
    assert (first.folder / "model.json").stat().st_mtime_ns == before
    assert list((tmp_path / ".staging").iterdir()) == []


def test_another_model_of_the_same_name_is_refused(copy: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_model(copy, store)
    config = json.loads((copy / "config.json").read_bytes())
    (copy / "config.json").write_text(json.dumps(config | {"note": 1}))
    with pytest.raises(Conflict) as caught:
        import_model(copy, store)
    assert caught.value.code == "embedding.model_exists"
    other = import_model(copy, store, name="team/other")
    assert other.folder.name == "team--other"
    assert [m.manifest.name for m in list_models(store)] == ["model", "team/other"]


def test_a_hub_cache_of_links_is_copied(source: Path, tmp_path: Path) -> None:
    linked = tmp_path / "snapshot"
    for path in source.rglob("*"):
        if path.is_file():
            target = linked / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    model = import_model(linked, tmp_path / "store", name=NAME)
    assert not any(p.is_symlink() for p in model.folder.rglob("*"))


def test_a_wrong_checksum_is_refused(source: Path, tmp_path: Path) -> None:
    error = refusal(source, tmp_path / "store", sha256="0" * 64)
    assert (type(error), error.code) == (Corrupt, "embedding.checksum_mismatch")


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "onnx/model.onnx"])
def test_an_incomplete_model_is_refused(copy: Path, tmp_path: Path, missing: str) -> None:
    (copy / missing).unlink()
    error = refusal(copy, tmp_path / "store")
    assert (type(error), error.code) == (UsageError, "embedding.not_a_model")
    assert Path(missing).name in error.message


@pytest.mark.parametrize("broken", ["onnx/model.onnx", "tokenizer.json", "config.json"])
def test_a_model_that_does_not_load_is_refused(copy: Path, tmp_path: Path, broken: str) -> None:
    (copy / broken).write_bytes(b"garbage")
    error = refusal(copy, tmp_path / "store")
    assert error.code in ("embedding.model_damaged", "embedding.not_a_model")


def test_a_wrong_vector_length_is_found_on_import(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_bytes())
    (copy / "config.json").write_text(json.dumps(config | {"hidden_size": 768}))
    assert refusal(copy, tmp_path / "store").code == "embedding.dimension_mismatch"


def test_a_model_without_a_length_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "config.json").write_text("{}")
    assert refusal(copy, tmp_path / "store").code == "embedding.not_a_model"


def test_prompts_of_an_unknown_model_become_its_prefixes(copy: Path, tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "ask: ", "document": "tell: "}}
    (copy / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    identity = import_model(copy, tmp_path / "store", name="corporate").identity
    assert (identity.query_prefix, identity.document_prefix) == ("ask: ", "tell: ")


def test_a_model_configured_as_nomic_is_understood(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_bytes())
    config["n_embd"] = config.pop("hidden_size")
    (copy / "config.json").write_text(json.dumps(config))
    model = import_model(copy, tmp_path / "store", name="nomic-embed-text-v1.5")
    assert model.identity.query_prefix == "search_query: "
    assert find_model(tmp_path / "store", "nomic-embed-text-v1.5") == model


def test_known_models_keep_their_prefixes_and_pooling_is_read(copy: Path, tmp_path: Path) -> None:
    (copy / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    model = import_model(copy, tmp_path / "store", name="intfloat/e5-small-v2")
    assert model.identity.document_prefix == "passage: "
    assert model.manifest.pooling == "cls"


async def test_prefixes_are_put_before_documents_and_queries(source: Path, tmp_path: Path) -> None:
    plain = InProcessEmbedder(import_model(source, tmp_path), threads=1)
    prefixed = InProcessEmbedder(import_model(source, tmp_path, name="e5-small"), threads=1)
    [document, query] = await plain.embed_documents(["passage: apple", "query: apple"])
    assert await prefixed.embed_documents(["apple"]) == [pytest.approx(document, abs=1e-3)]
    assert await prefixed.embed_query("apple") == pytest.approx(query, abs=1e-3)
    await plain.aclose()
    await prefixed.aclose()


@pytest.mark.parametrize("damage", ["missing", "size", "content", "manifest"])
async def test_damage_is_found(source: Path, tmp_path: Path, damage: str) -> None:
    model = import_model(source, tmp_path)
    graph = model.folder / "onnx/model.onnx"
    match damage:
        case "missing":
            graph.unlink()
        case "size":
            graph.write_bytes(b"")
        case "content":
            with graph.open("r+b") as stream:
                stream.seek(5_000_000)
                stream.write(b"damage")
        case _:
            (model.folder / "model.json").write_text('{"name": 1}')
    with pytest.raises(Corrupt) as caught:
        verify_model(tmp_path, NAME)
    assert caught.value.code == "embedding.model_damaged"
    if damage in ("missing", "size"):
        embedder = InProcessEmbedder(model, threads=1)
        with pytest.raises(Corrupt):
            await embedder.embed_query("x")
        await embedder.aclose()


def test_a_damaged_neighbour_does_not_stand_in_the_way(source: Path, tmp_path: Path) -> None:
    model = import_model(source, tmp_path)
    (tmp_path / "another").mkdir()
    (tmp_path / "another/model.json").write_text("{}")
    assert find_model(tmp_path, NAME) == model
    with pytest.raises(Corrupt):
        list_models(tmp_path)


def test_remains_of_a_crash_do_not_stand_in_the_way(source: Path, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "half").write_text("x")
    assert list_models(tmp_path) == []
    model = import_model(source, tmp_path)
    assert read_model(model.folder) == model
    assert not (model.folder / "half").exists()


@pytest.mark.parametrize("name", ["../up", "a/b/c", ".hidden", "sp ace", "x" * 200])
def test_a_name_that_is_no_folder_is_refused(source: Path, tmp_path: Path, name: str) -> None:
    assert refusal(source, tmp_path / "store", name=name).code == "embedding.bad_model_name"


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none", tmp_path / "store").code == "embedding.path_missing"
    (tmp_path / "model.zip").write_text("x")
    archive = refusal(tmp_path / "model.zip", tmp_path / "store")
    assert archive.code == "embedding.not_a_model" and "Unpack" in (archive.hint or "")
    assert list_models(tmp_path / "empty") == []
    with pytest.raises(NotFound) as caught:
        find_model(tmp_path / "empty", "nomic-embed-text")
    assert "model download nomic-ai/nomic-embed-text-v1.5" in (caught.value.hint or "")
