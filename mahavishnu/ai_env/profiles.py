"""What a profile is: a provider, where it is asked by which protocol, with which models and which key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mahavishnu.ai_env.secrets.reference import Reference

type Protocol = Literal["anthropic", "openai-responses", "openai-chat"]
type ClientName = Literal["claude-code", "codex", "qwen"]
type Auth = Literal["key", "native"]
type KeyHeader = Literal["bearer", "x-api-key"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """
    A provider as clients are pointed at it.

    `endpoints` has the base URL by protocol; address, key, models and protocol change as one unit.
    With `auth` native the client's own sign-in counts, and `key` is not used. `clients` narrows which
    ones it may configure; None is every one that speaks a protocol of it. `origin` says where the
    profile stands: "built-in", "preset", or the path of a file.
    """

    name: str
    title: str = ""
    auth: Auth = "key"
    endpoints: Mapping[Protocol, str] = field(default_factory=dict)
    key: Reference | None = None
    key_header: KeyHeader = "bearer"
    model: str | None = None
    small_model: str | None = None
    timeout_ms: int | None = None
    clients: frozenset[ClientName] | None = None
    origin: str = "built-in"
