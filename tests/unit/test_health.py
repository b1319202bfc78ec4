"""The health route: a hung database is told in time, and a busy process is no hung database."""

import asyncio
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mahavishnu.app import App
from mahavishnu.interfaces.http import asgi
from mahavishnu.interfaces.http.asgi import HealthEndpoint


@dataclass
class Database:
    """Answers after some time."""

    takes_s: float = 0.0

    async def health(self) -> Any:
        await asyncio.sleep(self.takes_s)
        await asyncio.sleep(self.takes_s)  # an answer has more than one piece
        return SimpleNamespace()


async def status(health: HealthEndpoint) -> int:
    return (await health.answer()).status_code


async def test_a_stalled_process_is_no_stalled_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "HEALTH_TIMEOUT_S", 0.3)
    for turns in (1, 2):  # before the question is asked, and after
        health = HealthEndpoint(cast(App, Database(takes_s=0.05)))
        looking = asyncio.create_task(status(health))
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - it is to hold up the loop
        assert await looking == 200


async def test_a_hung_database_is_told_in_time_to_all_who_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi, "HEALTH_TIMEOUT_S", 0.3)
    health = HealthEndpoint(cast(App, Database(takes_s=60)))
    async with asyncio.timeout(30):
        assert await asyncio.gather(*(status(health) for _ in range(5))) == [503] * 5
    monkeypatch.setattr(asgi, "HEALTH_TIMEOUT_S", 60)
    async with asyncio.timeout(30):  # who comes later does not wait as long again
        assert await status(health) == 503
    asking = health._asking
    assert asking is not None
    asking.cancel()
