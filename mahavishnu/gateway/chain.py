"""Which profiles a request goes to, in which order. Pure but for the breakers it asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.routes import Route
from mahavishnu.ai.routes.translated import NO_MODEL, NOT_INSTALLED, is_installed, target_of
from mahavishnu.gateway.breaker import Breakers
from mahavishnu.gateway.wire import MESSAGES, PathMeaning

_TAILS: Mapping[Protocol, str] = {
    "openai-responses": "/responses",
    "openai-chat": "/chat/completions",
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A profile that a request can go to: address, protocol, key and models are those of one profile."""

    profile: Profile
    protocol: Protocol
    url: str
    translated: bool = False  # from the client's protocol

    @property
    def spoken(self) -> Protocol:
        """The protocol that the client hears."""
        return "anthropic" if self.translated else self.protocol


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """
    Where to try, in order; `refusal` and `why`, its code, say so where that is nowhere.

    `limited` are the profiles whose limit of the day is used up.
    """

    candidates: Sequence[Candidate] = ()
    refusal: str = ""
    why: str = ""
    limited: Sequence[str] = ()


def choose(
    route: Route,
    target: PathMeaning,
    model: str,
    *,
    profiles: Mapping[str, Profile],
    breakers: Breakers,
    within_limit: Callable[[str], bool],
) -> Chosen:
    """
    Return where a request may go.

    Where breakers and quotas leave nothing, the first is asked all the same: its own answer tells more than ours.
    A limit of the user's leaves nothing, and the first profile that cannot be used at all neither.
    """
    names = [each.profile for each in route.links_for(model)]
    found: list[Candidate] = []
    reasons: list[str] = []
    for name in names:
        profile = profiles.get(name)
        if profile is None:
            reasons.append(f"there is no profile {name} that can be used")
        elif profile.auth == "native":
            reasons.append(f"{name} is a client's own sign-in, which does not leave the client")
        elif (candidate := _candidate(profile, target)) is None:
            reasons.append(_why_not(profile, target))
        else:
            found.append(candidate)
    # A choice that cannot be kept is told; what is passed over in silence would go to another provider.
    if not found or found[0].profile.name != names[0]:
        told = "; ".join(reasons) or f"no link of it is for the model {model[:80]}"
        return Chosen(
            refusal=f"The route of {route.client} leads nowhere: {told}.",
            why="gateway.no_candidate",
        )
    allowed = [each for each in found if within_limit(each.profile.name)]
    limited = [each.profile.name for each in found if each not in allowed]
    if not allowed:
        told = f"The limit of the day is used up: {', '.join(limited)}."
        return Chosen(refusal=told, why="gateway.daily_limit", limited=limited)
    ready = [each for each in allowed if breakers.admits(each.profile.name)]
    return Chosen(candidates=ready or allowed[:1], limited=limited)


def _candidate(profile: Profile, target: PathMeaning) -> Candidate | None:
    protocol = next((each for each in target.protocols if each in profile.endpoints), None)
    if protocol is not None:
        base = profile.endpoints[protocol].rstrip("/")
        return Candidate(profile=profile, protocol=protocol, url=base + target.tail)
    into = target_of(profile) if target.tail == MESSAGES else None
    if into is None or not profile.model or not is_installed():
        return None
    url = profile.endpoints[into].rstrip("/") + _TAILS[into]
    return Candidate(profile=profile, protocol=into, url=url, translated=True)


def _why_not(profile: Profile, target: PathMeaning) -> str:
    spoken = " or ".join(target.protocols)
    told = f"{profile.name} has no address for {spoken}"
    if target.tail != MESSAGES or target_of(profile) is None:
        return told
    return f"{told}, and {NO_MODEL if is_installed() else NOT_INSTALLED}"
