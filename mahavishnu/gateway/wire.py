"""What is particular to the protocols: which paths there are, which headers pass, the form of an error. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from mahavishnu.ai.clients.delivery import KeyHeader, Protocol

type Side = Literal["anthropic", "openai"]

_REQUEST = frozenset(
    {"accept", "content-type", "user-agent", "x-app", "originator", "version", "session-id", "session_id", "thread-id",
     "conversation_id", "idempotency-key", "x-client-request-id", "openai-beta", "traceparent"}
)  # fmt: skip
_REQUEST_PREFIXES = ("anthropic-", "x-stainless-", "x-claude-code-", "x-codex-", "x-dashscope-")
_ANSWER = frozenset(
    {"content-type", "content-length", "cache-control", "retry-after", "retry-after-ms",
     "x-should-retry", "request-id", "x-request-id", "x-models-etag", "etag", "openai-processing-ms", "openai-version",
     "openai-model"}
)  # fmt: skip
_ANSWER_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-", "x-codex-", "x-dashscope-")
MESSAGES = "/v1/messages"
_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
# What JSON raises that is none, or is nested without end.
NOT_READ = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# As clients and providers call the smaller models, for titles and the like.
_SMALL = re.compile(r"haiku|flash|mini|nano|small|lite|air\b")


class PathMeaning(NamedTuple):
    """
    What a path means.

    `protocols` are those of which a profile has to have one, in order; `tail` goes behind its base URL. `answers`:
    a model answers, so that an answer without content is none.
    """

    side: Side
    protocols: tuple[Protocol, ...]
    tail: str
    answers: bool


class AskedModel(Struct):
    """What is read of a request's body."""

    model: str = ""
    stream: bool | None = None


def find_meaning(method: str, path: str) -> PathMeaning | None:
    """Return what a path below `/anthropic` or `/openai` means; None for one that there is not."""
    _, side, rest = path.split("/", 2) if path.count("/") > 1 else ("", "", "")
    rest = f"/{rest}"
    if side == "anthropic":
        if method == "POST" and rest in (MESSAGES, f"{MESSAGES}/count_tokens"):
            return PathMeaning("anthropic", ("anthropic",), rest, rest == MESSAGES)
        if method == "GET" and _is_models(rest.removeprefix("/v1")):
            return PathMeaning("anthropic", ("anthropic",), rest, answers=False)
    elif side == "openai":
        rest = rest.removeprefix("/v1")
        if method == "POST" and rest in ("/responses", "/responses/compact"):
            return PathMeaning("openai", ("openai-responses",), rest, rest == "/responses")
        if method == "POST" and rest == "/chat/completions":
            return PathMeaning("openai", ("openai-chat",), rest, answers=True)
        if method == "GET" and _is_models(rest):
            return PathMeaning("openai", ("openai-responses", "openai-chat"), rest, answers=False)
    return None


def side_of(path: str) -> Side:
    """Return the form of errors for who asks for a path."""
    return "openai" if path.startswith("/openai") else "anthropic"


def read_asked(body: bytes) -> AskedModel | None:
    """Return what a body asks for; None where it is no JSON object with such members."""
    try:
        return msgspec.json.decode(body, type=AskedModel)
    except NOT_READ:
        return None


def map_model(asked: str, *, model: str | None, small_model: str | None) -> str:
    """Return the model to ask a provider for, which has these two; where it names none, the client's own."""
    if not model or asked in (model, small_model):
        return asked
    return small_model if small_model and _SMALL.search(asked.lower()) else model


def replace_model(body: bytes, asked: str, model: str) -> bytes:
    """Return the body with another model, and else byte for byte as it was."""
    if asked == model:
        return body
    whole, name = memoryview(body), json.dumps(model).encode()  # a body can have 100 MB
    for found in _MODEL.finditer(body):
        changed = b"".join((whole[: found.start(1)], name, whole[found.end(1) :]))
        again = read_asked(changed)
        if again is not None and again.model == model:  # else it was one further inside
            return changed
    return body


def request_headers(
    headers: Iterable[tuple[str, str]], *, key: str, key_header: KeyHeader, translated: bool = False
) -> dict[str, str]:
    """Return what a provider gets of a client's headers, with its own key; nothing more of what is translated."""
    passed = {
        name.lower(): value
        for name, value in headers
        if name.lower() in _REQUEST or name.lower().startswith(_REQUEST_PREFIXES)
    }
    if translated:
        passed = {"content-type": "application/json"}
    # Some compress all the same; that is undone, or the events could not be looked at as they pass.
    passed["accept-encoding"] = "identity"
    if key_header == "x-api-key":
        passed["x-api-key"] = key
    else:
        passed["authorization"] = f"Bearer {key}"
    return passed


def answer_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what a client gets of a provider's headers."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() in _ANSWER or name.lower().startswith(_ANSWER_PREFIXES)
    ]


# How the protocols call what went wrong, by status.
_ANTHROPIC = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_OPENAI = {401: "authentication_error", 403: "permission_error", 429: "insufficient_quota"}


def error_body(side: Side, status: int, message: str, code: str) -> bytes:
    """Return an error of the gateway's own as the protocol says it."""
    if side == "anthropic":
        kind = _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    kind = _OPENAI.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: Mapping[str, str | None] = {
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
    }
    return json.dumps({"error": error}).encode()


def final_error(status: int, message: str) -> bytes:
    """Return what ends a stream of Messages so that the client does not ask again, with the status that fits."""
    error = {"type": _ANTHROPIC.get(status, "invalid_request_error"), "message": message}
    return _event("error", {"type": "error", "error": error})


def error_event(protocol: Protocol, message: str) -> bytes | None:
    """
    Return what ends a stream so that the client asks again; None where only a cut connection does that.

    As the real clients do: one does not ask again where it hears of overload in Responses, and none after an error
    in chat completions.
    """
    if protocol == "anthropic":
        error = {"type": "overloaded_error", "message": message}
        return _event("error", {"type": "error", "error": error})
    if protocol == "openai-chat":
        return None
    error = {"code": "server_error", "message": message}
    response = {"id": "resp_gateway", "object": "response", "status": "failed", "error": error}
    return _event("response.failed", {"type": "response.failed", "response": response})


def _event(name: str, values: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(values)}\n\n".encode()


def _is_models(rest: str) -> bool:
    return rest == "/models" or re.fullmatch(r"/models/[\w:-][\w.:-]{0,199}", rest) is not None
