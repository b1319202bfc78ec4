"""
Send spans and figures to a collector by OTLP over HTTP.

The queue is bounded, threads end with the process, and nobody waits for a collector: what it does not take is lost.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import Metric as Family

from mahavishnu import __version__
from mahavishnu.base.logs import get_logger
from mahavishnu.base.masking import mask_url
from mahavishnu.base.telemetry.figures import build_figures
from mahavishnu.base.telemetry.recording import TracerRecorder
from mahavishnu.base.telemetry.spans import collect_with

END_S = 1.0  # how long a process that ends waits for what it has not sent
COMMAND_TIMEOUT_S = 0.5  # what a command gives the collector: too short for a second try
_log = get_logger(__name__)

type CollectFigures = Callable[[], Iterable[Family]]
type SendFigures = Callable[[CollectFigures], None]


@dataclass(frozen=True)
class Addresses:
    """Where spans and figures go; None where they stay."""

    traces: str | None
    metrics: str | None


def find_addresses(endpoint: str | None, environ: Mapping[str, str]) -> Addresses:
    """Return where spans and figures go, by the setting and OpenTelemetry's own variables."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Addresses(None, None)

    def find(signal: str) -> str | None:
        if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() == "none":
            return None
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        return own or (f"{endpoint.rstrip('/')}/v1/{signal}" if endpoint else None)

    return Addresses(find("traces"), find("metrics"))


@contextmanager
def sending(
    endpoint: str | None, environ: Mapping[str, str], *, lasting: bool
) -> Iterator[SendFigures | None]:
    """Send spans while the block lasts, as `sending_telemetry` says."""
    addresses = find_addresses(endpoint, environ)
    if addresses == Addresses(None, None):
        _log.info("telemetry_off", reason="No endpoint is set.")
        yield None
        return
    # What it complains of is said once, and by us: see `_Outage`.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    resource = _describe()
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    figures = None
    if addresses.traces is not None:
        timeout_s = None if lasting else COMMAND_TIMEOUT_S
        sent = OTLPSpanExporter(addresses.traces, session=_session(), timeout=timeout_s)
        outage = _Outage(addresses.traces, loud=lasting)
        provider.add_span_processor(BatchSpanProcessor(_Noting(sent, outage)))
        collect_with(TracerRecorder(provider))
    if addresses.metrics is not None and lasting:
        figures = FigureSender(addresses.metrics, resource)
    try:
        yield figures.send if figures else None
    finally:
        collect_with(None)
        _end(provider.shutdown, *([figures.end] if figures else []))


def _describe() -> Resource:
    """Return the attributes of this process: no detector reads its command line, which may have a question in it."""
    named = Resource({"service.name": "mahavishnu", "service.version": __version__})
    return named.merge(OTELResourceDetector().detect())


def _session() -> requests.Session:
    """Return one that follows no redirect: the headers of the user's may have a key in them."""
    session = requests.Session()
    session.max_redirects = 0
    return session


def _end(*ends: Callable[[], None]) -> None:
    """Let what has to be sent be sent, as far as there is time; a thread that hangs ends with the process."""
    threads = [threading.Thread(target=each, daemon=True) for each in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(END_S)


class _Outage:
    """Says once that a collector takes nothing, and once that it does again."""

    def __init__(self, address: str, *, loud: bool) -> None:
        self._address = mask_url(address)
        self._say = _log.warning if loud else _log.info
        self._failing = False

    def note(self, *, taken: bool) -> None:
        """Take note of what became of something that was sent."""
        if taken == self._failing:
            self._failing = not taken
            self._say(
                "telemetry_taken_again" if taken else "telemetry_not_taken", address=self._address
            )


class _Noting(SpanExporter):
    """Passes spans on, and takes note of what became of them."""

    def __init__(self, exporter: SpanExporter, outage: _Outage) -> None:
        self._exporter = exporter
        self._outage = outage

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        self._outage.note(taken=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class FigureSender:
    """Sends the newest figures in a thread of its own; while it is at it, only the newest ones wait."""

    def __init__(self, address: str, resource: Resource) -> None:
        self._exporter = OTLPMetricExporter(address, session=_session())
        self._outage = _Outage(address, loud=True)
        self._resource = resource
        self._newest: CollectFigures | None = None
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="figures", daemon=True)
        self._thread.start()

    def send(self, collect: CollectFigures) -> None:
        """Send what this collects, soon."""
        with self._changed:
            self._newest = collect
            self._changed.notify()

    def end(self) -> None:
        """Send what waits, and return when that is done."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        self._exporter.shutdown()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._ending)
                collect, self._newest = self._newest, None
            if collect is None:
                return
            result = self._exporter.export(build_figures(collect(), self._resource))
            self._outage.note(taken=result is MetricExportResult.SUCCESS)
