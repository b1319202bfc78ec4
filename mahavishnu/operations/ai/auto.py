"""What the user wants of failover, and how that stands: the bodies behind `mahavishnu ai auto`."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from mahavishnu.ai.bindings.profiles import load_bindings
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.change import change_routes
from mahavishnu.ai.routes.intent import Intent, intent_in, read_intent, write_intent
from mahavishnu.ai.routes.routes import Link, read_routes
from mahavishnu.ai.switching.routing import links_of
from mahavishnu.ai.switching.status import look
from mahavishnu.base.daemon.record import translated_files
from mahavishnu.gateway.breaker import ProviderHealth, read_breakers
from mahavishnu.operations.ai.failover import failover_breakers, failover_folder, read_watched
from mahavishnu.operations.ai.gateway_settings import own_settings
from mahavishnu.operations.ai.profiles import known_profiles
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.operation import Request

type WantedIntent = Annotated[
    Intent,
    Meta(
        description="on: fall back where a profile fails, and return; pinned: report failures, and stay; off: neither."
    ),
]


class AutoStatus(Request, frozen=True, kw_only=True):
    """Nothing is asked but how failover stands."""


class SetAuto(Request, frozen=True, kw_only=True):
    """What is wanted of failover, until something else is."""

    intent: WantedIntent


class AutoClient(Whole, frozen=True, kw_only=True):
    """One client."""

    client: ClientName
    profile: Annotated[str | None, Meta(description="What it uses now.")]
    chosen: Annotated[
        str | None, Meta(description="What its user chose, to which it returns; else the same.")
    ]
    since: Annotated[datetime | None, Meta(description="When it was switched by itself.")]
    gateway: Annotated[
        bool, Meta(description="Whether the gateway takes it there, and fails over.")
    ]


class AutoProfile(Whole, frozen=True, kw_only=True):
    """One profile of the chain."""

    profile: str
    known: Annotated[bool, Meta(description="Whether there is a profile of that name.")]
    state: Annotated[
        str,
        Meta(
            description="closed (it works), open (it fails), half-open, or cooled (no quota), without the gateway: of "
            "that see gateway status."
        ),
    ]
    cause: Annotated[str | None, Meta(description="Why it failed last.")]
    until: Annotated[datetime | None, Meta(description="When it is tried again.")]


class AutoState(Whole, frozen=True, kw_only=True):
    """How failover stands."""

    intent: WantedIntent
    fallback: list[AutoProfile]
    clients: list[AutoClient]


def set_auto(environments: Environments, request: SetAuto) -> AutoState:
    """Keep what the user wants, for the daemon and for every route of the gateway."""
    site = environments.site
    if request.intent == "on":
        read_routes(site.routes)  # damaged ones keep nobody from "off"
    with translated_files(site.state):
        write_intent(intent_in(site.state), request.intent)
    environments.accept_fallback()
    routes, profiles = read_routes(site.routes), known_profiles(own_settings(environments.loaded))
    bound = {row.profile for row in load_bindings(site).rows}
    chains = {
        name: links_of(site, profiles[each.profile], name)
        for name, each in routes.items()
        if each.profile in profiles
        and all(link == Link(link.profile) for link in each.chain)
        and each.only_profile not in bound  # sessions in a bound directory may rely on it
    }
    change_routes(site.routes, site.locks, chains=chains, pinned=request.intent != "on")
    return auto_status(environments, AutoStatus())


def auto_status(environments: Environments, _request: AutoStatus) -> AutoState:
    """Return what is wanted, and how profiles and clients stand."""
    site, profiles = environments.site, environments.profiles
    folder = failover_folder(site.state)
    health, watched = read_breakers(failover_breakers(folder)), read_watched(folder)
    clients = []
    for each in look(site, profiles, site.journal.read()):
        if each.scope != "user" or not each.installed:
            continue
        known = watched.get(each.client)
        stands = known is not None and known.now == each.profile and not each.route
        moved = known if stands else None
        clients.append(
            AutoClient(
                client=each.client,
                profile=each.profile,
                chosen=each.profile if moved is None else moved.chosen,
                since=None if moved is None else moved.at,
                gateway=bool(each.route),
            )
        )
    names = dict.fromkeys(environments.loaded.settings.ai_environments.fallback)
    return AutoState(
        intent=read_intent(intent_in(site.state)),
        fallback=[
            _profile(name, profiles.get(name), health.get(name, ProviderHealth())) for name in names
        ],
        clients=clients,
    )


def _profile(name: str, profile: Profile | None, health: ProviderHealth) -> AutoProfile:
    state = health.state(datetime.now(UTC))
    until = {"open": health.open_until, "cooled": health.cooled_until}.get(state)
    return AutoProfile(
        profile=name, known=profile is not None, state=state, cause=health.cause, until=until
    )
