"""Embed through an Ollama server: POST /api/embed, never truncating, with the model's prefixes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from mahavishnu.base.errors import Conflict, Corrupt, NotFound
from mahavishnu.embedding.known_models import MAX_WINDOW_TOKENS, find_known
from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.embedding.remote import BACKOFF_S, HttpService, RemoteEmbedder, Rows

# What Ollama gives a model of which nothing is known.
_FALLBACK_WINDOW_TOKENS = 512


class _Tag(msgspec.Struct):
    name: str = ""
    model: str = ""
    digest: str = ""


class _Tags(msgspec.Struct):
    models: list[_Tag] | None = None


class _Shown(msgspec.Struct):
    model_info: dict[str, Any] | None = None


class _Embedded(msgspec.Struct):
    embeddings: list[list[float | None]]


async def connect_ollama(
    base_url: str,
    *,
    model: str,
    batch_size: int,
    timeout_s: float,
    backoff_s: Sequence[float] = BACKOFF_S,
) -> RemoteEmbedder:
    """
    Find `model` on the server at `base_url` and return its embedder, which the caller closes.

    Dimensions come from the table of known models, else from the server's description, else from
    one trial. Raises `NotFound` "embedding.model_missing" for a model that was not pulled.
    Source: Ollama's docs/api.md.
    """
    service = HttpService(base_url, name="Ollama", timeout_s=timeout_s, backoff_s=backoff_s)
    try:
        return await _connect(service, model=model, batch_size=batch_size)
    except BaseException:
        await service.aclose()
        raise


async def _connect(service: HttpService, *, model: str, batch_size: int) -> RemoteEmbedder:
    async def ask(texts: Sequence[str]) -> Rows:
        body = {"model": model, "input": list(texts), "truncate": False}
        answer = await service.call("POST", "/api/embed", body=body, reply=_Embedded)
        return answer.embeddings

    async def find() -> str:
        tags = await service.call("GET", "/api/tags", reply=_Tags)
        return _digest_of(name, tags.models or [], service)

    async def check() -> None:
        if await find() != digest:
            raise Conflict(
                f"Ollama at {service.base_url} has another model of the name {name} by now.",
                hint="Bring the former one back, or start the daemon again.",
                code="embedding.model_differs",
            )

    name = model.removesuffix(":latest")
    digest = await find()
    known = find_known(name)
    dimensions = known.dimensions if known else None
    window = known.window_tokens if known else None
    if dimensions is None or window is None:
        shown = await service.call("POST", "/api/show", body={"model": model}, reply=_Shown)
        dimensions = dimensions or _number(shown, "embedding_length")
        window = window or _number(shown, "context_length")
    identity = ModelIdentity(
        provider="ollama",
        name=name,
        revision=digest,
        dimensions=dimensions or await _try_dimensions(ask),
        document_prefix=known.document_prefix if known else "",
        query_prefix=known.query_prefix if known else "",
        window_tokens=min(window or _FALLBACK_WINDOW_TOKENS, MAX_WINDOW_TOKENS),
    )
    return RemoteEmbedder(
        identity, ask=ask, check=check, close=service.aclose, batch_size=batch_size
    )


def _digest_of(name: str, tags: Sequence[_Tag], service: HttpService) -> str:
    for tag in tags:
        if name in ((tag.model or tag.name).removesuffix(":latest"), tag.name):
            return tag.digest
    raise NotFound(
        f"Ollama at {service.base_url} does not have the model {name}.",
        hint=f"Run: ollama pull {name}",
        code="embedding.model_missing",
    )


def _number(shown: _Shown, ending: str) -> int | None:
    """Return the entry `<architecture>.<ending>` of a model's description, or None."""
    for key, value in (shown.model_info or {}).items():
        if key.endswith("." + ending) and isinstance(value, int) and value > 0:
            return value
    return None


async def _try_dimensions(ask: Callable[[Sequence[str]], Awaitable[Rows]]) -> int:
    rows = await ask(["dimensions"])
    if len(rows) != 1 or not rows[0]:
        raise Corrupt("Ollama gave no vector for a trial text.", code="embedding.bad_reply")
    return len(rows[0])
