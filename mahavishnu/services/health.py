"""
How components are, asked all at once: each within its time, and none in the way of another.

What each is asked, its own feature knows; which are asked, who calls.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.logs import get_logger

LIMIT_S = 5.0
CLOSING_S = 1.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class HealthProvider:
    """
    Where the health of a component, or of several, comes from.

    `name` is whose health it is where the answer fails or is late. `limit_s` is what it may take at least,
    whatever the others may.
    """

    name: str
    ask: Callable[[], Awaitable[ComponentHealth | Iterable[ComponentHealth]]]
    limit_s: float = 0.0


class ComponentChecks:
    """
    Looks how components are.

    A provider that is being asked is not asked again: who comes later waits for the same answer. One that is late is
    not cancelled, for what hangs holds that up too. `last` is the last sample of a daemon.
    """

    def __init__(self) -> None:
        self.last: tuple[ComponentHealth, ...] = ()
        self._asked: dict[str, asyncio.Task[tuple[ComponentHealth, ...]]] = {}

    async def look(
        self, providers: Sequence[HealthProvider], *, limit_s: float = LIMIT_S
    ) -> tuple[ComponentHealth, ...]:
        """Return the health of all, in order; what fails or is late is unhealthy, with the reason."""
        waits = (self._wait(each, max(each.limit_s, limit_s)) for each in providers)
        found = await asyncio.gather(*waits)
        return tuple(each for components in found for each in components)

    async def aclose(self) -> None:
        """Give up what is still being asked."""
        asked = [task for task in self._asked.values() if not task.done()]
        for task in asked:
            task.cancel()
        if asked:
            await asyncio.wait(asked, timeout=CLOSING_S)

    async def _wait(self, provider: HealthProvider, limit_s: float) -> tuple[ComponentHealth, ...]:
        task = self._asked.get(provider.name)
        if task is None or task.done():
            task = self._asked[provider.name] = asyncio.create_task(_ask(provider))
        await asyncio.wait({task}, timeout=limit_s)
        if task.done() and not task.cancelled():
            return task.result()
        late = f"There was no answer within {limit_s:g} s."
        return (ComponentHealth(provider.name, "unhealthy", late),)


async def _ask(provider: HealthProvider) -> tuple[ComponentHealth, ...]:
    try:
        answer = await provider.ask()
    except MahavishnuError as error:
        reason = f"{error.message} [{error.code}]"
    except Exception as error:  # noqa: BLE001 - what one component meets must not hide the others
        _log.error("health_check_failed", component=provider.name, exc_info=True)
        reason = f"Its check failed ({type(error).__name__})."
    else:
        return (answer,) if isinstance(answer, ComponentHealth) else tuple(answer)
    return (ComponentHealth(provider.name, "unhealthy", reason),)
