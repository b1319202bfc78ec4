"""The one ASGI application: `/mcp`, `/api/v1`, `/health`, `/metrics`. Who may ask is the guard's."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from mcp.server.streamable_http_manager import (
    StreamableHTTPASGIApp,
    StreamableHTTPSessionManager,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.interfaces.http.answers import HttpError, answer, refuse
from mahavishnu.interfaces.http.http_api import PREFIX, build_routes
from mahavishnu.interfaces.http.metrics import CONTENT_TYPE, Metrics
from mahavishnu.interfaces.http.openapi import describe_api
from mahavishnu.interfaces.http.own_operations import API_OPERATIONS
from mahavishnu.interfaces.http.page import render_page
from mahavishnu.interfaces.mcp.edge import build_server

HEALTH_TTL_S = 1.0  # the open route asks the database no more often
HEALTH_TIMEOUT_S = 5.0
HEALTH_STEP_S = 0.1
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@contextlib.asynccontextmanager
async def open_asgi(app: App, metrics: Metrics, *, max_body: int) -> AsyncIterator[Starlette]:
    """Yield the application; requests are answered while the block lasts."""
    metrics.follow(app.timings)
    manager = StreamableHTTPSessionManager(
        build_server(app), stateless=True, max_request_body_size=max_body
    )
    async with manager.run():
        served = Starlette(
            routes=[
                Route("/mcp", StreamableHTTPASGIApp(manager), methods=["POST"]),
                *build_routes(app, API_OPERATIONS),
                Route(f"{PREFIX}/openapi.json", _openapi),
                Route(f"{PREFIX}/docs", _docs),
                Route("/health", HealthEndpoint(app).answer, methods=["GET"]),
                Route("/metrics", _expose(app, metrics), methods=["GET"]),
            ],
        )
        # Without Starlette's own answer to faults, which would come before the guard's.
        served.middleware_stack = ExceptionMiddleware(
            served.router, handlers={HTTPException: _refused}
        )
        served.router.redirect_slashes = False  # an address is right or wrong
        yield served


class HealthEndpoint:
    """Says whether the daemon can work, and nothing else; open to everyone on this machine."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._healthy = False
        self._seen_at = -HEALTH_TTL_S
        self._asking: asyncio.Task[None] | None = None
        self._patience: asyncio.Task[None] | None = None

    async def answer(self, _request: Request | None = None) -> Response:
        """Return an answer with 200 or 503."""
        healthy = await self._look()
        status = "ok" if healthy else "unavailable"
        return answer({"name": "mahavishnu", "status": status}, 200 if healthy else 503)

    async def _look(self) -> bool:
        """Return what was seen lately; one question at a time, and none is waited for without an end."""
        if self._asking is None and time.monotonic() - self._seen_at >= HEALTH_TTL_S:
            self._asking = asyncio.create_task(self._ask())
            self._patience = asyncio.create_task(_have_patience())
        asking, patience = self._asking, self._patience
        if asking is None or patience is None:
            return self._healthy
        # Not cancelled where it takes too long: a database that hangs holds up the cancelling too.
        await asyncio.wait({asking, patience}, return_when=asyncio.FIRST_COMPLETED)
        return asking.done() and self._healthy

    async def _ask(self) -> None:
        try:
            await self._app.health()
            self._healthy = True
        except MahavishnuError:
            self._healthy = False
        finally:
            self._seen_at, self._asking = time.monotonic(), None
            assert self._patience is not None
            self._patience.cancel()


async def _have_patience() -> None:
    """Wait as long as the database may take; time in which this process did nothing counts little."""
    for _ in range(round(HEALTH_TIMEOUT_S / HEALTH_STEP_S)):
        await asyncio.sleep(HEALTH_STEP_S)


def _expose(app: App, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        await refresh_metrics(app, metrics)
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return endpoint


async def refresh_metrics(app: App, metrics: Metrics) -> None:
    """Look at what is not counted as it happens; what cannot be learned now stays as it was."""
    with contextlib.suppress(MahavishnuError):
        metrics.spooled.set(await asyncio.to_thread(app.writes.spool.total))
    with contextlib.suppress(MahavishnuError, TimeoutError):
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            metrics.waiting.set(await app.memories.count_waiting())
            metrics.connections.set((await app.health()).connections)
            metrics.dead_letters.set(await app.outbox.count_dead())
            proven = await app.backups.newest_proven()
            age_s = (datetime.now(UTC) - proven.created_at).total_seconds() if proven else math.inf
            metrics.proven_backup_age.set(age_s)
    metrics.show_components(app.components.last)


async def _openapi(request: Request) -> Response:
    return Response(msgspec.json.encode(_describe(request)), media_type="application/json")


async def _docs(request: Request) -> Response:
    return HTMLResponse(
        render_page(_describe(request)), headers={"content-security-policy": _POLICY}
    )


def _describe(request: Request) -> dict[str, Any]:
    """Return the document with the address that was asked; the guard let only ours pass."""
    here = f"http://{request.headers['host']}".lower()
    return describe_api() | {"servers": [{"url": here}]}


async def _refused(request: Request, error: Exception) -> Response:
    """Answer what the router refuses in the one shape of errors."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refusal = HttpError(
            405, f"{request.method} is not for this address.", code="http.method",
            hint="See GET /api/v1/docs.",
        )  # fmt: skip
    else:
        refusal = HttpError(
            404, "There is nothing at this address.", code="http.not_found",
            hint="See GET /api/v1/docs.",
        )  # fmt: skip
    response = refuse(refusal)
    response.headers.update(error.headers or {})
    return response
