"""Keys that a running daemon remembers for a while, in its memory alone, so that nobody waits twice."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.oneiric.scheme import open_clouds
from mahavishnu.ai.secrets.oneiric.stores import FindStores, Stores, no_stores
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.scheme import Given
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.base.errors import UsageError
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore

TTL_S = 300.0
MAX_KEPT = 64

type Stamp = tuple[object, ...]


class KeptSecrets:
    """
    Reads keys, each at most once in `ttl_s`; one is forgotten by itself when its time is over.

    A file that was changed, or closed to its owner, is read again, and so is a cloud store when the settings
    name others. For the daemon's own event loop; `aclose` closes the cloud stores, which stay open between
    questions.
    """

    def __init__(self, *, ttl_s: float = TTL_S) -> None:
        self._ttl_s = ttl_s
        self._clouds: OneiricStore | None = None
        self._opening = asyncio.Lock()
        self._kept: dict[Reference, tuple[Secret, Stamp]] = {}
        self._turns: dict[Reference, asyncio.Lock] = {}

    async def read(
        self,
        reference: Reference,
        *,
        environ: Mapping[str, str],
        identity: Path,
        stores: FindStores = no_stores,
    ) -> Secret:
        """
        Return the key; of many who ask for the same at once, one makes the store work.

        `stores` finds the cloud stores that the settings name now.

        Raises:
            UsageError: `secret.own_environment`, a variable of the daemon is not one of who asks;
                else as `SecretStore.read`.
        """
        if reference.variable:
            raise UsageError(
                "A variable is read where the client runs, not by the daemon.",
                hint="Export it where the client is started.",
                code="secret.own_environment",
            )
        turn = self._turns.setdefault(reference, asyncio.Lock())
        try:
            async with turn:
                scheme, access = scheme_of(reference.scheme), Given(environ, identity, stores)
                now = await asyncio.to_thread(stores) if scheme.remote else Stores()
                stamp = _stamp(scheme.file(reference, access)) or (now,)
                known = self._kept.get(reference)
                if known is not None and known[1] == stamp:
                    return known[0]
                if scheme.remote:
                    clouds = await self._follow(now)
                    secret = await asyncio.to_thread(clouds.read, reference)
                else:
                    secret = await asyncio.to_thread(scheme.open(access).read, reference)
                self._keep(reference, secret, stamp)
                return secret
        finally:
            if not turn.locked():
                self._turns.pop(reference, None)

    async def health(self, stores: FindStores) -> tuple[ComponentHealth, ...]:
        """Return how each cloud store is that `stores` finds; raises what that raises."""
        now = await asyncio.to_thread(stores)
        if not now.all:
            return ()
        clouds = await self._follow(now)
        return await asyncio.to_thread(clouds.health)

    async def aclose(self) -> None:
        """Forget all keys, and close the cloud stores."""
        self._kept.clear()
        clouds, self._clouds = self._clouds, None
        if clouds is not None:
            await asyncio.to_thread(clouds.close)

    async def _follow(self, stores: Stores) -> "OneiricStore":
        """Return the open cloud stores, which go by the settings of now."""
        async with self._opening:
            if self._clouds is None:
                self._clouds = open_clouds(stores)
            clouds = self._clouds
            await asyncio.to_thread(clouds.follow, stores)
            return clouds

    def _keep(self, reference: Reference, secret: Secret, stamp: Stamp) -> None:
        if len(self._kept) >= MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        kept = (secret, stamp)
        self._kept[reference] = kept

        def forget() -> None:
            if self._kept.get(reference) is kept:
                del self._kept[reference]

        asyncio.get_running_loop().call_later(self._ttl_s, forget)


def _stamp(file: Path | None) -> Stamp:
    """Return what changes when the file does; nothing for what is no file."""
    if file is not None:
        with contextlib.suppress(OSError):
            about = file.stat()
            return (
                about.st_ino,
                about.st_size,
                about.st_mtime_ns,
                about.st_ctime_ns,
                about.st_mode,
                about.st_uid,
            )
    return ()
