"""
What became of an answer, by its bytes as they pass: how it ended, whether it said anything, which tokens it cost. Pure.

A status of 200 says nothing of a stream: an error event, a cut connection, an empty answer, and an end without the
protocol's final event are failures. Nothing of the text is kept.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.gateway.causes import ProviderFailure, classify, classify_event
from mahavishnu.gateway.wire import NOT_READ

MAX_EVENT = 16 * 1024 * 1024  # bytes of one event, and of a whole answer, that are looked into
MOST_TOKENS = 2**53  # that a count can be and still be added up
MAX_HELD = 1024 * 1024  # bytes of an answer in one JSON until it passes before its end
_END = re.compile(rb"\r?\n\r?\n")
_FINAL = frozenset({"message_stop", "response.completed", "response.incomplete"})


class TokenCount(Struct, frozen=True, kw_only=True):
    """What the provider counted; `cached` is a part of `input`. None where it did not say."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None

    @property
    def total(self) -> int:
        """All that count toward a limit."""
        return (self.input or 0) + (self.output or 0)


class _Event(Struct):
    """The members of an event, of any protocol, that tell how the stream is."""

    type: str = ""
    error: Any = None
    code: Any = None
    message: Any = None
    response: Any = None
    usage: Any = None
    choices: Any = None
    delta: Any = None
    content_block: Any = None
    item: Any = None


_EVENTS = msgspec.json.Decoder(_Event)


class StreamWatch:
    """
    Looks at server-sent events as they pass by, and lets whole ones pass alone: after a cut none is half there.

    `failure` is set with an error event, which is then in `rest` with what came behind it.
    """

    def __init__(self, protocol: Protocol, *, now: datetime | None = None) -> None:
        self._protocol = protocol
        self._now = now
        self._held = b""
        self._counted: dict[str, Any] = {}
        self._final = self._says = self._paid = self._broken = self._blind = False
        self.failure: ProviderFailure | None = None
        self.closed = False  # nothing comes any more, whatever becomes of the connection

    @property
    def began(self) -> bool:
        """Whether something was said: what comes before that, an answer that says nothing has too."""
        return self._says or self._blind

    @property
    def rest(self) -> bytes:
        """What was taken and not given back yet."""
        return self._held

    def feed(self, piece: bytes) -> bytes:
        """Take the next bytes, and return those of the events that are whole by them."""
        if self._blind or self.failure is not None:
            return piece
        seen = max(0, len(self._held) - 3)  # an end of four bytes may be there but for its last
        self._held += piece
        begin = 0
        for found in _END.finditer(self._held, seen):
            self._take(self._held[begin : found.end()])
            if self.failure is not None:
                break
            begin = found.end()
        whole, self._held = self._held[:begin], self._held[begin:]
        if len(self._held) > MAX_EVENT:
            self._blind = True
            whole, self._held = whole + self._held, b""
        return whole

    def end(self, *, cut: bool = False) -> ProviderFailure | None:
        """Return why the stream was a failure; `cut`: the connection ended before the answer did."""
        if self._held and self.failure is None and not cut:
            self._take(self._held)  # some forget the last empty line
        if self.failure is not None:
            return self.failure
        if cut and not self._final:
            return ProviderFailure(cause="network", status=200)
        if self._blind and not cut:
            return None
        empty = not self._says and not self._paid
        if self._broken or not self._final or empty:
            return ProviderFailure(cause="provider", status=200)
        return None

    @property
    def ended(self) -> bool:
        """Whether the protocol's final event was there."""
        return self._final

    @property
    def tokens(self) -> TokenCount:
        """What was counted so far."""
        return read_tokens(self._counted)

    def _take(self, event: bytes) -> None:
        if data := data_of(event):
            self._take_event(data)

    def _take_event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._final = self.closed = True
            return
        try:
            event = _EVENTS.decode(data)
        except NOT_READ:
            self._broken = True
            return
        error = _error_of(event)
        if error is not None:
            self.failure = classify_event(error, self._protocol, now=self._now)
            return
        self.closed = self.closed or event.type in _FINAL
        self._final = self._final or self.closed or _finished(event.choices)
        self._says = self._says or _is_said(event)
        for part in (event.message, event.response, {"usage": event.usage}):
            counted = part.get("usage") if isinstance(part, dict) else None
            if isinstance(counted, dict):
                self._counted |= {name: each for name, each in counted.items() if each}
                # The start of an answer counts a token before there is one.
                paid = event.type != "message_start" and read_tokens(counted).output
                self._paid = self._paid or bool(paid)


class WholeWatch:
    """Looks at an answer that comes as one JSON, of which no client can use a part: it is held, within bounds."""

    def __init__(self, protocol: Protocol, *, answers: bool) -> None:
        self._protocol = protocol
        self._answers = answers
        self._body = bytearray()
        self._passed = 0
        self._blind = False
        self.tokens = TokenCount()
        self.failure: ProviderFailure | None = None
        self.ended = False

    @property
    def began(self) -> bool:
        """Whether it is so long that it passes before its end."""
        return len(self._body) > MAX_HELD or self._blind

    @property
    def rest(self) -> bytes:
        """What was taken and not given back yet."""
        return bytes(self._body[self._passed :])

    def feed(self, piece: bytes) -> bytes:
        """Take the next bytes, and return those that may pass."""
        if self._blind:
            return piece
        self._body += piece
        if not self.began:
            return b""
        whole = self.rest
        self._passed = len(self._body)
        if self._passed > MAX_EVENT:
            self._blind = True
            self._body.clear()
            self._passed = 0
        return whole

    def end(self, *, cut: bool = False) -> ProviderFailure | None:
        """Return why the answer was a failure."""
        if cut:
            return ProviderFailure(cause="network", status=200)
        if self._blind:
            return None
        body = bytes(self._body)
        self.failure = classify(200, {}, body, self._protocol)
        if self.failure is None and self._answers:
            self._read_usage(body)
        self.ended = self.failure is None
        return self.failure

    def _read_usage(self, body: bytes) -> None:
        try:
            whole = msgspec.json.decode(body, type=_Whole)
        except NOT_READ:
            self.failure = ProviderFailure(cause="provider", status=200)
            return
        self.tokens = read_tokens(whole.usage if isinstance(whole.usage, dict) else {})
        said = (
            _says_any(whole.content)
            or _says_any(whole.output)
            or _has_part(whole.choices, "message")
        )
        if not said and not self.tokens.output:
            self.failure = ProviderFailure(cause="provider", status=200)


class _Whole(Struct):
    """The members of a whole answer, of any protocol, that are looked at."""

    usage: Any = None
    content: Any = None
    output: Any = None
    choices: Any = None


type Watch = StreamWatch | WholeWatch


def data_of(event: bytes) -> bytes:
    """Return the data of a server-sent event."""
    lines = (line.rstrip(b"\r") for line in event.split(b"\n"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


def read_tokens(counted: Mapping[str, Any]) -> TokenCount:
    """Return what a `usage` of any protocol says; Anthropic counts cached tokens apart, OpenAI among the others."""

    def number(name: str, values: Mapping[str, Any] = counted) -> int | None:
        value = values.get(name)
        fits = type(value) is int and 0 <= value < MOST_TOKENS
        return value if fits else None

    details = counted.get("input_tokens_details") or counted.get("prompt_tokens_details")
    if "cache_read_input_tokens" in counted or "cache_creation_input_tokens" in counted:
        cached = number("cache_read_input_tokens") or 0
        made = number("cache_creation_input_tokens") or 0
        taken: int | None = (number("input_tokens") or 0) + cached + made
    else:
        cached_ = number("cached_tokens", details) if isinstance(details, dict) else None
        taken, cached = _first(number("input_tokens"), number("prompt_tokens")), cached_ or 0
    output = _first(number("output_tokens"), number("completion_tokens"))
    return TokenCount(input=taken, output=output, cached=cached if taken is not None else None)


def _first(*values: int | None) -> int | None:
    return next((each for each in values if each is not None), None)


def _error_of(event: _Event) -> Mapping[str, Any] | None:
    """Return the error that an event is; OpenAI's Responses have two forms of it."""
    if event.error:
        return event.error if isinstance(event.error, dict) else {"message": str(event.error)}
    if event.type == "error":
        return {"code": event.code, "message": event.message}
    if event.type == "response.failed":
        error = event.response.get("error") if isinstance(event.response, dict) else None
        return error if isinstance(error, dict) else {}
    return None


def _finished(choices: Any) -> bool:
    return isinstance(choices, list) and any(
        isinstance(each, dict) and each.get("finish_reason") for each in choices
    )


def _is_said(event: _Event) -> bool:
    """Tell whether an event has a part of the answer."""
    if event.type == "content_block_start":
        return _says_part(event.content_block)
    if event.type == "content_block_delta":
        return isinstance(event.delta, dict) and _has_value(event.delta, "type")
    if event.type.startswith("response."):
        whole = event.response.get("output") if isinstance(event.response, dict) else None
        return bool(event.delta) or _says_part(event.item) or _says_any(whole)
    return _has_part(event.choices, "delta")


def _says_any(parts: Any) -> bool:
    return any(map(_says_part, parts)) if isinstance(parts, list) else bool(parts)


def _says_part(part: Any) -> bool:
    """Tell whether a block of Messages, or an item of Responses, is more than an empty text."""
    if not isinstance(part, dict):
        return bool(part)
    if part.get("type") == "message":
        return _says_any(part.get("content"))
    return part.get("type") not in ("text", "output_text") or bool(part.get("text"))


def _has_value(values: Mapping[str, Any], but: str) -> bool:
    return any(value for name, value in values.items() if name != but)


def _has_part(choices: Any, member: str) -> bool:
    """Tell whether one of the choices says more than whose it is."""
    if not isinstance(choices, list):
        return False
    parts = (each.get(member) for each in choices if isinstance(each, dict))
    return any(_has_value(part, "role") for part in parts if isinstance(part, dict))
