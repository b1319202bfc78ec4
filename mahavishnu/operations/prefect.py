"""What the command line asks of Prefect: record what a server ran, and start a deployment."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType

import msgspec

from mahavishnu.app import App
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.extras import require_prefect
from mahavishnu.memory.models import utc_now
from mahavishnu.memory.records import FINAL, KnownExecution, NewExecution
from mahavishnu.operations.bodies import Body

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0  # between attempts at a server that went away
OVERLAP = timedelta(minutes=10)  # of what is read again then, for clocks that differ


class RecordedRuns(Body, frozen=True, kw_only=True):
    """How many flow runs a server reported; those that were known as they are needed no record."""

    recorded: int
    known: int


type OnRecorded = Callable[[NewExecution], None]


async def record_server(
    app: App,
    url: str,
    *,
    since: datetime,
    follow: bool = False,
    project: str | None = None,
    repositories: tuple[str, ...] = (),
    on_recorded: OnRecorded = lambda _: None,
    on_lost: Callable[[Unavailable], None] = lambda _: None,
) -> RecordedRuns:
    """
    Record the flow runs of a Prefect server; with `follow` until cancelled.

    A run that a hook has recorded keeps its project, repositories and result. A server or database that
    goes away while it is followed is asked again, and what happened meanwhile is read then.

    Raises:
        Unavailable: the server cannot be reached, at the start.
    """
    require_prefect(enabled=app.settings.adapters.prefect)
    recorded, known, pause_s, answered = 0, 0, FIRST_PAUSE_S, False
    while True:
        try:
            async with aclosing(_read(url, since, follow)) as pages:
                async for page, past_is_read in pages:
                    answered, began = True, utc_now()
                    unknown = await _unknown(app, page, project, repositories)
                    for new in unknown:
                        await app.records.record_execution(new)
                        on_recorded(new)
                    recorded += len(unknown)
                    known += len(page) - len(unknown)
                    pause_s = FIRST_PAUSE_S
                    if past_is_read:
                        since = max(since, began - OVERLAP)
            if not follow:
                return RecordedRuns(recorded=recorded, known=known)
        except Unavailable as error:
            if not (follow and answered):
                raise
            on_lost(error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_PAUSE_S)


async def run_deployment(
    app: App,
    name: str,
    repositories: Sequence[str],
    *,
    project: str | None,
    stop: asyncio.Event,
    on_unavailable: Callable[[Unavailable], None],
) -> dict[str, NewExecution]:
    """
    Start a deployment once for each repository, wait until all have ended and record them.

    Returns how they ended, by repository; when `stop` is set they are cancelled.
    """
    require_prefect(enabled=app.settings.adapters.prefect)
    ended: dict[str, NewExecution] = {}
    async with aclosing(_server().run_deployment(name, repositories, stop=stop)) as pages:
        async for page in pages:
            new = {each: msgspec.convert(report, NewExecution) for each, report in page}
            ended |= new
            try:
                for execution in await _unknown(app, list(new.values()), project, ()):
                    await app.records.record_execution(execution)
            except Unavailable as error:
                on_unavailable(error)
    return ended


def _server() -> ModuleType:
    from mahavishnu.engines.prefect import server  # noqa: PLC0415 - an extra, and 2 s

    return server


async def _read(
    url: str, since: datetime, follow: bool
) -> AsyncGenerator[tuple[list[NewExecution], bool]]:
    async with aclosing(_server().read_runs(url, since=since, follow=follow)) as pages:
        async for page, past_is_read in pages:
            yield [msgspec.convert(report, NewExecution) for report in page], past_is_read


async def _unknown(
    app: App, page: list[NewExecution], project: str | None, repositories: tuple[str, ...]
) -> list[NewExecution]:
    """Return what is yet to be recorded, with what is known of it already."""
    known = await app.records.find_known("prefect", [new.execution_id for new in page])
    found = []
    for new in page:
        new = replace(
            new, project=project, repositories=tuple(sorted({*repositories, *new.repositories}))
        )
        before = known.get(new.execution_id)
        if before is not None:
            if _is_known(new, before):
                continue
            new = replace(
                new,
                project=before.project,
                repositories=tuple(sorted({*before.repositories, *new.repositories})),
                result=before.result if before.status == new.status else None,
            )
        found.append(new)
    return found


def _is_known(new: NewExecution, before: KnownExecution) -> bool:
    """Tell whether a report says nothing new; a run that ended goes on only as another attempt."""
    if new.status not in FINAL:
        return before.status in FINAL or before.status == new.status
    return (before.status, before.finished_at) == (new.status, new.finished_at)
