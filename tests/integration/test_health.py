"""The health of an open application over a real database, which goes away and comes back."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from mahavishnu.daemon import background
from mahavishnu.memory.models import NewMemory
from mahavishnu.operations.health import check_health
from tests.support.away import Link
from tests.support.away import link as link
from tests.support.served import serve

pytestmark = pytest.mark.postgres
SEEN = (
    "SELECT DISTINCT component, metrics ->> 'health_status', (metrics ->> 'error_count')::integer, "
    "metrics ? 'latency_ms', metrics ? 'memory_mb' FROM performance_metrics_view "
    "WHERE metric_type = 'health' ORDER BY component"
)


async def test_each_component_is_told_while_the_database_is_there_and_while_it_is_away(
    link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with link.open() as app, serve(app, tmp_path) as served, served.client() as client:
        told = await check_health(app, limit_s=60)
        assert (told.status, told.answered_by) == ("healthy", "process")
        names = [each.name for each in told.components]
        assert names == ["database", "model", "daemon", "spool", "backup", "sync"]
        assert told.components[0].latency_ms

        await link.cut()
        await app.writes.store(NewMemory(content="It waits."))
        told = await check_health(app, limit_s=60)
        assert (told.status, told.common_status) == ("unhealthy", "unhealthy")
        bad = {each.name: each for each in told.components if each.status != "healthy"}
        assert {name: each.status for name, each in bad.items()} == {
            "database": "unhealthy",
            "spool": "degraded",
            "sync": "unhealthy",  # which only the database could tell
        }
        assert "[database." in bad["database"].message and "1 writes wait" in bad["spool"].message
        monkeypatch.setattr(background, "SAMPLE_EVERY_S", 0.01)
        sampling = asyncio.create_task(background.sample(app))
        async with asyncio.timeout(60):
            while not app.components.last:  # noqa: ASYNC110 - a sample tells nobody
                await asyncio.sleep(0.01)
            gauge = 'mahavishnu_component_health{component="%s"} %s'
            shown = (await client.get("/metrics")).text
            assert gauge % ("database", "0.0") in shown and gauge % ("spool", "0.5") in shown

            link.restore()
            rows: list[tuple[object, ...]] = []
            while len({row[0] for row in rows}) < len(names):  # they are written one by one
                await asyncio.sleep(0.01)
                rows = [tuple(row) for row in await app.database.run(lambda c: c.fetch(SEEN))]
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        assert ("database", "healthy", 0, True, False) in rows
        assert ("spool", "degraded", 0, True, False) in rows
        assert "unhealthy" not in {row[1] for row in rows}, "nothing of the time away"
        assert gauge % ("database", "1.0") in (await client.get("/metrics")).text
        answer = (await client.get("/api/v1/health")).json()
        assert answer["status"] == "degraded" and len(answer["components"]) == len(names)
