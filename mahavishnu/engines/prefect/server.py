"""
Runs at a Prefect server: those that have been, those that change, and those of a deployment that is started.

An event only says that a run changed; the run is then read as it is, so events may be late, doubled or
out of order. What was missed while the server was away is found by reading again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    Operator,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelling
from websockets.exceptions import WebSocketException

from mahavishnu.base.errors import NotFound, Unavailable
from mahavishnu.engines.prefect.report import (
    REPOSITORY_PARAMETERS,
    REPOSITORY_TAG,
    UNENDED,
    report_of,
)

PAGE = 200
EVENTS = "prefect.flow-run."
HEARTBEAT = "prefect.flow-run.heartbeat"
POLL_S = 1.0
# A ValueError is an address that is none, or an answer that is not Prefect's.
_FAILURES = (
    httpx.HTTPError, httpx.InvalidURL, PrefectHTTPStatusError, WebSocketException, OSError, ValueError
)  # fmt: skip
type RunReport = dict[str, Any]


async def read_runs(
    url: str, *, since: datetime, follow: bool
) -> AsyncGenerator[tuple[list[RunReport], bool]]:
    """
    Yield reports of the flow runs that ended after `since` or run now; then, to follow, of each that changes.

    With each page comes whether all that was before has been read. The first one is empty: the server answers.
    Close it where it was opened (`contextlib.aclosing`).

    Raises:
        Unavailable: `prefect.unreachable`, where the server does not answer, or no longer.
    """
    with _translated(url), temporary_settings({PREFECT_API_URL: _api(url)}):
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(get_client())
            await client.read_flow_runs(limit=1)  # refused here, where the key is wrong
            if follow:  # from now on who follows tries again by itself, and says so
                stack.enter_context(temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}))
            names: dict[UUID, str] = {}
            subscriber = None
            if follow:  # before the past is read, so that nothing falls between the two
                wanted = EventFilter(event=EventNameFilter(prefix=[EVENTS]))
                subscriber = await stack.enter_async_context(
                    get_events_subscriber(filter=wanted, reconnection_attempts=0)
                )
            yield [], False  # it answers
            async for page in _past(client, since):
                reports = [report for run in page async for report in _reports(client, run, names)]
                yield reports, False
            if subscriber is not None:
                yield [], True
                async for event in subscriber:
                    if event.event == HEARTBEAT:
                        continue
                    try:
                        run_id = UUID(event.resource.id.removeprefix(EVENTS))
                    except ValueError:  # an event of a user's own about something else
                        continue
                    with contextlib.suppress(ObjectNotFound):  # deleted since
                        run = await client.read_flow_run(run_id)
                        yield [report async for report in _reports(client, run, names)], True


async def run_deployment(
    name: str, repositories: Sequence[str], *, stop: asyncio.Event
) -> AsyncGenerator[list[tuple[str, RunReport]]]:
    """
    Start a deployment once for each repository, and yield (repository, report) of those that run, until all have ended.

    The repository is a tag of the run, and its parameter where the flow has one of `REPOSITORY_PARAMETERS`.
    When `stop` is set the runs are cancelled.

    Raises:
        NotFound: `prefect.no_deployment`.
        Unavailable: `prefect.unreachable`, `prefect.no_server`.
    """
    with _translated(server_url()):
        async with get_client() as client:
            try:
                deployment = await client.read_deployment_by_name(name)
            except (ObjectNotFound, ValueError) as error:
                raise NotFound(
                    f"Prefect has no deployment {name}.",
                    hint="Name it FLOW/DEPLOYMENT; `prefect deployment ls` lists them.",
                    code="prefect.no_deployment",
                ) from error
            open_runs: dict[UUID, str] = {}
            for each in repositories:
                given = {
                    "parameters": _parameters(deployment, each),
                    "tags": [REPOSITORY_TAG + each],
                }
                run = await client.create_flow_run_from_deployment(deployment.id, **given)
                open_runs[run.id] = each
            names: dict[UUID, str] = {}
            cancelling: dict[UUID, str] = {}
            while open_runs:
                if stop.is_set() and not cancelling:
                    cancelling = dict(open_runs)
                    for run_id in cancelling:
                        await client.set_flow_run_state(run_id, Cancelling())
                wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(open_runs)[:PAGE]))
                page = []
                for run in await client.read_flow_runs(flow_run_filter=wanted, limit=PAGE):
                    async for report in _reports(client, run, names):
                        page.append((open_runs[run.id], report))
                        if report["status"] not in UNENDED:
                            del open_runs[run.id]
                yield page
                await asyncio.sleep(POLL_S)


def _parameters(deployment: Any, repository: str) -> dict[str, Any]:
    known = (deployment.parameter_openapi_schema or {}).get("properties", {})
    name = next((each for each in REPOSITORY_PARAMETERS if each in known), None)
    if name is None:
        return {}
    return {name: [repository] if known[name].get("type") == "array" else repository}


def server_url() -> str:
    """Return the address of the server that Prefect's own settings name; one for the moment outlives a SIGKILL."""
    url = PREFECT_API_URL.value()
    if not url:
        raise Unavailable(
            "No Prefect server is named.",
            hint="Start one with `prefect server start`, and set PREFECT_API_URL=http://127.0.0.1:4200/api",
            code="prefect.no_server",
        )
    return str(url)


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
) -> AsyncIterator[RunReport]:
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
    except _FAILURES as error:
        raise Unavailable(
            f"Prefect's server at {url} does not answer as it should ({type(error).__name__}).",
            hint="Give the address that `prefect server start` prints, such as http://127.0.0.1:4200.",
            code="prefect.unreachable",
        ) from error
