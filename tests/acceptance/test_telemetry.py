"""Telemetry of the installed command: traces and figures reach a real collector, and its end is no harm."""

import pytest

from tests.support.collector import Collector, collecting
from tests.support.command import Command
from tests.support.daemon import running, wait_until

pytestmark = pytest.mark.postgres

CANARY = "xylophone"
ABOVE = f"00-{'ab' * 16}-{'cd' * 8}-01"
ERA = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def has_linked_delivery(collector: Collector) -> bool:
    """Tell whether a delivery leads to where its memory was stored."""
    stores = {each.span_id for each in collector.spans if each.name == "store memories"}
    deliveries = [each for each in collector.spans if each.name == "deliver changes"]
    return any(stores & {*each.links} for each in deliveries)


def test_traces_and_figures_reach_a_collector_until_it_goes_away(settled: Command) -> None:
    """It takes 6 s: a daemon, its commands, and a collector that goes away under them."""
    with collecting() as collector:
        mirror = settled.home / "mirror.jsonl"
        settled.environment.update(
            MAHAVISHNU_TELEMETRY="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="50",
            OTEL_METRIC_EXPORT_INTERVAL="1000",
            MAHAVISHNU_SYNC_MIRROR_PATH=str(mirror),
        )
        settled("memory", "store", f"The {CANARY} stands in the hall.")
        settled("memory", "search", f"where is the {CANARY}?", "--mode", "text")
        command = collector.wait_for("mahavishnu memory search")
        assert {"search", "match_terms"} <= collector.below(command)
        with running(settled) as daemon, daemon.client() as client:
            daemon.store(f"Another {CANARY} is broken.")
            wait_until(lambda: has_linked_delivery(collector))
            asked = {"query": CANARY, "mode": "text"}
            client.post("/api/v1/search", json=asked, headers={"traceparent": ABOVE})
            served = collector.wait_for("POST /api/v1/search")
            assert (served.trace_id, served.parent_id) == ("ab" * 16, "cd" * 8)
            wait_until(lambda: {"search", "match_terms"} <= collector.below(served))
            params = {"name": "search", "arguments": asked, "_meta": ERA | {"traceparent": ABOVE}}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            accept = {"accept": "application/json, text/event-stream"}
            client.post("/mcp", json=message, headers=accept)
            tool = collector.wait_for("tools/call search")
            assert (tool.trace_id, tool.parent_id) == ("ab" * 16, "cd" * 8)
            wait_until(lambda: {"search", "match_terms"} <= collector.below(tool))
            wait_until(lambda: "mahavishnu_search_seconds" in collector.figures)
            shown = {
                line.split()[2]
                for line in client.get("/metrics").text.splitlines()
                if line.startswith("# TYPE") and not line.split()[2].endswith("_created")
            }
            assert shown - {"mahavishnu_info"} == collector.figures.keys()
            told = collector.resources[-1]
            assert told.keys() == {"service.name", "service.version"}
            assert CANARY.encode() not in b"".join(collector.bodies)
            secrets = [daemon.headers["Authorization"].partition(" ")[2], str(settled.home)]
            assert not [each for each in secrets if each.encode() in b"".join(collector.bodies)]
            collector.close()
            daemon.store("while nobody collects")
            wait_until(lambda: "telemetry_not_taken" in daemon.log)
            assert "Traceback" not in daemon.log
            stored = settled("memory", "store", "nor here")
            assert stored.status == 0 and "telemetry" not in stored.err
            assert settled("down").status == 0
