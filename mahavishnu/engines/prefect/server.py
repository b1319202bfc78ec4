"""
Read runs from a Prefect server: those that have been, and those that change. The one module that imports Prefect.

An event only says that a run changed; the run is then read as it is, so events may be late, doubled or
out of order. What was missed while the server was away is found by reading again.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    Operator,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from websockets.exceptions import WebSocketException

from mahavishnu.engines.prefect.report import report_of
from mahavishnu.errors import Unavailable

PAGE = 200
EVENTS = "prefect.flow-run."
HEARTBEAT = "prefect.flow-run.heartbeat"
type Report = dict[str, Any]


async def read_runs(url: str, *, since: datetime, follow: bool) -> AsyncGenerator[list[Report]]:
    """
    Yield reports of the flow runs that ended after `since` or run now; then, to follow, of each that changes.

    The first page is empty: the server answers. Close it where it was opened (`contextlib.aclosing`).

    Raises:
        Unavailable: `prefect.unreachable`, where the server does not answer, or no longer.
    """
    changed: dict[Any, Any] = {PREFECT_API_URL: _api(url)}
    if follow:  # who follows tries again by itself, and says so
        changed[PREFECT_CLIENT_MAX_RETRIES] = 0
    with temporary_settings(changed), _translated(url):
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(get_client())
            await client.read_flow_runs(limit=1)  # refused here, where the key is wrong
            names: dict[UUID, str] = {}
            subscriber = None
            if follow:  # before the past is read, so that nothing falls between the two
                wanted = EventFilter(event=EventNameFilter(prefix=[EVENTS]))
                subscriber = await stack.enter_async_context(
                    get_events_subscriber(filter=wanted, reconnection_attempts=0)
                )
            yield []  # it answers
            async for page in _past(client, since):
                yield [report for run in page async for report in _reports(client, run, names)]
            if subscriber is not None:
                async for event in subscriber:
                    if event.event == HEARTBEAT:
                        continue
                    run_id = UUID(event.resource.id.removeprefix(EVENTS))
                    with contextlib.suppress(ObjectNotFound):  # deleted since
                        run = await client.read_flow_run(run_id)
                        yield [report async for report in _reports(client, run, names)]


async def _past(client: PrefectClient, since: datetime) -> AsyncIterator[list[Any]]:
    running = FlowRunFilterState(type=FlowRunFilterStateType(any_=["RUNNING", "CANCELLING"]))
    wanted = FlowRunFilter(
        operator=Operator.or_, end_time=FlowRunFilterEndTime(after_=since), state=running
    )
    offset = 0
    while page := await client.read_flow_runs(
        flow_run_filter=wanted, sort=FlowRunSort.START_TIME_ASC, limit=PAGE, offset=offset
    ):
        yield page
        offset += len(page)


async def _reports(
    client: PrefectClient, run: Any, names: dict[UUID, str]
) -> AsyncIterator[Report]:
    """Yield the report of a run, unless it is only planned: a plan may be dropped silently."""
    if run.state is None:
        return
    if run.flow_id not in names:
        names[run.flow_id] = (await client.read_flow(run.flow_id)).name
    report = report_of(run, run.state, workflow=names[run.flow_id])
    if report["status"] != "pending":
        yield report


def _api(url: str) -> str:
    """Return the address of the API: Prefect's own setting, or the server's that people open."""
    bare = url.rstrip("/")
    return bare if "/api" in bare else f"{bare}/api"


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError, WebSocketException, OSError) as error:
        raise Unavailable(
            f"Prefect's server at {url} does not answer ({type(error).__name__}).",
            hint="Give the address that `prefect server start` prints, such as http://127.0.0.1:4200.",
            code="prefect.unreachable",
        ) from error
