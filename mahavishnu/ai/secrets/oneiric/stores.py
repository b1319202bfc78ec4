"""Which cloud stores there are, as the settings say it: plain values, and no key among them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import UsageError

TIMEOUT_S = 10.0
# Asked for by health checks; it need not be there.
PROBE = "mahavishnu-health-check"


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
