"""
A switch through the gateway: what a client is given of it, and the change of its route.

The settings of a client are the same whichever profile its route leads to, so that a later switch is a change of
the route alone.
"""

from collections.abc import Sequence
from typing import Literal

from mahavishnu.ai.clients.delivery import LONG_TIMEOUT_MS, Delivery, Protocol
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Value
from mahavishnu.ai.foreign_files.merge import Set
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.intent import intent_in, read_intent
from mahavishnu.ai.routes.routes import Link, Route, members_of, read_routes
from mahavishnu.ai.routes.tokens import ensure_token, token_reference
from mahavishnu.ai.routes.translated import routed_protocol, why_not_translated
from mahavishnu.ai.secrets.in_gateway import PREFIX, SCHEME_NAME
from mahavishnu.ai.switching.journal import History
from mahavishnu.ai.switching.plan import FilePlan, SettingsPlace, plan_changes
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import Secret

VIA_GATEWAY: Literal["gateway"] = "gateway"
# What a client that must name a model asks for; the gateway puts that of the profile in its place.
ANY_MODEL = "mahavishnu"
_PATHS: dict[Protocol, str] = {
    "anthropic": "/anthropic",
    "openai-responses": "/openai",
    "openai-chat": "/openai",
}


def why_not_routed(profile: Profile, client: Client) -> str | None:
    """Return why the gateway cannot take a client to a profile; None where it can."""
    if profile.auth == "native":
        return (
            f"{client.title}'s own sign-in is used by {client.title} alone, and not by the gateway"
        )
    if profile.protocol_for(client.name) is None:
        return why_not_translated(profile, client)
    return None


def require_in_gateway(site: Site, profile: Profile) -> None:
    """Refuse a profile of a project: the gateway serves all folders, and reads the user's own settings alone."""
    if not site.in_gateway(profile):
        raise UsageError(
            f"The profile {profile.name} is a project's, and the gateway reads your own settings alone.",
            hint="Leave the gateway: --direct; or make it your own: mahavishnu ai profile add",
            code="ai.gateway_option",
        )


def gateway_delivery(site: Site, profile: Profile, client: Client, *, dry: bool) -> Delivery:
    """
    Return what a client is given to reach its route: the gateway's address, and a way to its token.

    A client that asks no command has the token in its settings; with `dry` none is made.
    """
    name = client.name
    protocol = routed_protocol(profile, client)
    assert protocol is not None
    routed = Profile(
        name=VIA_GATEWAY,
        endpoints={protocol: f"{site.gateway}{_PATHS[protocol]}"},
        key=token_reference(site.tokens, name),
        model=ANY_MODEL if client.needs_model else None,
        timeout_ms=LONG_TIMEOUT_MS,
    )
    token = Secret(PREFIX) if dry else ensure_token(site.tokens, name)
    return deliver(
        routed, client, helper=site.helper, key=token if client.asks == "environment" else None
    )


def plan_route(
    site: Site, profile: Profile, name: ClientName, history: History, delivery: Delivery
) -> FilePlan:
    """Return the change of a client's route that leads it to a profile, and after it to the fallbacks."""
    place = SettingsPlace(
        client=CLIENTS[name],
        path=site.routes,
        make_folder=True,
        memory=history.remember(site.routes),
        running=False,
        new=not site.routes.exists(),
    )
    document = site.open(place.client, place.path).read()
    chain: list[Value] = [members_of(each) for each in links_of(site, profile, name)]
    pinned = read_intent(intent_in(site.state)) != "on"
    changes = [
        Set((name, "chain"), chain),
        Set((name, "pinned"), pinned),
        Set((name, "url"), delivery.url),
    ]
    return plan_changes(place, document, delivery, changes)


def find_route(site: Site, name: ClientName, url: str, key: str) -> Route | None:
    """Return the route of a client whose settings say this address and key; None where it does not take one."""
    if not key.startswith((f"{SCHEME_NAME}:", "written")):
        return None
    route = read_routes(site.routes).get(name)
    return route if route is not None and route.url and route.url == url else None


def chain_of(profile: Profile, fallback: Sequence[Profile]) -> tuple[Profile, ...]:
    """Return the profiles in the order in which they are used: the chosen one, then the others of `fallback`."""
    return (profile, *(each for each in fallback if each.name != profile.name))


def links_of(site: Site, profile: Profile, name: ClientName) -> list[Link]:
    """Return the chain of a client's route: the profile, and the fallbacks that speak its protocol."""
    client = CLIENTS[name]
    able = [
        each
        for each in chain_of(profile, site.fallback())
        if each.name == profile.name
        or (
            why_not_routed(each, client) is None
            and routed_protocol(each, client) == routed_protocol(profile, client)
            and (each.model or not client.needs_model)
        )
    ]
    return [Link(each.name) for each in able]
