"""The operation that shows what was measured of components, and how the engines do."""

from importlib.util import find_spec
from typing import Annotated

from msgspec import Meta

from mahavishnu.base.extras import PACKAGES
from mahavishnu.memory.checks import check_limit
from mahavishnu.memory.metrics import (
    ERRORS,
    AdapterRuns,
    ComponentSummary,
    count_adapter_runs,
    summarize_metrics,
)
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.fitting import fit_list
from mahavishnu.operations.moments import read_moment
from mahavishnu.operations.operation import Call, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget, Limit, Moment, Sought

MAX_POINTS = 500


class ShowMetrics(Request, frozen=True, kw_only=True):
    """Which components, and since when."""

    component: Annotated[Sought | None, Meta(description="Only this component.")] = None
    since: Annotated[
        Moment, Meta(description='Not before: "7d", "12h" ago, or an ISO date or time.')
    ] = "7d"
    points: Annotated[
        int,
        Meta(ge=0, le=MAX_POINTS, description="Add the medians of so many spans of time, to plot."),
    ] = 0
    limit: Limit = 100
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an unreadable time, and numbers out of range."""
        read_moment(self.since, what="since")
        check_limit(self.limit)


class AdapterHealth(Body, frozen=True, kw_only=True):
    """An engine; `state` is off, not installed, unused, healthy, or unhealthy: its last run failed."""

    adapter: str
    state: str
    runs: AdapterRuns | None = None


class MetricsAnswer(Body, frozen=True, kw_only=True):
    """The engines, unless a component was named, and the components by name."""

    adapters: list[AdapterHealth]
    components: list[ComponentSummary]
    omitted: Annotated[int, Meta(description="Components that did not fit max_tokens.")] = 0


async def show_metrics(call: Call, request: ShowMetrics) -> MetricsAnswer:
    """Summarize what was measured."""
    since, database = read_moment(request.since, what="since"), call.app.database
    found = await summarize_metrics(
        database, component=request.component, since=since, points=request.points, limit=request.limit
    )  # fmt: skip
    adapters: list[AdapterHealth] = []
    if request.component is None:
        runs = {each.adapter: each for each in await count_adapter_runs(database, since=since)}
        on = call.app.settings.adapters
        adapters = [_adapter(each, runs.get(each), on=getattr(on, each)) for each in PACKAGES]
    answer = MetricsAnswer(adapters=adapters, components=found)
    return fit_list(answer, "components", request.max_tokens)


def _adapter(name: str, runs: AdapterRuns | None, *, on: bool) -> AdapterHealth:
    if not on:
        state = "off"
    elif find_spec(PACKAGES[name]) is None:
        state = "not installed"
    elif runs is None:
        state = "unused"
    else:
        state = "unhealthy" if runs.last_status in ERRORS else "healthy"
    return AdapterHealth(adapter=name, state=state, runs=runs)
