"""Embed in this process with fastembed (ONNX), from the local store; nothing is downloaded."""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

from mahavishnu.embedding.batched import BatchedEmbedder
from mahavishnu.embedding.chunks import SPECIAL_TOKENS
from mahavishnu.embedding.models import StoredModel, check_sizes
from mahavishnu.embedding.port import Vector
from mahavishnu.embedding.tokenizer import load_tokenizer, unloadable
from mahavishnu.embedding.vectors import normalize, too_long

_POOLING = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "last": PoolingType.LAST_TOKEN}
_registering = threading.Lock()


def default_threads() -> int:
    """Half of the cores, at most four: embedding is background work on the user's machine."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


class InProcessEmbedder(BatchedEmbedder):
    """
    An Embedder (see the port) that computes here, with exact token counts.

    One thread of its own loads the model on first use and does all the work, batch by batch, so
    that a query waits for at most one batch of each document call that is under way.
    """

    def __init__(
        self, model: StoredModel, *, batch_size: int = 16, threads: int | None = None
    ) -> None:
        super().__init__(model.identity, batch_size=batch_size)
        self._model = model
        self._threads = threads or default_threads()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")
        self._session: Any = None
        self._tokenizer: Any = None

    async def check(self) -> None:
        """Find nothing to object to: the model is in this process, or is loaded by the first text."""

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text` with the model's own tokenizer, which loads on first use."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._model)
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    async def aclose(self) -> None:
        """Wait for the batch under way and let go of the model."""
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)
        self._session = None

    async def _embed(self, batch: Sequence[str]) -> list[Vector]:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._work, batch)

    def _work(self, batch: Sequence[str]) -> list[Vector]:
        """Embed on the worker thread."""
        for text in batch:
            tokens = self.count_tokens(text) + SPECIAL_TOKENS
            if tokens > self._identity.window_tokens:
                raise too_long(self._identity, tokens=tokens)
        if self._session is None:
            self._session = _load_session(self._model, threads=self._threads)
        rows = self._session.embed(batch, batch_size=len(batch))
        return [normalize(row.tolist(), identity=self._identity) for row in rows]


def embed_once(model: StoredModel, text: str) -> Vector:
    """Load the model, embed one text and forget it again: the trial of an import."""
    [row] = _load_session(model, threads=1).embed([text])
    return normalize(row.tolist(), identity=model.identity)


def _load_session(model: StoredModel, *, threads: int) -> Any:
    """
    Load the ONNX session. Raises `Corrupt` "embedding.model_damaged" if it will not load.

    Registered as a custom model even where fastembed knows the name: its built-in entry of
    nomic-embed-text would take the same path but could fall back to a download.
    """
    check_sizes(model)
    manifest = model.manifest
    registered = f"mahavishnu/{model.identity.revision[:16]}-{manifest.pooling}"
    with _registering:
        names = {entry["model"].lower() for entry in TextEmbedding.list_supported_models()}
        if registered.lower() not in names:
            TextEmbedding.add_custom_model(
                model=registered,
                pooling=_POOLING[manifest.pooling],
                normalization=False,
                sources=ModelSource(hf=registered),
                dim=manifest.dimensions,
                model_file=manifest.model_file,
            )
    try:
        return TextEmbedding(
            model_name=registered,
            specific_model_path=str(model.folder),
            threads=threads,
            providers=["CPUExecutionProvider"],
        )
    # onnxruntime's errors share no base but Exception.
    except Exception as error:
        raise unloadable(model, error) from error
