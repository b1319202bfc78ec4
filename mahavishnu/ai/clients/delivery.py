"""What a client is given of a profile: address, models, and a way to the key that fits the client."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mahavishnu.base.masking import Secret

type Protocol = Literal["anthropic", "openai-responses", "openai-chat"]
type KeyHeader = Literal["bearer", "x-api-key"]
# How a client gets at a key: it asks a command, or reads a variable.
type Asks = Literal["helper", "environment"]
# native: the client's own sign-in; written: the raw key is in its settings; keyless: the endpoint wants none.
type KeyMode = Literal["native", "helper", "environment", "written", "keyless"]

# Stands where a key would: without one, Claude Code sends the user's own sign-in to the endpoint.
NO_KEY = "none"
LONG_TIMEOUT_MS = 3_000_000  # of the profiles that are shipped


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """
    A profile for one client; the key itself is in it only where a raw one was asked for.

    `words` are the helper's command, `variable` where Qwen looks for the key, `key` a raw one, and `reference`
    where that is.
    """

    profile: str
    mode: KeyMode
    url: str = ""
    protocol: Protocol
    model: str = ""
    small_model: str = ""
    timeout_ms: int | None = None
    key_header: KeyHeader = "bearer"
    words: Sequence[str] = ()
    variable: str = ""
    key: Secret = field(default=Secret(""), repr=False)
    reference: str = ""
