"""Samples over time: rolled up by the hour, summarized by component, and gathered within a process."""

import statistics
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

from msgspec import Struct, convert
from msgspec.structs import replace

from mahavishnu.base.errors import Corrupt, Unavailable
from mahavishnu.base.identifiers import derive_id
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import check_limit, check_moment, check_text
from mahavishnu.memory.models import utc_now

ROLLED_UP = "rolled_up"  # the label of a row that stands for the samples of an hour
ROLL_UP_EVERY = timedelta(hours=1)
MAX_ROLLED_UP = 50_000  # samples at once: about a second; the rest follows an hour later
ERRORS = ("crashed", "critical", "error", "failed", "unhealthy")  # texts of samples
MAX_TIMINGS = 10_000  # that are kept between two samples
_QUERIES = load_queries("metrics")


@dataclass(frozen=True)
class Retention:
    """How long samples are kept each, and the rows of an hour that follow them."""

    samples: timedelta = timedelta(days=7)
    hours: timedelta = timedelta(days=365)


class Point(Struct, frozen=True, kw_only=True):
    """The median of what was measured in a span of time that begins `at`."""

    at: datetime
    median: float


class FigureSummary(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A figure of several samples. `total` is there for counts, `points` where they were asked for."""

    count: int
    min: float
    median: float
    p95: float
    max: float
    last: float
    total: float | None = None
    points: list[Point] = []


class ComponentSummary(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was measured of a component, for one type of measurement; `state` is the last text."""

    component: str
    metric_type: str
    unit: str | None = None
    state: str | None = None
    samples: int
    errors: int
    first_at: datetime
    last_at: datetime
    figures: dict[str, FigureSummary]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRuns:
    """How the runs of an engine ended."""

    adapter: str
    runs: int
    errors: int
    last_status: str | None
    last_at: datetime


async def roll_up(
    database: Database,
    scope: int,
    retention: Retention,
    *,
    now: datetime | None = None,
    every: timedelta = ROLL_UP_EVERY,
) -> None:
    """
    Replace old samples of one's own by a row an hour, and delete what is older still; one statement.

    Where a process did so less than `every` ago, nothing is done. `scope` is where that is noted.
    """
    moment = (now or utc_now()).astimezone(UTC)
    until = (moment - retention.samples).replace(minute=0, second=0, microsecond=0)
    mark = derive_id(datetime(1970, 1, 1, tzinfo=UTC), "roll_up", str(scope))
    await database.run(
        lambda c: c.execute(
            _QUERIES["roll_up_metrics"], mark, scope, until,
            moment - max(retention.hours, retention.samples), every, MAX_ROLLED_UP, ERRORS,
        )
    )  # fmt: skip


async def summarize_metrics(
    database: Database,
    *,
    component: str | None = None,
    since: datetime,
    points: int = 0,
    limit: int = 100,
) -> list[ComponentSummary]:
    """Return what was measured since a moment, by component; with the medians of so many spans of time."""
    if component is not None:
        check_text(component, what="component")
    check_moment(since, what="since")
    check_limit(limit)
    rows = await database.run(
        lambda c: c.fetch(_QUERIES["summarize_metrics"], component, since, ERRORS, limit)
    )
    found = [convert(dict(row), ComponentSummary) for row in rows]
    if not points or not found:
        return found
    begin = max(since, min(each.first_at for each in found))
    span = max((utc_now() - begin) / points, timedelta(seconds=1))
    plotted = await database.run(
        lambda c: c.fetch(_QUERIES["plot_metrics"], component, begin, span)
    )
    series: dict[tuple[object, ...], list[Point]] = {}
    for source, name, unit, figure, at, median in plotted:
        series.setdefault((source, name, unit, figure), []).append(Point(at=at, median=median))
    return [
        replace(each, figures={
            name: replace(
                figure,
                points=series.get((each.component, each.metric_type, each.unit, name), []),
            )
            for name, figure in each.figures.items()
        })
        for each in found
    ]  # fmt: skip


async def count_adapter_runs(database: Database, *, since: datetime) -> list[AdapterRuns]:
    """Return how the runs of engines ended since a moment; of those that had any."""
    rows = await database.run(lambda c: c.fetch(_QUERIES["adapter_runs"], since, ERRORS))
    return [AdapterRuns(**row) for row in rows]


@dataclass(eq=False)
class Timings:
    """How long the calls of a component took in this process, since the last sample of them."""

    component: str
    observe: Callable[[float], None] | None = None  # gets the seconds of each, for `/metrics`
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_TIMINGS))
    _count: int = 0
    _errors: int = 0

    @contextmanager
    def timed(self, count: int = 1) -> Iterator[None]:
        """Count what is done in the block; where it is `count` things, each took its part of the time."""
        started = perf_counter()
        try:
            yield
        except (Unavailable, Corrupt):  # others are faults of the question
            self._errors += 1
            raise
        spent_s = perf_counter() - started
        if self.observe is not None:
            self.observe(spent_s)
        self._latencies_ms.append(spent_s * 1000 / max(1, count))
        self._count += count

    def take(self) -> dict[str, float] | None:
        """Return the figures since this was called before, or None where there was nothing."""
        count, errors, taken = self._count, self._errors, sorted(self._latencies_ms)
        if not count and not errors:
            return None
        self._latencies_ms.clear()
        self._count = self._errors = 0
        latency = {"latency_ms": round(statistics.median(taken), 3), "max_ms": round(taken[-1], 3)}
        return {**(latency if taken else {}), "count": count + errors, "error_count": errors}
