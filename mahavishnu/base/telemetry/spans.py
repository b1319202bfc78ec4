"""
Spans of what is done, for whoever collects them; where nobody does they cost nothing, and nothing is imported.

No text of a user's goes into a span: neither questions nor memories, parameters of statements, nor the message of an
error, which may quote them.
"""

import sys
from collections.abc import Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

type SpanValue = str | int | float | bool | list[str]
type Attributes = Mapping[str, SpanValue]
type SpanKind = Literal["internal", "server", "client"]

MAX_ORIGINS = 1_024
_recorders: list["SpanRecorder"] = []


class OpenSpan:
    """A span while it lasts; this one belongs to nobody who collects."""

    def set(self, attributes: Attributes) -> None:
        """Say more of it."""

    def rename(self, name: str) -> None:
        """Call it what is known of it by now."""

    def fail(self, kind: str) -> None:
        """Mark it as failed, by the code of an error or the name of its class."""


class SpanRecorder(Protocol):
    """What makes spans; `recording` has the one of OpenTelemetry."""

    def record(
        self,
        name: str,
        attributes: Attributes,
        kind: SpanKind,
        carrier: Mapping[str, str] | None,
        origins: Iterable[object],
    ) -> AbstractContextManager[OpenSpan]:
        """Record what is done in the block, as `span`."""

    def add(self, name: str, attributes: Attributes, elapsed_s: float, error: str | None) -> None:
        """Record what has just ended, as `add_span`."""

    def describe(self, attributes: Attributes) -> None:
        """Say more of the span that lasts, as `describe_span`."""

    def current(self) -> object | None:
        """Return what identifies the span that lasts."""

    def ids(self) -> tuple[str, str, str] | None:
        """Return trace, span and flags of the span that lasts, in hexadecimal digits."""


_NOBODY = nullcontext(OpenSpan())


def collect_with(recorder: SpanRecorder | None) -> None:
    """Give spans to a recorder from now on; to nobody without one."""
    _recorders[:] = [recorder] if recorder else []


def collect_with_process() -> None:
    """Give spans to OpenTelemetry where the program around has set it up, unless somebody collects already."""
    if "opentelemetry.sdk.trace" in sys.modules and not _recorders:
        from mahavishnu.base.telemetry.recording import (  # noqa: PLC0415 - 50 ms
            recorder_of_process,
        )

        collect_with(recorder_of_process())


def is_collecting() -> bool:
    """Whether anybody gets spans."""
    return bool(_recorders)


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = "internal",
    carrier: Mapping[str, str] | None = None,
    origins: Iterable[object] = (),
) -> AbstractContextManager[OpenSpan]:
    """
    Record what is done in the block, below the span that lasts; an error marks it by its code or class.

    Where a `carrier`, such as the headers of a request, names a span of another process, that is above it. `origins`
    are those of `SpanOrigins`.
    """
    if not _recorders:
        return _NOBODY
    return _recorders[0].record(name, attributes or {}, kind, carrier, origins)


def add_span(name: str, attributes: Attributes, *, elapsed_s: float, error: str | None) -> None:
    """Record a request to another program that has just ended; not where no span lasts that is sampled."""
    if _recorders:
        _recorders[0].add(name, attributes, elapsed_s, error)


def describe_span(attributes: Attributes) -> None:
    """Say more of the span that lasts: a span of its own would cost ten times that."""
    if _recorders:
        _recorders[0].describe(attributes)


def trace_ids() -> dict[str, str]:
    """Return `trace_id` and `span_id` of the span that lasts, as logs name them; nothing without one."""
    ids = _recorders[0].ids() if _recorders else None
    return {"trace_id": ids[0], "span_id": ids[1]} if ids else {}


def trace_headers() -> dict[str, str]:
    """Return the headers that carry the span that lasts to another process; nothing without one."""
    ids = _recorders[0].ids() if _recorders else None
    return {"traceparent": f"00-{ids[0]}-{ids[1]}-{ids[2]}"} if ids else {}


def name_error(error: BaseException) -> str:
    """Return what an error may be called in a span: its code, or its class."""
    return str(getattr(error, "code", None) or type(error).__qualname__)


class SpanOrigins:
    """In which span the newest memories of this process were stored, for those that come back to them later."""

    def __init__(self) -> None:
        self._spans: dict[Hashable, Any] = {}

    def note(self, ids: Iterable[Hashable]) -> None:
        """Remember the span that lasts for these ids."""
        above = _recorders[0].current() if _recorders else None
        if above is None:
            return
        self._spans.update(dict.fromkeys(ids, above))
        while len(self._spans) > MAX_ORIGINS:
            del self._spans[next(iter(self._spans))]

    def find(self, ids: Iterable[Hashable]) -> list[object]:
        """Return the spans that are known, each once."""
        known = {id(each): each for each in map(self._spans.get, ids) if each is not None}
        return list(known.values())
