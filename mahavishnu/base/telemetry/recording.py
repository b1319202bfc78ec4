"""Spans by OpenTelemetry's API; imported where somebody collects them."""

import time
from collections.abc import Iterable, Mapping

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Link,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mahavishnu import __version__
from mahavishnu.base.telemetry.spans import Attributes, OpenSpan, name_error
from mahavishnu.base.telemetry.spans import SpanKind as KindName

_KINDS: Mapping[KindName, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
}
_PROPAGATOR = TraceContextTextMapPropagator()


class RecordedSpan(OpenSpan):
    """A span of OpenTelemetry while it lasts."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, attributes: Attributes) -> None:
        """Say more of it."""
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Call it what is known of it by now."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Mark it as failed."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


class TracerRecorder:
    """A `spans.SpanRecorder` that gives them to a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("mahavishnu", __version__)

    def record(
        self,
        name: str,
        attributes: Attributes,
        kind: KindName,
        carrier: Mapping[str, str] | None,
        origins: Iterable[object],
    ) -> "_Recording":
        """Record what is done in the block."""
        links = [Link(each) for each in origins if isinstance(each, SpanContext)]
        parent = _read(carrier, links) if carrier else None
        return _Recording(
            self._tracer.start_span(name, parent, _KINDS[kind], attributes, links), parent
        )

    def add(self, name: str, attributes: Attributes, elapsed_s: float, error: str | None) -> None:
        """Record what has just ended; the span above it may have ended meanwhile."""
        above = self.current()
        if above is None or not above.trace_flags.sampled:
            return
        ended = time.time_ns()
        recorded = self._tracer.start_span(
            name,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(elapsed_s * 1e9),
        )
        if error is not None:
            RecordedSpan(recorded).fail(error)
        recorded.end(ended)

    def describe(self, attributes: Attributes) -> None:
        """Say more of the span that lasts."""
        get_current_span().set_attributes(attributes)

    def current(self) -> SpanContext | None:
        """Return what identifies the span that lasts."""
        found = get_current_span().get_span_context()
        return found if found.is_valid else None

    def ids(self) -> tuple[str, str, str] | None:
        """Return trace, span and flags of the span that lasts, in hexadecimal digits."""
        found = self.current()
        if found is None:
            return None
        return f"{found.trace_id:032x}", f"{found.span_id:016x}", f"{int(found.trace_flags):02x}"


class _Recording:
    """Lets a span last while its block does; it costs a fifth less than OpenTelemetry's generators."""

    __slots__ = ("_parent", "_span", "_token")

    def __init__(self, span: Span, parent: Context | None) -> None:
        self._span = span
        self._parent = parent

    def __enter__(self) -> OpenSpan:
        self._token = attach(set_span_in_context(self._span, self._parent))
        return RecordedSpan(self._span)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        detach(self._token)
        if error is not None:
            RecordedSpan(self._span).fail(name_error(error))
        self._span.end()


def recorder_of_process() -> TracerRecorder | None:
    """Return one for the provider that this process has set up."""
    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
        return None
    return TracerRecorder(provider)


def _read(carrier: Mapping[str, str], links: list[Link]) -> Context | None:
    """Return what a carrier says is above; the span that lasts here becomes a link."""
    here = get_current_span().get_span_context()
    parent = _PROPAGATOR.extract(carrier)
    told = get_current_span(parent).get_span_context()
    if told == here or not told.is_valid:
        return None
    if here.is_valid:
        links.append(Link(here))
    return parent
