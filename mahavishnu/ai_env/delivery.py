"""
What a client is given of a profile: address, models, and a way to the key that fits the client. Pure.

The key itself is in it only where a raw one was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mahavishnu.ai_env.profiles import ClientName, KeyHeader, Profile, Protocol
from mahavishnu.ai_env.secrets.helper import helper_words
from mahavishnu.masking import Secret

# native: the client's own sign-in; helper: it asks a command; environment: it reads a variable;
# written: the raw key is in its settings; keyless: the endpoint wants none.
type Mode = Literal["native", "helper", "environment", "written", "keyless"]

# Stands where a key would: without one, Claude Code sends the user's own sign-in to the endpoint.
NO_KEY = "none"


@dataclass(frozen=True, kw_only=True)
class Speaks:
    """
    What a client can be given: protocols, the preferred one first, that of its own sign-in, and
    the mode in which it gets at a key.
    """

    client: ClientName
    protocols: tuple[Protocol, ...]
    signs_in: Protocol | None
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


def find_protocol(profile: Profile, speaks: Speaks) -> Protocol | None:
    """Return by which protocol the client can use the profile; None where by none."""
    if profile.clients is not None and speaks.client not in profile.clients:
        return None
    if profile.auth == "native":
        return speaks.signs_in if speaks.signs_in in profile.endpoints else None
    return next((each for each in speaks.protocols if each in profile.endpoints), None)


def deliver(
    profile: Profile,
    speaks: Speaks,
    protocol: Protocol,
    *,
    helper: Path,
    key: Secret | None = None,
) -> Delivery:
    """
    Return what the client is given; with `key`, that instead of a way to it.

    Raises:
        UsageError: as `origin_of`, for an address that no key may go to.
    """
    url = profile.endpoints[protocol]
    mode = choose_mode(profile, speaks, raw=key is not None)
    words: tuple[str, ...] = ()
    if mode == "helper" and profile.key is not None:
        words = helper_words(profile.key, bound=url, client=speaks.client, program=helper)
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


def choose_mode(profile: Profile, speaks: Speaks, *, raw: bool) -> Mode:
    """Return how the client gets at the profile's key."""
    if profile.auth == "native":
        return "native"
    if profile.key is None:
        return "keyless"
    return "written" if raw else speaks.asks


def variable_of(profile: Profile) -> str:
    """Return the variable in which a client without a helper looks for the key."""
    if profile.key is not None and profile.key.scheme == "env":
        return profile.key.place
    return f"MAHAVISHNU_KEY_{profile.name.upper().replace('-', '_')}"
