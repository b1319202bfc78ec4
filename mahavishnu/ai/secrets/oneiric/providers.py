"""
Oneiric's adapters of cloud stores, each behind an interface that is bounded in time and raises errors of ours.

The one module that imports Oneiric's adapters: 3 s and a thousand modules.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from mahavishnu.ai.secrets.oneiric.answers import FoundSecret, health_of
from mahavishnu.ai.secrets.oneiric.failures import failure_of, is_missing
from mahavishnu.ai.secrets.oneiric.stores import AwsStore, CloudStore, GcpStore
from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.hosts import is_this_machine
from mahavishnu.base.logs import configure_structlog
from mahavishnu.base.masking import Secret

configure_structlog()  # before Oneiric, which would print on stdout
# Where all is logged, these log whole answers, keys and all.
for _name in ("botocore", "aiobotocore", "google", "httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

from oneiric.adapters.secrets import aws, gcp  # noqa: E402

CLEANUP_TIMEOUT_S = 3.0
_CONNECT_TIMEOUT_S = 5
_TRIES = 2


class Adapter(Protocol):
    """What is used of an adapter of Oneiric."""

    async def init(self) -> None:
        """Open the client."""

    async def get_secret(self, name: str, /) -> str | None:
        """Return the text at an id."""

    async def cleanup(self) -> None:
        """Close the client."""


class Dates:
    """When the version of the secret that was read last came to be, for adapters that do not pass it on."""

    def __init__(self) -> None:
        self.last: datetime | None = None


class OpenStore:
    """
    One cloud store, open from `init` to `cleanup`; for one event loop.

    Whatever goes wrong is an error of ours that holds nothing of a library's: Oneiric logs and keeps
    what its factories and health checks raise.
    """

    def __init__(
        self,
        store: CloudStore,
        make: Callable[[CloudStore, Dates], Awaitable[Adapter]],
        timeout_s: float,
    ) -> None:
        self.store = store
        self.failure: MahavishnuError | None = None
        self.has_answered = False
        self._make = make
        self._timeout_s = timeout_s
        self._adapter: Adapter | None = None
        self._dates = Dates()

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.store.provider}/{self.store.name}"

    async def init(self) -> None:
        """Open the adapter. Whatever comes of it, `cleanup` is to be called: it may be half open."""

        async def open_it() -> None:
            self._adapter = await self._make(self.store, self._dates)
            await self._adapter.init()

        _, error = await self._bounded(open_it)
        self.failure = error
        if error is not None:
            raise error

    async def read(self, identifier: str) -> FoundSecret:
        """Return what stands at an id; raises as `failure_of` says."""
        text, error = await self._bounded(lambda: self._get(identifier))
        self.failure = error
        if error is not None:
            raise error
        self.has_answered = True
        created_at = None if text is None else self._dates.last
        return FoundSecret(self.name, None if text is None else Secret(text), created_at)

    async def check(self) -> ComponentHealth:
        """Return how it is doing, by asking for a secret that need not be there; raises nothing."""
        began = time.perf_counter()
        _, error = await self._bounded(lambda: self._get(self.store.probe))
        self.failure = error
        latency_ms = round((time.perf_counter() - began) * 1000, 1)
        return health_of(self.name, error, latency_ms)

    async def health(self) -> bool:
        """Tell Oneiric whether it can be used: it takes all but False itself for a yes."""
        return (await self.check()).status != "unhealthy"

    async def cleanup(self) -> None:
        """Close the adapter, once; raises nothing, since Oneiric would put back what is half closed."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await self._bounded(adapter.cleanup, CLEANUP_TIMEOUT_S)

    async def _get(self, identifier: str) -> str | None:
        if self._adapter is None:
            raise Unavailable(f"{self.name} is closed.", code="secret.store_failed")
        self._dates.last = None
        return await self._adapter.get_secret(identifier)

    async def _bounded[T](
        self, work: Callable[[], Awaitable[T]], timeout_s: float | None = None
    ) -> tuple[T | None, MahavishnuError | None]:
        """Return what comes of the work: the error is not raised in here, where a library's is its context."""
        limit = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(limit):
                return await work(), None
        except Exception as error:  # noqa: BLE001 - the clouds' libraries share no base of their errors
            if is_missing(error):
                return None, None
            return None, failure_of(error, self.name, timeout_s=limit)


async def make_adapter(store: CloudStore, dates: Dates) -> Adapter:
    """Return the adapter of a store, not open yet."""
    return _aws(store, dates) if isinstance(store, AwsStore) else gcp_adapter(store)


def _aws(store: AwsStore, dates: Dates) -> Adapter:
    settings = aws.AWSSecretManagerSettings(
        region=store.region,
        endpoint_url=store.endpoint_url,
        profile_name=store.profile_name,
        version_stage=store.version_stage,
        cache_ttl_seconds=0,  # what was rotated counts at once
    )
    made: Adapter = aws.AWSSecretManagerAdapter(
        settings, client_factory=lambda: _open_aws(store, dates)
    )
    return made


class AwsClient:
    """AWS's client as the adapter uses it; notes the date that the adapter drops."""

    def __init__(self, opened: Any, client: Any, dates: Dates) -> None:
        self._opened = opened
        self._client = client
        self._dates = dates

    async def get_secret_value(self, **request: Any) -> Any:
        """Ask for a secret."""
        answer = await self._client.get_secret_value(**request)
        created = answer.get("CreatedDate")
        self._dates.last = created if isinstance(created, datetime) else None
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._opened.__aexit__(None, None, None)


async def _open_aws(store: AwsStore, dates: Dates) -> AwsClient:
    """
    Open AWS's client ourselves: the adapter would leave it 60 s for a connection and five tries.

    What the environment or AWS's own settings say of addresses is passed over: one that is not in our
    settings was checked by nobody.
    """
    import aioboto3  # noqa: PLC0415 - only where AWS is asked
    from botocore.config import Config  # noqa: PLC0415 - an extra

    session = aioboto3.Session(region_name=store.region, profile_name=store.profile_name)
    opened = session.client(
        "secretsmanager",
        endpoint_url=store.endpoint_url,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_CONNECT_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            ignore_configured_endpoint_urls=True,
            proxies={} if _is_here(store.endpoint_url) else None,
        ),
    )
    return AwsClient(opened, await opened.__aenter__(), dates)


def gcp_adapter(store: GcpStore, client: Any = None) -> Adapter:
    """Return the adapter of GCP, which opens Google's own client where none is given."""
    settings = gcp.GCPSecretManagerSettings(
        project_id=store.project_id,
        credentials_file=store.credentials_file,
        default_version=store.default_version,
        cache_ttl_seconds=0,
    )
    made: Adapter = gcp.GCPSecretManagerAdapter(settings, client=client)
    return made


def open_store(store: CloudStore, timeout_s: float) -> OpenStore:
    """Return a store as the settings describe it."""
    return OpenStore(store, make_adapter, timeout_s)


def _is_here(url: str | None) -> bool:
    """Tell whether an address is of this machine: it may be http, and is never asked by way of a proxy."""
    return is_this_machine(urlsplit(url or "").hostname or "")
