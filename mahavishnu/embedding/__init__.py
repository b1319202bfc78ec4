"""
Texts to vectors: the Embedder port, its adapters, chunking, and the store of local models.

Importing the package is cheap; numpy, httpx and fastembed load with the adapter that needs them.
"""

from mahavishnu.embedding.choose import Choice, Refusal, choose_embedder
from mahavishnu.embedding.chunks import Span, chunk_spans
from mahavishnu.embedding.config import DaemonFiles, EmbeddingConfig
from mahavishnu.embedding.documents import EmbeddedChunk, embed_in_chunks
from mahavishnu.embedding.port import Embedder, ModelIdentity, Vector

__all__ = [
    "Choice",
    "DaemonFiles",
    "EmbeddedChunk",
    "Embedder",
    "EmbeddingConfig",
    "ModelIdentity",
    "Refusal",
    "Span",
    "Vector",
    "choose_embedder",
    "chunk_spans",
    "embed_in_chunks",
]
