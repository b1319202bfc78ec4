"""Plain values that say which embedder is wanted; filled by the composition root from settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahavishnu.base.masking import Secret

type ProviderChoice = Literal["auto", "ollama", "in-process", "openai", "none"]


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
