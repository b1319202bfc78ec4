"""Metrics of the daemon in Prometheus' text format."""

import os
from collections.abc import Iterable

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from mahavishnu import __version__
from mahavishnu.base.health import THREE_STATES, ComponentHealth
from mahavishnu.gateway.records import UseRecord
from mahavishnu.interfaces.http.own_operations import API_OPERATIONS
from mahavishnu.interfaces.mcp.edge import tool_route
from mahavishnu.memory.metrics import Timings

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
HEALTH_VALUES = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}
# A path that somebody makes up must not become a time series.
_ROUTES = frozenset({"/mcp", "/health", "/metrics", "/api/v1/memories/batch"}) | {
    name for operation in API_OPERATIONS for name in (operation.name, tool_route(operation.name))
}


def route_of(route: str) -> str:
    """Return a route that there is, else "other"."""
    return route if route in _ROUTES else "other"


class Metrics:
    """Counts of one daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mahavishnu_requests", "Requests by route and status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "mahavishnu_request_seconds", "Time to the end of the answer.", ["route"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.active = Gauge(
            "mahavishnu_active_requests", "Requests being served.", registry=self.registry
        )
        self.stalled = Counter(
            "mahavishnu_stalled_readers", "Answers given up, for nobody read them.",
            registry=self.registry,
        )  # fmt: skip
        self.connections = Gauge(
            "mahavishnu_database_connections", "Open connections.", registry=self.registry
        )
        self.waiting = Gauge(
            "mahavishnu_waiting_memories", "Memories without their vectors, to 10,000.",
            registry=self.registry,
        )  # fmt: skip
        self.proven_backup_age = Gauge(
            "mahavishnu_proven_backup_age_seconds",
            "Age of the newest backup that a drill proved; infinite without one.",
            registry=self.registry,
        )
        self.dead_letters = Gauge(
            "mahavishnu_dead_letters", "Changes that a target of sync refused for good.",
            registry=self.registry,
        )  # fmt: skip
        self.spooled = Gauge(
            "mahavishnu_spooled_writes", "Writes that wait for PostgreSQL on this machine.",
            registry=self.registry,
        )  # fmt: skip
        self._component_health = Gauge(
            "mahavishnu_component_health",
            "In the last sample, of once a minute: 1 healthy, 0.5 degraded, starting or shutting down, 0 unhealthy.",
            ["component"],
            registry=self.registry,
        )
        self._gateway_requests = Counter(
            "mahavishnu_gateway_requests", "Requests through the gateway; no cause where they did not fail.",
            ["profile", "cause"], registry=self.registry,
        )  # fmt: skip
        self._gateway_seconds = Histogram(
            "mahavishnu_gateway_seconds", "Time to the end of a provider's answer.", ["profile"],
            buckets=(*_BUCKETS, 60, 120, 300), registry=self.registry,
        )  # fmt: skip
        self._gateway_tokens = Counter(
            "mahavishnu_gateway_tokens", "Tokens through the gateway, by type: input, output.",
            ["profile", "type"], registry=self.registry,
        )  # fmt: skip
        self._gateway_dollars = Counter(
            "mahavishnu_gateway_dollars", "Cost at list price, where that is known.", ["profile"],
            registry=self.registry,
        )  # fmt: skip
        self._memory = Gauge(
            "mahavishnu_resident_bytes", "Resident memory.", registry=self.registry
        )
        self._memory.set_function(lambda: psutil.Process(os.getpid()).memory_info().rss)
        Info("mahavishnu", "The daemon.", registry=self.registry).info({"version": __version__})

    def follow(self, timings: Iterable[Timings]) -> None:
        """Show how long the calls of components take, by whatever way they are asked."""
        for each in timings:
            each.observe = Histogram(
                f"mahavishnu_{each.component}_seconds", f"Time of a call: {each.component}.",
                buckets=_BUCKETS, registry=self.registry,
            ).observe  # fmt: skip

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request; a status of 0 means that it got no answer."""
        known = route_of(route)
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def count_use(self, record: UseRecord) -> None:
        """Count one request through the gateway."""
        self._gateway_requests.labels(record.profile, record.cause).inc()
        self._gateway_seconds.labels(record.profile).observe(record.total_ms / 1000)
        self._gateway_tokens.labels(record.profile, "input").inc(record.input or 0)
        self._gateway_tokens.labels(record.profile, "output").inc(record.output or 0)
        self._gateway_dollars.labels(record.profile).inc(record.cost or 0.0)

    def show_components(self, components: Iterable[ComponentHealth]) -> None:
        """Set the gauges of components to these; others are not there any more."""
        self._component_health.clear()
        for each in components:
            self._component_health.labels(each.name).set(HEALTH_VALUES[THREE_STATES[each.status]])

    def collect(self) -> Iterable[Metric]:
        """Return what `render` shows, as it is now."""
        return self.registry.collect()

    def render(self) -> bytes:
        return generate_latest(self.registry)
