"""
Texts to vectors: the Embedder port, its adapters, chunking, and the store of local models.

Importing the package is cheap; numpy, httpx and fastembed load with the adapter that needs them.
"""

from mahavishnu.embedding.port import Embedder, ModelIdentity, Vector

__all__ = ["Embedder", "ModelIdentity", "Vector"]
