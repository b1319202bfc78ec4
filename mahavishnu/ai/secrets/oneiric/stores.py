"""Which cloud stores the settings name, as plain values without keys, and whether Oneiric is installed."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar

from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import Unavailable, UsageError

TIMEOUT_S = 10.0
# Asked for by health checks; it need not be there.
PROBE = "mahavishnu-health-check"
# What the extra is, by line of Python.
PINS = (
    ("oneiric==0.17.0", "aioboto3>=15.5,<16")
    if sys.version_info < (3, 14)
    else ("oneiric==0.33.3", "aioboto3>=15.5,<16")
)


@dataclass(frozen=True, kw_only=True)
class AwsStore:
    """AWS Secrets Manager in one region; the credentials are those that AWS's own chain finds."""

    provider: ClassVar[str] = "aws"
    name: str
    priority: int = 0
    probe: str = PROBE
    region: str
    profile_name: str | None = None
    endpoint_url: str | None = None
    version_stage: str | None = None


@dataclass(frozen=True, kw_only=True)
class GcpStore:
    """GCP Secret Manager of one project; without a file the credentials are Google's default ones."""

    provider: ClassVar[str] = "gcp"
    name: str
    priority: int = 0
    probe: str = PROBE
    project_id: str
    credentials_file: str | None = None
    default_version: str = "latest"


type CloudStore = AwsStore | GcpStore


@dataclass(frozen=True)
class Stores:
    """
    All cloud stores, in the order of the settings.

    `selections` names, by provider, the one that is asked first whatever the priorities say;
    `timeout_s` is for one key, from all stores that may be asked for it.
    """

    all: tuple[CloudStore, ...] = ()
    selections: tuple[tuple[str, str], ...] = ()
    timeout_s: float = field(default=TIMEOUT_S)

    def of(self, provider: str) -> tuple[CloudStore, ...]:
        """Return the stores of a provider."""
        return tuple(each for each in self.all if each.provider == provider)

    def require(self, provider: str) -> tuple[CloudStore, ...]:
        """
        Return the stores of a provider, one at least.

        Raises:
            UsageError: `secret.no_store`.
        """
        found = self.of(provider)
        if not found:
            raise UsageError(
                f"The settings have no store of {provider}.",
                hint=f"Add one: {EXAMPLES[provider]}",
                code="secret.no_store",
            )
        return found


TITLES = {"aws": "AWS Secrets Manager", "gcp": "GCP Secret Manager"}
EXAMPLES = {
    "aws": "secrets.oneiric.aws.main.region: eu-west-1",
    "gcp": "secrets.oneiric.gcp.main.project_id: my-project",
}

# The settings are read when a key is wanted, and only then.
type FindStores = Callable[[], Stores]


def no_stores() -> Stores:
    """Return that there are none."""
    return Stores()


def provider_of(reference: Reference) -> str:
    """Return the provider that an `oneiric:` reference names."""
    return reference.place.partition("/")[0]


def identifier_of(reference: Reference) -> str:
    """Return the id of the secret there."""
    return reference.place.partition("/")[2]


def is_installed() -> bool:
    """Tell whether the extra is installed."""
    return all(find_spec(name) is not None for name in ("oneiric", "aioboto3"))


def require_installed() -> None:
    """
    Refuse where it is not.

    Raises:
        Unavailable: `secret.no_oneiric`, with the command that installs it.
    """
    if not is_installed():
        raise Unavailable(
            "Keys in cloud stores need Oneiric, which is not installed.",
            hint=f"Install it: {sys.executable} -m pip install {' '.join(map(repr, PINS))}",
            code="secret.no_oneiric",
        )
