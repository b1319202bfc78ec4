"""Telemetry in one process: what is sent where, what is said in it, and that nobody waits for a collector."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import DaemonRecord
from mahavishnu.base.errors import NotFound, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.base.telemetry.export import Addresses, find_addresses
from mahavishnu.base.telemetry.figures import build_figures
from mahavishnu.base.telemetry.recording import TracerRecorder
from mahavishnu.base.telemetry.spans import collect_with, is_collecting, span, trace_headers
from mahavishnu.base.telemetry.start import sending_telemetry
from tests.support.collector import collecting, port_without_collector

ABOVE = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}


@pytest.fixture(autouse=True)
def _without_threads_in_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no sender of spans start its thread again in processes that later tests fork from this one."""
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is recorded in the test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    collect_with(TracerRecorder(provider))
    yield exporter
    collect_with(None)


def test_without_telemetry_no_command_imports_it() -> None:
    code = (
        "import sys\n"
        "import mahavishnu.ai, mahavishnu.interfaces.cli.root, mahavishnu.interfaces.cli.ai.status\n"
        "import mahavishnu.interfaces.cli.asking, mahavishnu.app\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed == b"[]\n"


@pytest.mark.parametrize(
    ("endpoint", "environ", "traces", "metrics"),
    [
        (None, {}, None, None),
        ("http://c/", {}, "http://c/v1/traces", "http://c/v1/metrics"),
        ("http://c", {"OTEL_SDK_DISABLED": "TRUE"}, None, None),
        ("http://c", {"OTEL_TRACES_EXPORTER": "none"}, None, "http://c/v1/metrics"),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m"}, None, "http://m"),
    ],
)  # fmt: skip
def test_where_telemetry_goes(
    endpoint: str | None, environ: dict[str, str], traces: str | None, metrics: str | None
) -> None:
    assert find_addresses(endpoint, environ) == Addresses(traces, metrics)


@pytest.mark.parametrize(("enabled", "given"), [(False, True), (True, False)])
def test_nothing_is_sent_unless_it_is_enabled_and_has_an_endpoint(
    enabled: bool, given: bool
) -> None:
    with collecting() as collector:
        endpoint = collector.endpoint if given else None
        with sending_telemetry(
            enabled=enabled, endpoint=endpoint, environ={}, lasting=True
        ) as send, span("work"):  # fmt: skip
            assert send is None and not is_collecting()
        assert collector.bodies == []


def test_a_span_continues_the_trace_of_who_asks_and_says_no_message(
    spans: InMemorySpanExporter,
) -> None:
    with pytest.raises(NotFound), span("outer", {"n": 1}, carrier=ABOVE):
        assert trace_headers()["traceparent"].startswith(f"00-{'ab' * 16}-")
        raise NotFound("There is no secret.", code="memory.not_found")
    [outer] = spans.get_finished_spans()
    assert outer.parent and f"{outer.parent.span_id:016x}" == "cd" * 8
    assert outer.attributes == {"n": 1, "error.type": "memory.not_found"}
    assert not outer.events and outer.status.description is None


def test_a_daemon_is_asked_with_the_trace_and_only_where_there_is_one(
    spans: InMemorySpanExporter,
) -> None:
    with collecting() as server:
        client = DaemonClient(DaemonRecord(1, "", "", "", server.port), "token")
        with span("outer", carrier=ABOVE), pytest.raises(Unavailable):
            client.ask("POST", "/")  # who answers is no daemon
        with pytest.raises(Unavailable):
            client.ask("POST", "/")
    [outer] = spans.get_finished_spans()
    assert outer.context
    traceparent = f"00-{'ab' * 16}-{outer.context.span_id:016x}-01"
    assert [each.get("traceparent") for each in server.headers] == [traceparent, None]


def test_a_message_names_its_trace(
    spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    with span("outer", carrier=ABOVE):
        get_logger("x").warning("inside")
    get_logger("x").warning("outside")
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    [outer] = spans.get_finished_spans()
    assert outer.context and inside["span_id"] == f"{outer.context.span_id:016x}"
    assert inside["trace_id"] == "ab" * 16
    assert not {"trace_id", "span_id"} & outside.keys()


def test_figures_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Asked.", ["route"], registry=registry).labels("a").inc(3)
    Gauge("age_seconds", "Age.", registry=registry).set(math.inf)
    histogram = Histogram("took_seconds", "Time.", buckets=(1, 2), registry=registry)
    for value in (0.5, 1.5, 1.6, 9):
        histogram.observe(value)
    encoded = encode_metrics(build_figures(registry.collect(), Resource({})))
    [scope] = encoded.resource_metrics[0].scope_metrics
    asked, age, took = scope.metrics
    assert (asked.name, age.name, took.name) == ("asked_total", "age_seconds", "took_seconds")
    [point] = asked.sum.data_points
    assert asked.sum.is_monotonic and point.as_double == 3
    assert point.attributes[0].value.string_value == "a"
    assert age.gauge.data_points[0].as_double == math.inf and age.unit == "s"
    [point] = took.histogram.data_points
    assert list(point.bucket_counts) == [1, 2, 1] and list(point.explicit_bounds) == [1, 2]
    assert (point.count, point.sum) == (4, 12.6) and not point.HasField("min")


@pytest.mark.parametrize("hangs", [True, False])
def test_a_collector_that_is_away_holds_nobody_up(
    hangs: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It takes 2 s: as long as an end waits. Without its bound it would take 30 s."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "40")
    with port_without_collector(hangs=hangs) as port:
        endpoint = f"http://127.0.0.1:{port}"
        with sending_telemetry(enabled=True, endpoint=endpoint, environ={}, lasting=True) as send:
            assert send is not None
            for _ in range(3):
                send(CollectorRegistry().collect)
            for _ in range(5_000):  # more than the queue holds
                with span("work"):
                    pass
            ending = time.monotonic()
        assert time.monotonic() - ending < 20
    assert not is_collecting()
    assert "Queue" not in (said := capfd.readouterr().err) and "Traceback" not in said
