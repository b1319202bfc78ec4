"""
Embed with the model that the running daemon has loaded: a command need not load it again.

The model is known from the store either way; the daemon counts only where it has the very same one, and
where it goes away in the middle the work goes on in this process.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import batched
from typing import Any, Literal

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import DaemonRecord
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.embedding.models import StoredModel
from mahavishnu.embedding.port import Embedder, ModelIdentity, Vector
from mahavishnu.embedding.vectors import reject_unusable

PATH = "/api/v1/embeddings"
# Of the daemon, not of the texts: in these cases the work is done here.
_ITS_OWN = ("daemon.", "http.", "internal")
_log = get_logger(__name__)

type TextKind = Literal["document", "query"]


def knows_model(client: DaemonClient, identity: ModelIdentity) -> bool:
    """Tell whether the daemon embeds with this very model; False too where it does not answer."""
    try:
        told = client.ask("POST", PATH, {"texts": []})["model"]
        return ModelIdentity(**told).key == identity.key
    except (MahavishnuError, KeyError, TypeError) as error:
        _log.info("daemon_does_not_embed", reason=str(error))
        return False


def ask_daemon(
    record: DaemonRecord,
    token: str,
    model: StoredModel,
    *,
    batch_size: int,
    timeout_s: float,
    open_own: Callable[[], Embedder],
) -> Embedder | None:
    """Return the daemon's embedder where it has loaded this very model."""
    if not knows_model(DaemonClient(record, token), model.identity):
        return None
    client = DaemonClient(record, token, timeout_s=timeout_s)
    return DaemonEmbedder(client, model, batch_size=batch_size, open_own=open_own)


class DaemonEmbedder:
    """An Embedder (see the port) over the daemon's; `open_own` opens the model in this process."""

    runs_in = "the running daemon"

    def __init__(
        self,
        client: DaemonClient,
        model: StoredModel,
        *,
        batch_size: int,
        open_own: Callable[[], Embedder],
    ) -> None:
        self._client = client
        self._model = model
        self._batch_size = batch_size
        self._open_own = open_own
        self._own: Embedder | None = None
        self._opening = asyncio.Lock()
        self._tokenizer: Any = None

    @property
    def identity(self) -> ModelIdentity:
        """The model; it stays the same for the life of the embedder."""
        return self._model.identity

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Embed `texts` in batches, one after the other."""
        reject_unusable(texts)
        vectors: list[Vector] = []
        for batch in batched(texts, self._batch_size, strict=False):
            vectors += await self._embed("document", batch)
        return vectors

    async def embed_query(self, text: str) -> Vector:
        """Embed one text that searches."""
        reject_unusable([text])
        [vector] = await self._embed("query", [text])
        return vector

    async def check(self) -> None:
        """Find nothing to object to: where the daemon is away, the work is done here."""

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text`: an estimate on the high side where that fits, else exactly."""
        if self._tokenizer is None:
            estimate = estimate_tokens(text)
            if estimate < self.identity.window_tokens // 2:
                return estimate
            from mahavishnu.embedding.tokenizer import load_tokenizer  # noqa: PLC0415 - for long texts

            self._tokenizer = load_tokenizer(self._model)
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    async def aclose(self) -> None:
        """Let go of the model, where this process had to load it."""
        if self._own is not None:
            await self._own.aclose()

    async def _embed(self, kind: TextKind, texts: Sequence[str]) -> list[Vector]:
        if self._own is None:
            try:
                return await asyncio.to_thread(self._ask, kind, texts)
            except MahavishnuError as error:
                if not error.code.startswith(_ITS_OWN):
                    raise
                _log.info("daemon_does_not_embed", code=error.code, reason=error.message)
        own = await self._opened()
        if kind == "query":
            return [await own.embed_query(text) for text in texts]
        return await own.embed_documents(texts)

    def _ask(self, kind: TextKind, texts: Sequence[str]) -> list[Vector]:
        vectors: list[Vector] = self._client.ask(
            "POST", PATH, {"kind": kind, "texts": list(texts)}
        )["vectors"]
        return vectors

    async def _opened(self) -> Embedder:
        async with self._opening:
            if self._own is None:
                self._own = await asyncio.to_thread(self._open_own)
            return self._own
