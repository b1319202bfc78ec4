"""LlamaIndex's embedding by the model that memories are searched with."""

from collections.abc import Sequence

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.embedding.vectors import scale_to_unit
from mahavishnu.engines.llamaindex.owner_loop import OwnerLoop
from mahavishnu.memory.space import EmbeddingSpace


class MahavishnuEmbedding(BaseEmbedding):
    """
    Vectors of the model in use, at length 1; its `model_name` is what a vector store takes them by.

    A text beyond the model's window gets the direction of the mean of its parts' vectors.
    """

    dimensions: int = 0
    _space: EmbeddingSpace = PrivateAttr()
    _owner: OwnerLoop = PrivateAttr()

    def __init__(self, space: EmbeddingSpace, owner: OwnerLoop, identity: ModelIdentity) -> None:
        super().__init__(model_name=identity.key, embed_batch_size=64)
        self.dimensions = identity.dimensions
        self._space = space
        self._owner = owner

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex writes it down by."""
        return "MahavishnuEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return list(self._owner.run_sync(self._space.embed_query(query)))

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return list(await self._owner.run(self._space.embed_query(query)))

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._owner.run_sync(self._embed(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._owner.run(self._embed(texts))

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [
            _mean([chunk.vector for chunk in chunks]) for chunks in await self._space.embed(texts)
        ]


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Return the direction between vectors, at length 1."""
    mean = [sum(values) for values in zip(*vectors, strict=True)]
    return list(scale_to_unit(mean) or vectors[0])
