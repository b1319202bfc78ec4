"""A collector of OpenTelemetry on the loopback address: it takes OTLP over HTTP, and tells what came."""

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import wait_until


@dataclass(frozen=True)
class CollectedSpan:
    """A span that came, its ids in hexadecimal digits."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector:
    """What came: spans, figures by name, and all of it as bytes."""

    port: int
    spans: list[CollectedSpan] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    close: Callable[[], None] = lambda: None  # goes away before its block ends

    @property
    def endpoint(self) -> str:
        """What the setting `telemetry.endpoint` takes."""
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> None:
        """Take a request."""
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                self.resources.append(_attributes(resource.resource.attributes))
                self.spans += [
                    _span(each) for scope in resource.scope_spans for each in scope.spans
                ]
        elif path == "/v1/metrics":
            metrics = ExportMetricsServiceRequest.FromString(body)
            self.figures |= {
                metric.name: metric
                for resource in metrics.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
        self.bodies.append(body)

    def wait_for(self, name: str) -> CollectedSpan:
        """Return the newest span of a name, once it came."""
        wait_until(lambda: any(each.name == name for each in self.spans))
        return next(each for each in reversed(self.spans) if each.name == name)

    def below(self, top: CollectedSpan) -> set[str]:
        """Return the names of what is below a span in its trace, of what came by now."""
        ids, names = {top.span_id}, set[str]()
        for _ in self.spans:  # at most as deep as there are spans
            found = [each for each in self.spans if each.parent_id in ids]
            ids |= {each.span_id for each in found}
            names |= {each.name for each in found}
        return names


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Take telemetry while the block lasts."""
    collector = Collector(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append(self.headers)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def close() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        collector.close = close
        try:
            yield collector
        finally:
            close()


@contextlib.contextmanager
def port_without_collector(*, hangs: bool) -> Iterator[int]:
    """Yield a port that refuses connections, or `hangs`: takes them, and never answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if hangs:
            bound.listen()
        yield bound.getsockname()[1]


def _span(each: Any) -> CollectedSpan:
    return CollectedSpan(
        each.name, each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex(),
        tuple(link.span_id.hex() for link in each.links), _attributes(each.attributes),
        each.status.code == each.status.STATUS_CODE_ERROR,
    )  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
