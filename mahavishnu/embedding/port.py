"""The Embedder port: what every source of vectors promises, and the identity of a model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

type Vector = list[float]
type Provider = Literal["ollama", "fastembed", "openai", "brought"]


@dataclass(frozen=True)
class ModelIdentity:
    """
    What must be equal for two vectors to be comparable, and the window of the model.

    The provider "brought" stands for callers who bring their vectors: no embedder has that identity.
    `revision` is the digest of the weights, or "" where the provider tells none. The prefixes are
    put before a document or a query by the adapter, never by its caller. `window_tokens` is the
    longest text the model takes, prefix and special tokens included; it does not alter the vectors
    and so is not part of the key.
    """

    provider: Provider
    name: str
    revision: str
    dimensions: int
    document_prefix: str
    query_prefix: str
    window_tokens: int
    normalized: bool = True

    @property
    def key(self) -> str:
        """One line that is equal exactly where the vectors are comparable; stable over releases."""
        prefixes = f"{self.document_prefix}\0{self.query_prefix}\0{int(self.normalized)}"
        digest = hashlib.sha256(prefixes.encode()).hexdigest()[:12]
        revision = self.revision.removeprefix("sha256:") or "-"
        return f"{self.provider}/{self.name}@{revision}:{self.dimensions}+{digest}"


class Embedder(Protocol):
    """
    A source of vectors for one model, safe for many tasks of one event loop.

    Every vector has `identity.dimensions` finite numbers and L2 norm 1, whatever the server sent.
    The same text gives the same vector, within 1e-3 whether alone or in a batch (a quantised model
    rounds by its batch). Order is kept; an empty sequence gives an empty list without a call.

    Nothing is ever truncated. A call succeeds for all of its texts or fails as a whole; embed the
    texts one at a time to learn which one it was. Raises

    - `UsageError` "embedding.blank_text" for a text without a visible character,
      "embedding.not_unicode" for one with half a surrogate pair,
    - `UsageError` "embedding.too_long" for a text that does not fit the window,
    - `Forbidden` "embedding.forbidden", `NotFound` "embedding.model_missing" when the provider will
      not serve the model,
    - `Unavailable` "embedding.refused" when it refuses whatever the text is, "embedding.unreachable",
      "embedding.timeout", "embedding.server_failed", "embedding.rate_limited" after the adapter's
      own bounded retries,
    - `Conflict` "embedding.dimension_mismatch" when the vectors have another length than promised,
    - `Corrupt` "embedding.bad_vector" for NaN, infinity or all zeros, "embedding.bad_reply" for an
      answer of another shape, and "embedding.input_failed" when the server fails on these texts
      but serves others: repeating the call will not help.
    """

    @property
    def identity(self) -> ModelIdentity:
        """The model; it stays the same for the life of the embedder."""
        ...

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts that are to be found, one vector each, in order."""
        ...

    async def embed_query(self, text: str) -> Vector:
        """Embed one text that searches."""
        ...

    async def check(self) -> None:
        """Raise, as the port says, what keeps it from embedding, as far as that shows without a text."""
        ...

    def count_tokens(self, text: str) -> int:
        """
        Count the tokens of `text` without prefix or special tokens.

        Exact where the tokenizer is at hand, else an estimate on the high side. Takes time linear
        in the text (about a second for a MiB): call it in a thread for long ones.
        """
        ...

    async def aclose(self) -> None:
        """Release connections, threads and the model. Later calls fail; closing twice is fine."""
        ...
