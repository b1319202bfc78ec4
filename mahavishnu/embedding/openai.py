"""Embed through a server that speaks OpenAI's POST /embeddings; the key goes to it alone."""

from collections.abc import Sequence

import msgspec

from mahavishnu.base.errors import Corrupt, NotFound, Unavailable
from mahavishnu.base.masking import Secret
from mahavishnu.embedding.addresses import require_openai_url
from mahavishnu.embedding.known_models import MAX_WINDOW_TOKENS, KnownModel, find_known
from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.embedding.remote import (
    BACKOFF_S,
    HttpService,
    RemoteEmbedder,
    Rows,
)

_FALLBACK_WINDOW_TOKENS = 512


class _Item(msgspec.Struct):
    index: int
    embedding: list[float | None]


class _Embeddings(msgspec.Struct):
    data: list[_Item]


async def connect_openai(
    base_url: str,
    *,
    model: str,
    api_key: Secret | None,
    batch_size: int,
    timeout_s: float,
    dimensions: int | None = None,
    backoff_s: Sequence[float] = BACKOFF_S,
) -> RemoteEmbedder:
    """
    Return an embedder for `model` at `base_url` (ending in /v1), which the caller closes.

    `dimensions` asks for shortened vectors. Where it is None and the model unknown, one trial tells
    the length. Raises `UsageError` "embedding.insecure_url" for plain http to another machine.
    Source: OpenAI API reference, "Create embeddings".
    """
    require_openai_url(base_url)
    headers = {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}
    service = HttpService(
        base_url,
        name="The embedding server",
        timeout_s=timeout_s,
        headers=headers,
        backoff_s=backoff_s,
    )

    async def ask(texts: Sequence[str]) -> Rows:
        body: dict[str, object] = {"model": model, "input": list(texts), "encoding_format": "float"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        answer = await service.call("POST", "/embeddings", body=body, reply=_Embeddings)
        if sorted(item.index for item in answer.data) != list(range(len(texts))):
            raise Corrupt(
                "The embedding server's vectors do not match the texts one to one.",
                code="embedding.bad_reply",
            )
        return [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]

    async def check() -> None:
        try:
            await service.call("GET", "/models", reply=dict)
        except NotFound:
            pass  # it answers, and has no list of its models
        except Unavailable as error:
            if error.code != "embedding.refused":
                raise

    known = find_known(model) or KnownModel(None, _FALLBACK_WINDOW_TOKENS)
    try:
        length = dimensions or known.dimensions or len((await ask(["ok"]))[0])
    except BaseException:
        await service.aclose()
        raise
    identity = ModelIdentity(
        provider="openai",
        name=model,
        revision="",
        dimensions=length,
        document_prefix=known.document_prefix,
        query_prefix=known.query_prefix,
        window_tokens=min(known.window_tokens, MAX_WINDOW_TOKENS),
    )
    return RemoteEmbedder(
        identity, ask=ask, check=check, close=service.aclose, batch_size=batch_size
    )
