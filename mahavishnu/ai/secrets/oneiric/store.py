"""
The store of `oneiric:` references: from questions that wait to the event loop in which the clouds are asked.

Nothing of Oneiric is imported before the first question.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self

from mahavishnu.ai.secrets.oneiric.answers import FoundSecret, health_of
from mahavishnu.ai.secrets.oneiric.failures import timed_out
from mahavishnu.ai.secrets.oneiric.stores import (
    Stores,
    identifier_of,
    provider_of,
    require_installed,
)
from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import Corrupt, MahavishnuError
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.lifecycle import Open, Providers, RankedCandidate

CLOSING_S = 5.0
_SLACK_S = 2.0  # for what is done around the clouds' own time


class OneiricStore:
    """
    Reads `oneiric:PROVIDER/ID` and `oneiric:PROVIDER/ID#FIELD`; to be closed, by `with` or `close`.

    Questions may come from several threads.
    """

    def __init__(self, stores: Stores, *, open_store: "Open | None" = None) -> None:
        self._stores = stores
        self._open_store = open_store
        self._providers: Providers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, reference: Reference) -> Secret:
        """Return the field, or the whole secret where the reference names none; raises as `look`."""
        return self.look(reference)[0]

    def look(self, reference: Reference) -> tuple[Secret, FoundSecret]:
        """
        Return the key, and what is known of where it came from.

        Raises:
            UsageError: `secret.no_store`.
            Unavailable: `secret.no_oneiric`, `secret.timeout`, `secret.throttled`, `secret.store_failed`.
            Forbidden: `secret.denied`, `secret.no_credentials`.
            MahavishnuError: else as `SecretStore.read`.
        """
        provider = provider_of(reference)
        self._stores.require(provider)
        answer = self._ask(lambda each: each.read(provider, identifier_of(reference)), provider)
        return _pick(answer, reference), answer

    def health(self) -> tuple[ComponentHealth, ...]:
        """Return how each store is doing; raises nothing, and asks nothing where there is none."""
        if not self._stores.all:
            return ()
        try:
            return self._ask(lambda each: each.health(), "The stores")
        except MahavishnuError as error:
            stores = self._stores.all
            return tuple(health_of(f"{s.provider}/{s.name}", error, None) for s in stores)

    def explain(self, provider: str) -> "tuple[RankedCandidate, ...]":
        """Return which store of a provider is chosen, and why; raises as `look`, but asks none."""
        self._stores.require(provider)

        async def explain(providers: "Providers") -> "tuple[RankedCandidate, ...]":
            return providers.explain(provider)

        return self._ask(explain, provider)

    def follow(self, stores: Stores) -> None:
        """Go by other settings from now on; as `Providers.follow`."""
        with self._lock:
            if stores == self._stores:
                return
            self._stores = stores
            started = self._providers is not None
        if started:
            self._ask(lambda each: each.follow(stores), "The stores")

    def close(self) -> None:
        """Close every connection and end the thread; may be called again."""
        with self._lock:
            loop, thread, providers = self._loop, self._thread, self._providers
            self._loop = self._thread = self._providers = None
        if loop is None or thread is None:
            return
        if providers is not None:
            closing = asyncio.run_coroutine_threadsafe(providers.close(), loop)
            with contextlib.suppress(TimeoutError):
                closing.result(CLOSING_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSING_S)

    def _ask[T](self, question: "Callable[[Providers], Coroutine[Any, Any, T]]", what: str) -> T:
        """Return what comes of a question; who waits is let go in time, whatever a library does."""
        loop, providers = self._start()
        limit = self._stores.timeout_s + _SLACK_S
        asked = asyncio.run_coroutine_threadsafe(question(providers), loop)
        try:
            return asked.result(limit)
        except TimeoutError:
            asked.cancel()
        raise timed_out(what, limit)

    def _start(self) -> "tuple[asyncio.AbstractEventLoop, Providers]":
        """Return loop and providers, made at the first question."""
        with self._lock:
            if self._loop is None or self._providers is None:
                require_installed()
                # Before the time is taken: it is this machine that is slow here.
                from mahavishnu.ai.secrets.oneiric import lifecycle, providers  # noqa: PLC0415 - an extra, and 3 s

                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="oneiric", daemon=True
                )
                self._thread.start()
                open_store = self._open_store or providers.open_store
                self._providers = lifecycle.Providers(self._stores, open_store)
            return self._loop, self._providers


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and what is still under way there to its cancellation."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _pick(answer: FoundSecret, reference: Reference) -> Secret:
    """Return the key that a secret's text holds."""
    text = None if answer.text is None else answer.text.reveal()
    field = reference.name
    if text is None or not field:
        return as_key(text, reference, hint="Store it there, or correct the reference.")
    values = _members(text)
    if values is None:
        raise Corrupt(
            f"The secret at {reference.scheme}:{reference.place} is not a JSON object, so it has no fields.",
            hint="Take #FIELD out of the reference, or store a JSON object of texts.",
            code="secret.malformed",
        )
    value = values.get(field)
    hint = f"Add the field {field} to the secret, or correct the reference."
    return as_key(value if isinstance(value, str) else None, reference, hint=hint)


def _members(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None  # the error would hold the whole text
    return values if isinstance(values, dict) else None
