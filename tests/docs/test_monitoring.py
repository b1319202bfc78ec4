"""The dashboard and the alert rules: well formed, and about figures that the daemon shows."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mahavishnu.base.health import ComponentHealth
from mahavishnu.gateway.records import UseRecord
from mahavishnu.interfaces.http.metrics import Metrics
from mahavishnu.memory.metrics import Timings

FOLDER = Path(__file__).parents[2] / "docs/monitoring"
_NAME = re.compile(r"\bmahavishnu_\w+")
_DURATION = re.compile(r"[1-9][0-9]*[smhd]")


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """The names that `/metrics` has, each of a histogram and a counter too; `follow` as the daemon calls it."""
    metrics = Metrics()
    metrics.follow((Timings("search"), Timings("embedding")))
    metrics.count("search", 200, 0.1)
    metrics.count_use(
        UseRecord(
            at=datetime.now(UTC), client="c", profile="p", protocol="anthropic", model="m", sent_model="m",
            status=200, total_ms=1.0,
        )
    )  # fmt: skip
    metrics.show_components([ComponentHealth("database", "healthy")])
    lines = metrics.render().decode().splitlines()
    return {match[0] for line in lines if line[0] != "#" and (match := _NAME.match(line))}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((FOLDER / "alert-rules.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    targets = (target for panel in dashboard["panels"] for target in panel["targets"])
    return [*(each["expr"] for each in targets), *(rule["expr"] for rule in rules())]


def test_each_figure_that_is_drawn_or_watched_is_shown(shown: set[str]) -> None:
    named = {name for each in expressions() for name in _NAME.findall(each)}
    assert len(named) >= 10 and named <= shown
    drawn = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in named}
    known = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in shown}
    assert drawn == known - {"mahavishnu_info"}, "a figure that no panel and no rule has"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_what_prometheus_takes(rule: dict[str, Any]) -> None:
    """Its structure alone: `promtool`, which parses expressions as well, is in no registry of packages."""
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Mahavishnu[A-Za-z]+", rule["alert"])
    assert _DURATION.fullmatch(rule["for"])
    assert rule["labels"].keys() == {"severity"} and rule["annotations"].keys() == {
        "summary",
        "action",
    }
    assert all(rule["expr"].count(opened) == rule["expr"].count(closed)
               for opened, closed in ("()", "{}", "[]"))  # fmt: skip


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in dashboard["panels"]]
    assert len({*places}) == len(places)
    assert len({each["id"] for each in dashboard["panels"]}) == len(places)
