"""The figures of a Prometheus registry as OpenTelemetry's, under the same names; nothing is counted twice."""

import time
from collections.abc import Iterable

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from mahavishnu import __version__

_CUMULATIVE = AggregationTemporality.CUMULATIVE


def build_figures(families: Iterable[Family], resource: Resource) -> MetricsData:
    """Return what a registry collected, but what only describes the process: `resource` does."""
    now = time.time_ns()
    data = ((family, _data_of(family, now)) for family in families)
    metrics = [
        Metric(_name_of(family), family.documentation, _unit_of(family), found)
        for family, found in data
        if found is not None
    ]
    scope = ScopeMetrics(InstrumentationScope("mahavishnu", __version__), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _name_of(family: Family) -> str:
    """Return the name that `/metrics` shows: collectors add no ending of their own to one that has it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def _unit_of(family: Family) -> str:
    return (
        "s" if family.name.endswith("_seconds") else "By" if family.name.endswith("_bytes") else ""
    )


def _data_of(family: Family, now: int) -> Sum | Gauge | Histogram | None:
    created = {
        _key(each): int(each.value * 1e9)
        for each in family.samples
        if each.name.endswith("_created")
    }
    if family.type == "counter":
        points = [
            NumberDataPoint(each.labels, created.get(_key(each), now), now, each.value)
            for each in family.samples
            if each.name.endswith("_total")
        ]
        return Sum(points, _CUMULATIVE, is_monotonic=True)
    if family.type == "gauge":
        return Gauge(
            [NumberDataPoint(each.labels, now, now, each.value) for each in family.samples]
        )
    if family.type == "histogram":
        groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
        for each in family.samples:
            groups.setdefault(_key(each), []).append(each)
        return Histogram(
            [_point(group, created.get(key, now), now) for key, group in groups.items()],
            _CUMULATIVE,
        )
    return None


def _key(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in sample.labels.items() if name != "le")


def _point(samples: list[Sample], created: int, now: int) -> HistogramDataPoint:
    """Return a point of the samples of one histogram: Prometheus' buckets count what lies in those before, too."""
    buckets = [
        (float(each.labels["le"]), int(each.value)) for each in samples if "le" in each.labels
    ]
    counts = [count for _, count in buckets]
    total = next(each.value for each in samples if each.name.endswith("_sum"))
    return HistogramDataPoint(
        dict(_key(samples[0])), created, now, counts[-1], total,
        [count - before for before, count in zip([0, *counts], counts, strict=False)],
        [bound for bound, _ in buckets[:-1]], min=None, max=None,  # type: ignore[arg-type]  # the format may be without
    )  # fmt: skip
