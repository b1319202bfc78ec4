"""Choose the embedder: the configured one, or what this machine has, and say why."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import Conflict, MahavishnuError, NotFound, Unavailable
from mahavishnu.base.hosts import is_this_machine
from mahavishnu.base.masking import Secret
from mahavishnu.embedding.addresses import resolve_ollama_url
from mahavishnu.embedding.known_models import (
    DEFAULT_LOCAL_MODEL,
    DEFAULT_OLLAMA_MODEL,
    DEFAULT_OPENAI_MODEL,
)
from mahavishnu.embedding.port import Embedder, ModelIdentity

if TYPE_CHECKING:
    from mahavishnu.embedding.models import StoredModel

# A local server answers a connection in well under this; nobody should wait longer to learn that
# there is none.
CONNECT_TIMEOUT_S = 0.3
ASK_TIMEOUT_S = 2.0  # for the daemon to say which model it has

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


@dataclass(frozen=True)
class Refusal:
    """One provider that was considered and not taken."""

    provider: str
    why: str


@dataclass(frozen=True)
class Choice:
    """
    The embedder chosen, which the caller closes, or None: then search has full text only.

    `reason` is one sentence for people; `tried` are the refusals before it, in order.
    """

    embedder: Embedder | None
    reason: str
    tried: tuple[Refusal, ...] = ()


async def choose_embedder(
    config: EmbeddingConfig,
    *,
    models: Path,
    environ: Mapping[str, str],
    expected: ModelIdentity | None = None,
) -> Choice:
    """
    Return the embedder that `config` asks for; "auto" tries Ollama, then a model in the store.

    Without a named model the store gives its default one, or the only one; of several none is guessed.
    Nothing is downloaded, and no text leaves this machine unless the settings name a provider or an
    address: "auto" does not follow OLLAMA_HOST to another machine.
    `expected` is the model the stored vectors came from: "auto" then takes that model or nothing,
    and an explicit provider that gives another raises `Conflict` "embedding.model_differs". An
    explicit provider that cannot be had raises its error as the port lists them.
    """
    if expected is not None and expected.provider == "brought":
        return _choice_beside_brought(config, expected)
    if config.provider == "none":
        return Choice(None, "Embedding is switched off in the settings.")
    if config.provider != "auto":
        embedder = await _open(config.provider, config, models, environ, expected=None)
        await _require_expected(embedder, expected)
        return Choice(embedder, f"{_told(embedder, config.provider)}, as configured.")
    tried: list[Refusal] = []
    for provider in ("ollama", "in-process"):
        try:
            if provider == "ollama":
                _require_this_machine(config, environ)
            embedder = await _open(provider, config, models, environ, expected=expected)
            await _require_expected(embedder, expected)
        except MahavishnuError as error:
            hint = f" {error.hint}" if error.hint else ""
            tried.append(Refusal(provider, f"{error.message}{hint}"))
            if error.code == "embedding.model_unnamed":
                return Choice(None, tried[-1].why, tuple(tried))
            continue
        return Choice(embedder, f"{_told(embedder, provider)}.", tuple(tried))
    missing = f"the model of the stored vectors, {expected.name}" if expected else "a model"
    return Choice(None, f"Neither Ollama nor the local store has {missing}.", tuple(tried))


def _told(embedder: Embedder, provider: str) -> str:
    return f"{embedder.identity.name} by {getattr(embedder, 'runs_in', provider)}"


def _require_this_machine(config: EmbeddingConfig, environ: Mapping[str, str]) -> None:
    """Raise `Unavailable` where only the environment says that texts go to another machine."""
    host = urlsplit(resolve_ollama_url(config.ollama_base_url, environ)).hostname or ""
    if config.ollama_base_url is None and not is_this_machine(host):
        raise Unavailable(
            f"OLLAMA_HOST names another machine, {host}, and no text is sent there unasked.",
            hint="If it should be, set embedding.provider to ollama.",
            code="embedding.not_asked",
        )


def _choice_beside_brought(config: EmbeddingConfig, expected: ModelIdentity) -> Choice:
    reason = (
        f"The stored vectors, of {expected.name}, came with the memories; no embedder makes them."
    )
    if config.provider in ("auto", "none"):
        return Choice(None, reason)
    raise Conflict(reason, hint="Set embedding.provider to none.", code="embedding.model_differs")


async def _open(
    provider: str,
    config: EmbeddingConfig,
    models: Path,
    environ: Mapping[str, str],
    *,
    expected: ModelIdentity | None,
) -> Embedder:
    """Open the expected model at `provider`, else the configured one, else its default."""
    wanted = config.model
    if expected is not None:
        _require_provider(provider, expected)
        wanted = expected.name
    if provider == "ollama":
        return await _open_ollama(config, wanted or DEFAULT_OLLAMA_MODEL, environ)
    if provider == "in-process":
        return await asyncio.to_thread(_open_in_process, config, wanted, models)
    from mahavishnu.embedding.openai import connect_openai  # noqa: PLC0415 - loads httpx

    return await connect_openai(
        config.openai_base_url,
        model=wanted or DEFAULT_OPENAI_MODEL,
        api_key=config.openai_api_key,
        batch_size=config.batch_size,
        timeout_s=config.timeout_s,
        dimensions=config.openai_dimensions,
    )


async def _open_ollama(config: EmbeddingConfig, model: str, environ: Mapping[str, str]) -> Embedder:
    base_url = resolve_ollama_url(config.ollama_base_url, environ)
    # httpx takes 0.4 s to import; so see whether anyone is listening before that.
    await _knock(base_url)
    from mahavishnu.embedding.ollama import connect_ollama  # noqa: PLC0415 - loads httpx

    return await connect_ollama(
        base_url, model=model, batch_size=config.batch_size, timeout_s=config.timeout_s
    )


def _open_in_process(config: EmbeddingConfig, model: str | None, models: Path) -> Embedder:
    """Open `model`; without a name the default one, or else the only one that is in the store."""
    from mahavishnu.embedding.models import (  # noqa: PLC0415 - loads msgspec
        find_model,
        list_models,
        runs_here,
    )

    try:
        stored = find_model(models, model or DEFAULT_LOCAL_MODEL)
    except NotFound:
        present = list_models(models)
        if model is not None or not present:
            raise
        if len(present) > 1:
            raise _unnamed([each.manifest.name for each in present]) from None
        [stored] = present
    if not runs_here():
        raise Unavailable(
            "fastembed is not installed.",
            hint="Install Mahavishnu with its extra `local`.",
            code="embedding.not_installed",
        )

    def load() -> Embedder:
        from mahavishnu.embedding.in_process import InProcessEmbedder  # noqa: PLC0415 - onnxruntime

        return InProcessEmbedder(stored, batch_size=config.batch_size, threads=config.threads)

    return _ask_daemon(config, stored, load) or load()


def _ask_daemon(
    config: EmbeddingConfig, model: "StoredModel", load: Callable[[], Embedder]
) -> Embedder | None:
    """Return the daemon's embedder where a daemon runs that has loaded this very model."""
    record = find_listening(config.daemon.lock) if config.daemon else None
    if config.daemon is None or record is None or record.pid == os.getpid():
        return None
    from mahavishnu.base.daemon.client import DaemonClient  # noqa: PLC0415 - only with a daemon
    from mahavishnu.embedding.by_daemon import DaemonEmbedder, knows_model  # noqa: PLC0415

    try:
        token = read_token(config.daemon.token)
    except MahavishnuError:
        return None
    if not knows_model(DaemonClient(record, token, timeout_s=ASK_TIMEOUT_S), model.identity):
        return None
    client = DaemonClient(record, token, timeout_s=config.timeout_s)
    return DaemonEmbedder(client, model, batch_size=config.batch_size, open_own=load)


def _unnamed(names: list[str]) -> NotFound:
    return NotFound(
        f"The local store has {', '.join(names)}, and none of them is named.",
        hint="Name one in embedding.model.",
        code="embedding.model_unnamed",
    )


async def _knock(base_url: str) -> None:
    """Raise `Unavailable` "embedding.unreachable" unless something listens at `base_url`."""
    url = urlsplit(base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(url.hostname, port)
    except OSError as error:
        raise Unavailable(
            f"Ollama does not answer at {base_url}.",
            hint="Start it with: ollama serve",
            code="embedding.unreachable",
        ) from error
    writer.close()


def _require_provider(provider: str, expected: ModelIdentity) -> None:
    given = {"in-process": "fastembed"}.get(provider, provider)
    if given != expected.provider:
        raise Conflict(
            f"The stored vectors of {expected.name} came from {expected.provider}.",
            code="embedding.model_differs",
        )


async def _require_expected(embedder: Embedder, expected: ModelIdentity | None) -> None:
    """Close `embedder` and raise `Conflict` unless it gives the expected vectors."""
    if expected is None or embedder.identity.key == expected.key:
        return
    await embedder.aclose()
    given = embedder.identity
    if (given.provider, given.name) == (expected.provider, expected.name):
        mend = f"Another model goes by the name {given.name} now. Bring the former one back"
    else:
        mend = f"Name the former one, {expected.name}, in embedding.model"
    raise Conflict(
        f"The stored vectors came from {expected.key}, but this is {given.key}.",
        hint=f"{mend}. Until then search goes by words, and new texts wait for their vectors.",
        code="embedding.model_differs",
    )
