"""What the gateway turns into another protocol: requests of Anthropic's Messages, for who speaks OpenAI's alone."""

from importlib.util import find_spec

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.profiles.profile import Profile

NOT_INSTALLED = "translation needs the extra translate (pip install 'mahavishnu[translate]')"
NO_MODEL = "the profile names no model to ask for instead of Claude's"
_INTO: tuple[Protocol, ...] = ("openai-responses", "openai-chat")


def is_installed() -> bool:
    """Tell whether the library is there that translates."""
    return find_spec("litellm") is not None


def target_of(profile: Profile) -> Protocol | None:
    """Return the protocol that Anthropic's Messages become for a profile; None where they need not, or cannot."""
    if "anthropic" in profile.endpoints:
        return None
    return next((each for each in _INTO if each in profile.endpoints), None)


def routed_protocol(profile: Profile, client: Client) -> Protocol | None:
    """Return the protocol by which a client reaches a profile through the gateway; None where it cannot."""
    spoken = profile.protocol_for(client.name)
    if spoken is not None or why_not_translated(profile, client) is not None:
        return spoken
    return "anthropic"


def why_not_translated(profile: Profile, client: Client) -> str | None:
    """Return why requests of a client cannot be translated for a profile; None where they can."""
    excluded = profile.clients is not None and client.name not in profile.clients
    if excluded or "anthropic" not in client.protocols or target_of(profile) is None:
        return f"{client.title} {client.unspoken}"
    if not is_installed():
        return NOT_INSTALLED
    return None if profile.model else NO_MODEL
