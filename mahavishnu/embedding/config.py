"""Plain values that say which embedder is wanted; filled by the composition root from settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

type ProviderChoice = Literal["auto", "ollama", "in-process", "openai", "none"]


class Secret:
    """A string that shows itself only to `reveal`, not in repr, logs or dataclass dumps."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")


@dataclass(frozen=True)
class DaemonFiles:
    """Where a running daemon is found: its lock, and its token."""

    lock: Path
    token: Path


@dataclass(frozen=True)
class EmbeddingConfig:
    """
    Which embedder is wanted.

    `model` None means the provider's default. `ollama_base_url` None means OLLAMA_HOST from the
    environment, else port 11434 of this machine. `timeout_s` bounds one HTTP request; the first one
    may load the model. `threads` None means half of the cores, at most four. A daemon found by
    `daemon` is asked instead of loading the same model here.
    """

    provider: ProviderChoice = "auto"
    model: str | None = None
    ollama_base_url: str | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: Secret | None = None
    openai_dimensions: int | None = None
    batch_size: int = 16
    timeout_s: float = 120.0
    threads: int | None = None
    daemon: DaemonFiles | None = None
