"""The operations on the gateway: how it is, where requests go, what it was used for. They read its files alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from mahavishnu.ai.routes.routes import read_routes, routes_in
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.gateway.breaker import BreakerState, ProviderHealth, read_breakers
from mahavishnu.gateway.causes import Cause
from mahavishnu.gateway.limits import DailyLimit, DayUse
from mahavishnu.gateway.places import HOST, breakers_in, folder_in
from mahavishnu.gateway.records import UseRecord, UseSum, read_records, sum_use, use_of_day
from mahavishnu.operations.ai.gateway_health import gateway_answers
from mahavishnu.operations.ai.gateway_settings import daily_limits, own_settings
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.moments import read_moment
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import Moment, Name


class GatewayStatus(Request, frozen=True, kw_only=True):
    """Nothing is asked but the state."""


class GatewayRoutes(Request, frozen=True, kw_only=True):
    """All of them."""


class GatewayLog(Request, frozen=True, kw_only=True):
    """Which of the last requests."""

    client: Annotated[Name | None, Meta(description="Only of this client.")] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Most requests of one answer.")] = 20


class GatewayUsage(Request, frozen=True, kw_only=True):
    """Since when."""

    since: Annotated[
        Moment, Meta(description='Not before: "7d", "12h" ago, or an ISO date or time.')
    ] = "7d"

    def check(self) -> None:
        """Refuse an unreadable time."""
        read_moment(self.since, what="since")


class GatewayProfile(Body, frozen=True, kw_only=True):
    """How a profile does, of those that routes name or that failed."""

    profile: str
    state: Annotated[
        BreakerState,
        Meta(
            description="closed: requests go there; open: after failures they do not; half-open: one at a time "
            "tries it; cooled: its quota is used up."
        ),
    ]
    until: Annotated[datetime | None, Meta(description="When that ends by itself.")] = None
    cause: Annotated[Cause | None, Meta(description="Of its last failure, if it lasts.")] = None
    failures: Annotated[int, Meta(description="Failures in a row.")] = 0
    tokens_today: int = 0
    daily_tokens: Annotated[int | None, Meta(description="Most tokens in a day.")] = None
    cost_today: Annotated[
        float, Meta(description="US dollars at list price, where that is known.")
    ] = 0.0
    daily_cost: Annotated[float | None, Meta(description="Most US dollars in a day.")] = None


class GatewayState(Body, frozen=True, kw_only=True):
    """The gateway, and the profiles that it asks."""

    running: bool
    url: str
    profiles: list[GatewayProfile]


class GatewayLink(Body, frozen=True, kw_only=True):
    """A profile of a route, and when it counts."""

    profile: str
    models: Annotated[str, Meta(description="A glob for the model that the client asks for.")]
    directory: Annotated[str, Meta(description="Only for sessions there.")] = ""
    state: BreakerState


class GatewayRoute(Body, frozen=True, kw_only=True):
    """Where the requests of a client go: to the first, and where that fails to the next."""

    client: str
    pinned: Annotated[bool, Meta(description="No other than the first is asked.")] = False
    chain: list[GatewayLink]


class GatewayRouteList(Body, frozen=True, kw_only=True):
    """The routes by client."""

    routes: list[GatewayRoute]


class GatewayRequests(Body, frozen=True, kw_only=True):
    """The last requests, oldest first; no texts and no keys are kept."""

    requests: list[UseRecord]


class GatewayUse(Body, frozen=True, kw_only=True):
    """What profiles were used for, by day."""

    days: list[UseSum]


def find_status(loaded: Loaded, _request: GatewayStatus) -> GatewayState:
    """Return how the gateway is, and its profiles."""
    state, now = loaded.locations.state, datetime.now(UTC)
    said = own_settings(loaded).settings.gateway
    limits, known = daily_limits(said), read_breakers(breakers_in(state))
    used = use_of_day(folder_in(state), now.astimezone().date())
    routed = [name for route in read_routes(routes_in(state)).values() for name in route.names]
    names = dict.fromkeys([*routed, *limits, *known])
    url = f"http://{HOST}:{said.port}"
    return GatewayState(
        running=gateway_answers(url),
        url=url,
        profiles=[
            _profile(
                name,
                known.get(name, ProviderHealth()),
                now,
                used.get(name, DayUse()),
                limits.get(name, DailyLimit()),
            )
            for name in names
        ],
    )


def find_routes(loaded: Loaded, _request: GatewayRoutes) -> GatewayRouteList:
    """Return the routes; raises `ai.routes_damaged`."""
    state, now = loaded.locations.state, datetime.now(UTC)
    known = read_breakers(breakers_in(state))
    return GatewayRouteList(
        routes=[
            GatewayRoute(
                client=route.client,
                pinned=route.pinned,
                chain=[
                    GatewayLink(
                        profile=link.profile,
                        models=link.models,
                        directory=link.directory,
                        state=known.get(link.profile, ProviderHealth()).state(now),
                    )
                    for link in route.chain
                ],
            )
            for route in read_routes(routes_in(state)).values()
        ]
    )


def find_log(loaded: Loaded, request: GatewayLog) -> GatewayRequests:
    """Return the last requests."""
    folder = folder_in(loaded.locations.state)
    return GatewayRequests(
        requests=read_records(folder, client=request.client, limit=request.limit)
    )


def find_usage(loaded: Loaded, request: GatewayUsage) -> GatewayUse:
    """Return what was used."""
    since = read_moment(request.since, what="since")
    return GatewayUse(days=sum_use(folder_in(loaded.locations.state), since=since))


def _profile(
    name: str, health: ProviderHealth, now: datetime, used: DayUse, limit: DailyLimit
) -> GatewayProfile:
    state = health.state(now)
    until = {"cooled": health.cooled_until, "open": health.open_until}.get(state)
    return GatewayProfile(
        profile=name,
        state=state,
        until=until,
        cause=health.cause,
        failures=health.failures,
        tokens_today=used.tokens,
        daily_tokens=limit.tokens,
        cost_today=round(used.cost, 6),
        daily_cost=limit.cost,
    )


def _in_thread[Q, R](work: Callable[[Loaded, Q], R]) -> Callable[[Call, Q], Awaitable[R]]:
    async def run(call: Call, request: Q) -> R:
        return await asyncio.to_thread(work, call.app.loaded, request)

    return run


GATEWAY_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="gateway_status",
        title="State of the LLM gateway",
        description="Whether the gateway runs that passes requests of AI clients on to providers, "
        "which profiles it passes over and until when, and tokens and cost of today against limits.",
        request=GatewayStatus,
        result=GatewayState,
        run=_in_thread(find_status),
        method="GET",
        path="/gateway",
        read_only=True,
    ),
    Operation(
        name="gateway_routes",
        title="Routes of the LLM gateway",
        description="For each AI client that goes through the gateway, the profiles that its "
        "requests go to, in order; where one fails the next is asked.",
        request=GatewayRoutes,
        result=GatewayRouteList,
        run=_in_thread(find_routes),
        method="GET",
        path="/gateway/routes",
        read_only=True,
    ),
    Operation(
        name="gateway_log",
        title="Last requests through the LLM gateway",
        description="The last requests of AI clients: profile, model, latency, tokens, cost, and why one "
        "failed; never what was said.",
        request=GatewayLog,
        result=GatewayRequests,
        run=_in_thread(find_log),
        method="GET",
        path="/gateway/log",
        read_only=True,
    ),
    Operation(
        name="gateway_usage",
        title="Use of providers through the LLM gateway",
        description="Requests, failures, tokens and cost of each profile by day.",
        request=GatewayUsage,
        result=GatewayUse,
        run=_in_thread(find_usage),
        method="GET",
        path="/gateway/usage",
        read_only=True,
    ),
)
