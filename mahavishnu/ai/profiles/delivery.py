"""
What a client is given of a profile: address, models, and a way to the key that fits the client. Pure.

The key itself is in it only where a raw one was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mahavishnu.ai.profiles.profile import SIGN_IN, ClientName, KeyHeader, Profile, Protocol
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.helper import helper_words
from mahavishnu.base.masking import Secret

# native: the client's own sign-in; helper: it asks a command; environment: it reads a variable;
# written: the raw key is in its settings; keyless: the endpoint wants none.
type Mode = Literal["native", "helper", "environment", "written", "keyless"]

# Stands where a key would: without one, Claude Code sends the user's own sign-in to the endpoint.
NO_KEY = "none"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a client gets at a key: it asks a command, or reads a variable."""

    client: ClientName
    asks: Literal["helper", "environment"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """
    A profile for one client.

    `words` are the helper's command, `variable` where Qwen looks for the key, `key` a raw one.
    """

    profile: str
    mode: Mode
    url: str = ""
    protocol: Protocol
    model: str = ""
    small_model: str = ""
    timeout_ms: int | None = None
    key_header: KeyHeader = "bearer"
    words: Sequence[str] = ()
    variable: str = ""
    key: Secret = field(default=Secret(""), repr=False)


def find_protocol(profile: Profile, client: ClientName) -> Protocol | None:
    """Return by which protocol the client can use the profile; None where by none."""
    protocol = profile.protocol_for(client)
    if profile.auth == "native" and (client not in SIGN_IN or SIGN_IN[client][0] != protocol):
        return None
    return protocol


def deliver(profile: Profile, way: Way, *, helper: Path, key: Secret | None = None) -> Delivery:
    """
    Return what the client, which can use the profile, is given; with `key`, that instead of a way to it.

    Raises as `origin_of`, for an address that no key may go to.
    """
    protocol = profile.protocol_for(way.client)
    assert protocol is not None
    url = profile.endpoints[protocol]
    if profile.auth != "native":
        origin_of(url)
    mode = choose_mode(profile, way, raw=key is not None)
    words: tuple[str, ...] = ()
    if mode == "helper" and profile.key is not None:
        words = helper_words(profile.key, bound=url, client=way.client, program=helper)
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
        key=Secret(NO_KEY) if mode == "keyless" else key or Secret(""),
    )


def choose_mode(profile: Profile, way: Way, *, raw: bool) -> Mode:
    """Return how the client gets at the profile's key."""
    if profile.auth == "native":
        return "native"
    if profile.key is None:
        return "keyless"
    return "written" if raw else way.asks


def variable_of(profile: Profile) -> str:
    """Return the variable in which a client without a helper looks for the key."""
    if profile.key is not None and profile.key.scheme == "env":
        return profile.key.place
    return f"MAHAVISHNU_KEY_{profile.name.upper().replace('-', '_')}"
