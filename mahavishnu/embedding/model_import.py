"""Bring a model from a folder into the store, checked; for machines without a hub."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mahavishnu.base.errors import Corrupt, NotFound, UsageError
from mahavishnu.base.files import digest_file, sync_folder
from mahavishnu.embedding.known_models import Pooling, find_download, find_known
from mahavishnu.embedding.models import (
    Manifest,
    StoredModel,
    describe_files,
    find_same,
    folder_of,
    locked_store,
    read_model,
    runs_here,
    write_manifest,
)

_REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")
_GRAPHS = ("onnx/model.onnx", "model.onnx")
_OPTIONAL = (
    "special_tokens_map.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "onnx/model.onnx_data",
    "model.onnx_data",
)
_WANTED = (*_REQUIRED, *_GRAPHS, *_OPTIONAL)


def import_model(
    path: Path, store: Path, *, name: str | None = None, sha256: str | None = None
) -> StoredModel:
    """
    Copy the model at `path` into `store` and return it; one already there is returned as it is.

    `path` is a folder in the Hugging Face layout with an ONNX graph, whose digest is `sha256`. The
    name is by default that of the folder. The model is tried once where fastembed is installed.
    Raises `NotFound` "embedding.path_missing", `UsageError` "embedding.not_a_model", `Corrupt`
    "embedding.checksum_mismatch", `Conflict` "embedding.model_exists".
    """
    if not path.exists():
        raise NotFound(f"There is nothing at {path}.", code="embedding.path_missing")
    if not path.is_dir():
        raise UsageError(
            f"{path.name} is not a folder.",
            hint="Unpack an archive (unzip, tar -xf), and import the folder that has config.json.",
            code="embedding.not_a_model",
        )
    name = name or path.resolve().name
    folder_of(store, name)
    with locked_store(store) as staging, _temporary(staging) as folder:
        found = _copy_folder(path, folder)
        if sha256:
            _compare(folder / graph_of(found), sha256)
        return install(folder, store, name=name, source=str(path.resolve()))


def install(folder: Path, store: Path, *, name: str, source: str) -> StoredModel:
    """
    Describe, try and move the complete model in `folder` into `store`; the caller holds its lock.

    `folder` is on the same file system and holds nothing but files of the model.
    """
    paths = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    manifest = _describe(folder, paths, name=name, source=source)
    present = find_same(store, manifest)
    if present is not None:
        return present
    write_manifest(folder, manifest)
    _try_out(read_model(folder))
    target = folder_of(store, name)
    if target.exists():
        # Without a manifest it is no model: the remains of something that was never finished.
        shutil.rmtree(target)
    folder.rename(target)
    sync_folder(store)
    return read_model(target)


def graph_of(paths: list[str]) -> str:
    """Return which of `paths` is the ONNX graph. Raises `UsageError` if one is missing."""
    missing = [path for path in _REQUIRED if path not in paths]
    graphs = [path for path in _GRAPHS if path in paths]
    if missing or not graphs:
        raise UsageError(
            f"No ONNX embedding model: {', '.join(missing) or 'model.onnx'} is missing.",
            hint="Wanted: config.json, tokenizer.json, tokenizer_config.json, onnx/model.onnx.",
            code="embedding.not_a_model",
        )
    return graphs[0]


def _describe(folder: Path, paths: list[str], *, name: str, source: str) -> Manifest:
    """Take dimensions, window, pooling and prefixes from the model's files and known facts."""
    graph = graph_of(paths)
    download = find_download(name)
    known = find_known(download.name if download else name)
    config = _json(folder / "config.json")
    tokenizer = _json(folder / "tokenizer_config.json")
    sentence = _json(folder / "sentence_bert_config.json")
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    dimensions = _first_number(config, "hidden_size", "n_embd", "d_model", "dim")
    limits = [
        limit
        for limit in (
            _first_number(tokenizer, "model_max_length"),
            _first_number(tokenizer, "max_length"),
            _first_number(sentence, "max_seq_length"),
            known.window_tokens if known else None,
        )
        # Tokenizers without a limit say 1e30.
        if limit is not None and limit < 10**6
    ]
    if dimensions is None or not limits:
        raise UsageError(
            "The model's configuration does not state the vector length or the longest input.",
            hint="Set hidden_size in config.json and model_max_length in tokenizer_config.json.",
            code="embedding.not_a_model",
        )
    return Manifest(
        name=name,
        model_file=graph,
        dimensions=dimensions,
        window_tokens=min(limits),
        pooling=_pooling(folder) or (known.pooling if known else "mean"),
        document_prefix=known.document_prefix if known else str(prompts.get("document", "")),
        query_prefix=known.query_prefix if known else str(prompts.get("query", "")),
        files=describe_files(folder, paths),
        source=source,
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _pooling(folder: Path) -> Pooling | None:
    config = _json(folder / "1_Pooling/config.json")
    if config.get("pooling_mode_cls_token"):
        return "cls"
    if config.get("pooling_mode_lasttoken"):
        return "last"
    return "mean" if config.get("pooling_mode_mean_tokens") else None


def _try_out(model: StoredModel) -> None:
    """Embed one word, if fastembed is there. Raises what loading or a wrong length raises."""
    if not runs_here():
        return
    from mahavishnu.embedding.in_process import embed_once  # noqa: PLC0415 - loads onnxruntime

    embed_once(model, "trial")


def _json(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file at `path`, {} where there is no file."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path.name} is not JSON.", code="embedding.not_a_model") from error
    return value if isinstance(value, dict) else {}


def _first_number(config: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = config.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return int(value)
    return None


def _compare(path: Path, sha256: str) -> None:
    actual = digest_file(path)
    if actual != sha256.strip().lower().removeprefix("sha256:"):
        raise Corrupt(
            f"The SHA-256 of {path.name} is {actual}, not the one given.",
            hint="The file was damaged or exchanged on its way; fetch it again.",
            code="embedding.checksum_mismatch",
        )


@contextmanager
def _temporary(staging: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="import-", dir=staging))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_folder(source: Path, folder: Path) -> list[str]:
    """Copy the model's files; links are followed, as a hub's cache consists of them."""
    found = [path for path in _WANTED if (source / path).is_file()]
    graph_of(found)
    for path in found:
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / path, folder / path)
    return found
