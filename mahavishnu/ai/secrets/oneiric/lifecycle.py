"""
Which store of a provider is in force: chosen by Oneiric's resolver, exchanged by its lifecycle.

What those two do not do is done here: one store is opened once however many ask, every one is closed at
the end, and one that the settings no longer name is not gone back to.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from oneiric.core.lifecycle import LifecycleError, LifecycleManager, LifecycleSafetyOptions
from oneiric.core.resolution import Candidate, Resolver, ResolverSettings

from mahavishnu.ai.secrets.oneiric.answers import FoundSecret, health_of
from mahavishnu.ai.secrets.oneiric.failures import failure_of
from mahavishnu.ai.secrets.oneiric.providers import OpenStore
from mahavishnu.ai.secrets.oneiric.stores import CloudStore, Stores
from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.base.health import ComponentHealth

DOMAIN = "secrets"
AGAIN_S = 60.0  # until the preferred store is tried again after it failed
# Providers bound themselves. Oneiric would give up waiting, and let the work run on.
_UNBOUNDED = LifecycleSafetyOptions(
    activation_timeout=0,
    health_timeout=0,
    cleanup_timeout=0,
    hook_timeout=0,
    shield_tasks=False,
)

type Open = Callable[[CloudStore, float], OpenStore]


@dataclass(frozen=True)
class RankedCandidate:
    """One store as the resolver ranks it, and why."""

    name: str
    selected: bool
    score: tuple[int, ...]
    reasons: tuple[str, ...]


class _Slot:
    """One provider: the store in force, since when, the one that was made last, and whose turn it is."""

    def __init__(self) -> None:
        self.current: OpenStore | None = None
        self.made: OpenStore | None = None
        self.moved_at = 0.0
        self.turn = asyncio.Lock()


class Providers:
    """The cloud stores of one process; for one event loop, from the first question to `close`."""

    def __init__(self, stores: Stores, open_store: Open, *, again_s: float = AGAIN_S) -> None:
        self._open_store = open_store
        self._again_s = again_s
        self._stores = stores
        self._manager = LifecycleManager(self._resolver(), safety=_UNBOUNDED)
        self._slots: defaultdict[str, _Slot] = defaultdict(_Slot)
        self._closed = False

    async def read(self, provider: str, identifier: str) -> FoundSecret:
        """
        Return what stands at an id of a provider.

        A store that cannot be asked is exchanged for the next one, if that is healthy; after a while the
        preferred one is tried again. One that answered before and refuses now is opened again, once: its
        token or credentials may be other ones.

        Raises:
            MahavishnuError: of the store that was to be asked first, as `OpenStore.read`.
        """
        slot = self._slots[provider]
        first: MahavishnuError | None = None
        for _ in range(len(self._stores.require(provider)) + 2):
            failed: OpenStore | None = None
            try:
                failed = await self._in_force(provider, slot)
                return await failed.read(identifier)
            except (Unavailable, Forbidden) as error:
                first = first or error
                refused = isinstance(error, Forbidden)
            if failed is None or (refused and not failed.has_answered):
                break
            if not await (self._drop(failed, slot) if refused else self._move_on(failed, slot)):
                break
        assert first is not None
        raise first

    async def follow(self, stores: Stores) -> None:
        """
        Take over changed settings: what they no longer name is closed, and what they prefer comes in force.

        A preferred store that is not healthy is passed over as long as the one in force is still named.
        """
        self._stores = stores
        self._manager.resolver = self._resolver()
        for provider, slot in tuple(self._slots.items()):
            async with slot.turn:
                current = slot.current
                if current is None:
                    continue
                if current.store not in stores.all:
                    slot.current = None
                    await current.cleanup()
                elif (preferred := self._order(provider)[0]) != current.store:
                    await self._swap(preferred, slot)

    async def health(self) -> tuple[ComponentHealth, ...]:
        """Return the health of every store, each asked once and at the same time; raises nothing."""
        return tuple(await asyncio.gather(*(self._check(store) for store in self._stores.all)))

    def explain(self, provider: str) -> tuple[RankedCandidate, ...]:
        """Return the stores of a provider, the one that the resolver chooses first, with its reasons."""
        self._stores.require(provider)
        return tuple(
            RankedCandidate(
                name=str(rank.candidate.provider),
                selected=rank.selected,
                score=tuple(rank.score),
                reasons=tuple(rank.reasons),
            )
            for rank in self._manager.resolver.explain(DOMAIN, provider).ordered
        )

    async def close(self) -> None:
        """Close all stores; nothing is opened after that. May be called again."""
        self._closed = True
        for slot in tuple(self._slots.values()):
            async with slot.turn:
                current, slot.current = slot.current, None
                if current is not None:
                    await current.cleanup()

    async def _in_force(self, provider: str, slot: _Slot) -> OpenStore:
        """Return the store in force, opened if none is."""
        async with slot.turn:
            order = self._order(provider)
            if slot.current is None:
                return await self._open_first(order, slot)
            late = time.monotonic() - slot.moved_at >= self._again_s
            if slot.current.store != order[0] and late:
                slot.moved_at = time.monotonic()
                await self._swap(order[0], slot)
            return slot.current

    async def _open_first(self, order: list[CloudStore], slot: _Slot) -> OpenStore:
        first: MahavishnuError | None = None
        for store in order:
            error = await self._swap(store, slot)
            if slot.current is not None:
                return slot.current
            first = first or error
            if not isinstance(error, Unavailable):
                break  # it answers, and another one is not what was wanted
        assert first is not None
        raise first

    async def _move_on(self, failed: OpenStore, slot: _Slot) -> bool:
        """Exchange a store that failed for the next one; tells whether another one is in force now."""
        async with slot.turn:
            if slot.current is not failed:  # somebody else did
                return slot.current is not None
            for store in self._order(failed.store.provider):
                if store != failed.store and await self._swap(store, slot) is None:
                    return True
            return False

    async def _drop(self, refused: OpenStore, slot: _Slot) -> bool:
        """Close a store, so that the next question opens it again."""
        async with slot.turn:
            if slot.current is refused:
                slot.current = None
                await refused.cleanup()
        return True

    async def _swap(self, store: CloudStore, slot: _Slot) -> MahavishnuError | None:
        """Bring a store in force; returns why not, and then the one before is in force still."""
        if self._closed:
            return Unavailable("The stores of keys are closed.", code="secret.store_failed")
        slot.made = None
        try:
            # With `force` a store that is not healthy would come in force.
            await self._manager.swap(DOMAIN, store.provider, provider=store.name)
            slot.current, slot.made = slot.made, None
            slot.moved_at = time.monotonic()
            return None
        except LifecycleError as error:
            failure = slot.made.failure if slot.made is not None else None
            name = f"{store.provider}/{store.name}"
            return failure or failure_of(error, name, timeout_s=self._stores.timeout_s)
        finally:
            if slot.made is not None:  # it failed, or who asked went away
                await slot.made.cleanup()

    async def _check(self, store: CloudStore) -> ComponentHealth:
        current = self._slots[store.provider].current
        if current is not None and current.store == store:
            return await current.check()
        apart = self._open_store(store, self._stores.timeout_s / 2)  # to open it, and to ask
        try:
            await apart.init()
            return await apart.check()
        except MahavishnuError as error:
            return health_of(apart.name, error, None)
        finally:
            await apart.cleanup()

    def _order(self, provider: str) -> list[CloudStore]:
        """Return the stores of a provider as the resolver ranks them."""
        by_name = {store.name: store for store in self._stores.require(provider)}
        ranked = self._manager.resolver.explain(DOMAIN, provider).ordered
        return [by_name[str(rank.candidate.provider)] for rank in ranked]

    def _resolver(self) -> Resolver:
        selections = dict(self._stores.selections)
        resolver = Resolver(ResolverSettings(selections={DOMAIN: selections}))
        for candidate in self._candidates():
            resolver.register(candidate)
        return resolver

    def _candidates(self) -> Iterator[Candidate]:
        """Yield what to register, the last in the settings first: of equals the resolver takes the latest."""
        for store in reversed(self._stores.all):
            yield Candidate(
                domain=DOMAIN,
                key=store.provider,
                provider=store.name,
                priority=store.priority,
                factory=self._factory(store),
            )

    def _factory(self, store: CloudStore) -> Callable[[], object]:
        """Return a plain function: Oneiric copies what it is given, and a method's owner with it."""
        # All stores of a provider together keep to the time for one key.
        share_s = self._stores.timeout_s / len(self._stores.of(store.provider))

        async def make() -> OpenStore:
            made = self._open_store(store, share_s)
            self._slots[store.provider].made = made
            await made.init()
            return made

        return make
