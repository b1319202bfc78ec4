"""What a client is given of a profile. Pure."""

from pathlib import Path

from mahavishnu.ai.clients.delivery import NO_KEY, Delivery, KeyMode
from mahavishnu.ai.clients.key_command import helper_words
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.base.masking import Secret


def deliver(
    profile: Profile, client: Client, *, helper: Path, key: Secret | None = None
) -> Delivery:
    """
    Return what the client, which can use the profile, is given; with `key`, that instead of a way to it.

    Raises as `origin_of`, for an address that no key may go to.
    """
    protocol = profile.protocol_for(client.name)
    assert protocol is not None
    url = profile.endpoints[protocol]
    if profile.auth != "native":
        origin_of(url)
    mode = choose_mode(profile, client, raw=key is not None)
    words: tuple[str, ...] = ()
    if mode == "helper" and profile.key is not None:
        words = helper_words(profile.key, bound=url, client=client.name, program=helper)
    return Delivery(
        profile=profile.name,
        mode=mode,
        url=url,
        protocol=protocol,
        model=profile.model or "",
        small_model=profile.small_model or "",
        timeout_ms=profile.timeout_ms,
        key_header=profile.key_header,
        words=words,
        variable=variable_of(profile),
        reference=str(profile.key or ""),
        key=Secret(NO_KEY) if mode == "keyless" else key or Secret(""),
    )


def choose_mode(profile: Profile, client: Client, *, raw: bool) -> KeyMode:
    """Return how the client gets at the profile's key."""
    if profile.auth == "native":
        return "native"
    if profile.key is None:
        return "keyless"
    return "written" if raw else client.asks


def variable_of(profile: Profile) -> str:
    """Return the variable in which a client without a helper looks for the key."""
    if profile.key is not None and profile.key.variable:
        return profile.key.variable
    return f"MAHAVISHNU_KEY_{profile.name.upper().replace('-', '_')}"
