"""How components are: each asked within its time, none in the way of another, and what their answers mean."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.secrets.kept import KeptSecrets
from mahavishnu.ai.secrets.oneiric import stores
from mahavishnu.base.daemon.record import claim
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.health import STATUSES, THREE_STATES, ComponentHealth, worst_status
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.backup.verify import ProvenSet
from mahavishnu.embedding.choose import Choice, Refusal
from mahavishnu.operations.components import check_daemon, check_model, cloud_provider, judge_backup
from mahavishnu.services.health import ComponentChecks, HealthProvider
from tests.support.fakes import FakeEmbedder

NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)  # a Wednesday
HEALTHY = ComponentHealth("well", "healthy", latency_ms=1.0)


@dataclass
class Component:
    """A component that answers once it is let, and counts how often it is asked."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    ended: int = 0

    async def ask(self) -> ComponentHealth:
        self.asked += 1
        try:
            await self.answers.wait()
        finally:
            self.ended += 1
        return ComponentHealth("slow", "healthy")


def raising(error: Exception) -> Callable[[], Any]:
    async def ask() -> ComponentHealth:
        raise error

    return ask


async def well() -> ComponentHealth:
    return HEALTHY


async def several() -> list[ComponentHealth]:
    return [ComponentHealth("a", "healthy"), ComponentHealth("b", "degraded", "It holds back.")]


async def test_what_hangs_or_fails_is_unhealthy_and_hides_no_other() -> None:
    hanging, checks = Component(), ComponentChecks()
    found = await checks.look(
        [
            HealthProvider("slow", hanging.ask),
            HealthProvider("away", raising(Unavailable("It is away.", code="tests.away"))),
            HealthProvider("odd", raising(ValueError("with a secret"))),
            HealthProvider("well", well),
            HealthProvider("several", several),
        ],
        limit_s=0.01,
    )
    assert [(each.name, each.status, each.message) for each in found] == [
        ("slow", "unhealthy", "There was no answer within 0.01 s."),
        ("away", "unhealthy", "It is away. [tests.away]"),
        ("odd", "unhealthy", "Its check failed (ValueError)."),
        ("well", "healthy", ""),
        ("a", "healthy", ""),
        ("b", "degraded", "It holds back."),
    ]
    assert worst_status(found) == "unhealthy" and worst_status(()) == "healthy"
    await checks.aclose()


async def test_what_hangs_is_asked_once_and_its_answer_counts_when_it_comes() -> None:
    slow, checks = Component(), ComponentChecks()
    providers = [HealthProvider("slow", slow.ask)]
    for _ in range(3):
        [found] = await checks.look(providers, limit_s=0.001)
        assert found.status == "unhealthy"
    asked = asyncio.create_task(checks.look(providers, limit_s=60))
    await asyncio.sleep(0)
    slow.answers.set()
    [found] = await asked
    assert (found.status, slow.asked) == ("healthy", 1)
    [found] = await checks.look(providers, limit_s=60)
    assert (found.status, slow.asked) == ("healthy", 2)


async def test_a_provider_may_need_longer_than_the_others() -> None:
    slow, checks = Component(), ComponentChecks()
    asked = asyncio.create_task(
        checks.look([HealthProvider("slow", slow.ask, limit_s=60)], limit_s=0.001)
    )
    await asyncio.wait({asked}, timeout=0.05)
    slow.answers.set()
    [found] = await asked
    assert found.status == "healthy"


async def test_what_still_hangs_at_the_end_is_given_up() -> None:
    slow, checks = Component(), ComponentChecks()
    await checks.look([HealthProvider("slow", slow.ask)], limit_s=0.001)
    assert (slow.asked, slow.ended) == (1, 0)
    await checks.aclose()
    assert (slow.asked, slow.ended) == (1, 1)


def test_a_worse_status_is_never_a_better_one_of_the_three() -> None:
    three = [("healthy", "degraded", "unhealthy").index(THREE_STATES[each]) for each in STATUSES]
    assert set(STATUSES) == THREE_STATES.keys() and three == sorted(three)


@pytest.mark.parametrize(
    ("schedule", "age", "status"),
    [
        (None, None, "healthy"),
        (None, timedelta(days=30), "healthy"),
        (None, timedelta(days=31), "degraded"),
        ("0 3 * * *", None, "degraded"),
        ("0 3 * * *", timedelta(days=1), "healthy"),
        ("0 3 * * *", timedelta(days=3), "degraded"),
        ("0 3 * * *", timedelta(days=9), "unhealthy"),
        ("0 3 1 * *", timedelta(days=19), "healthy"),  # of the first of May
        ("0 3 1 * *", timedelta(days=49), "unhealthy"),  # of the first of April
    ],
)
def test_a_scheduled_backup_may_be_a_day_late(
    schedule: str | None, age: timedelta | None, status: str
) -> None:
    # However lately a drill proved it, it is as old as its rows.
    proven = ProvenSet(created_at=NOW - age, proven_at=NOW) if age is not None else None
    assert judge_backup(proven, schedule, NOW)[0] == status


class Space:
    """A vector space with one choice of an embedder, or the error of choosing."""

    def __init__(self, choice: Choice | MahavishnuError) -> None:
        self.chosen = choice

    async def reconsider(self) -> None:
        """Find nothing new."""

    async def choice(self) -> Choice:
        if isinstance(self.chosen, MahavishnuError):
            raise self.chosen
        return self.chosen


class Chosen:
    """An application with a database, and a choice of an embedder."""

    def __init__(self, folder: Path, choice: Choice | MahavishnuError) -> None:
        given = {"HOME": str(folder), "MAHAVISHNU_HOME": str(folder)}
        self.loaded = load_settings(environ=given, folder=folder)
        self.settings = self.loaded.settings
        self.writes = self
        self.database = "a server of the user's"
        self.space = Space(choice)


@pytest.mark.parametrize(
    ("choice", "status"),
    [
        (Choice(FakeEmbedder(), "fake by tests."), "healthy"),
        (Choice(None, "Embedding is switched off in the settings."), "healthy"),
        (Choice(None, "There is none.", (Refusal("ollama", "It is away."),)), "degraded"),
        (Conflict("Another one.", code="embedding.model_differs"), "degraded"),
        (Unavailable("Away.", code="embedding.unreachable"), "unhealthy"),
        (Unavailable("Away.", code="database.unreachable"), "degraded"),
    ],
    ids=["works", "off", "none", "another", "unreachable", "no database"],
)
async def test_the_model_is_as_its_server_says(
    tmp_path: Path, choice: Choice | MahavishnuError, status: str
) -> None:
    app: Any = Chosen(tmp_path, choice)
    assert (await check_model(app)).status == status


async def test_a_model_that_went_away_after_it_was_chosen_is_unhealthy(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    app: Any = Chosen(tmp_path, Choice(embedder, "fake by tests."))
    assert (await check_model(app)).status == "healthy"
    embedder.fault = Unavailable("It is gone.", code="embedding.unreachable")
    found = await check_model(app)
    assert (found.status, found.message) == (
        "unhealthy",
        "It is gone. [embedding.unreachable]",
    )
    assert embedder.seen == [], "a look embeds nothing"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ("{}", []),
        ("secrets: {oneiric: {aws: {work: {region: eu-west-1}}}}", ["keys:aws/work"]),
        ("secrets: {oneiric: {aws: {work: {region: r, endpoint_url: odd}}}}", ["keys"]),
    ],
    ids=["none", "a store without Oneiric", "wrong settings"],
)
async def test_cloud_stores_that_cannot_be_asked_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, names: list[str]
) -> None:
    monkeypatch.setattr(stores, "is_installed", lambda: False)
    app: Any = Chosen(tmp_path, Choice(None, ""))
    app.secrets = KeptSecrets()
    file = app.loaded.locations.user_settings
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings)
    found = await ComponentChecks().look([cloud_provider(app)])
    assert [each.name for each in found] == names
    assert {each.status for each in found} <= {"unhealthy"}
    await app.secrets.aclose()


async def test_the_daemon_tells_of_itself_what_one_turn_takes(tmp_path: Path) -> None:
    app: Any = Chosen(tmp_path, Choice(None, ""))
    assert "None runs" in (await check_daemon(app)).message
    with claim(app.loaded.locations.daemon_lock, version="1", since="now"):
        found = await check_daemon(app)
    assert found.status == "healthy" and found.latency_ms is not None
    assert found.memory_mb is not None and found.memory_mb > 1
