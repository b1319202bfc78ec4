"""LlamaIndex's embedding by the model that memories are searched with."""

from collections.abc import Sequence

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.embedding.vectors import scale_to_unit
from mahavishnu.engines.llamaindex.owner_loop import OwnerLoop, on_owner
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
        return "MahavishnuEmbedding"

    async def _embed_query(self, query: str) -> list[float]:
        return list(await self._space.embed_query(query))

    async def _embed_text(self, text: str) -> list[float]:
        return (await self._embed([text]))[0]

    async def _embed(self, texts: list[str]) -> list[list[float]]:
        return [
            _mean([chunk.vector for chunk in chunks]) for chunks in await self._space.embed(texts)
        ]

    _get_query_embedding, _aget_query_embedding = on_owner(_embed_query)
    _get_text_embedding, _aget_text_embedding = on_owner(_embed_text)
    _get_text_embeddings, _aget_text_embeddings = on_owner(_embed)


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Return the direction between vectors, at length 1."""
    mean = [sum(values) for values in zip(*vectors, strict=True)]
    return list(scale_to_unit(mean) or vectors[0])
