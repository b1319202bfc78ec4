"""What every adapter of a model does alike: refuse, prefix, cut into batches."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mahavishnu.embedding.port import ModelIdentity, Vector
from mahavishnu.embedding.vectors import reject_unusable


class BatchedEmbedder(ABC):
    """The half of an Embedder (see the port) above one batch of ready texts."""

    def __init__(self, identity: ModelIdentity, *, batch_size: int) -> None:
        self._identity = identity
        self._batch_size = batch_size

    @property
    def identity(self) -> ModelIdentity:
        """The model; it stays the same for the life of the embedder."""
        return self._identity

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Embed `texts` in batches, one after the other."""
        reject_unusable(texts)
        prefixed = [self._identity.document_prefix + text for text in texts]
        vectors: list[Vector] = []
        for start in range(0, len(prefixed), self._batch_size):
            vectors += await self._embed(prefixed[start : start + self._batch_size])
        return vectors

    async def embed_query(self, text: str) -> Vector:
        """Embed one text that searches."""
        reject_unusable([text])
        [vector] = await self._embed([self._identity.query_prefix + text])
        return vector

    @abstractmethod
    async def _embed(self, batch: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts whose prefixes are in place, all of length 1."""
