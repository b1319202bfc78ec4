"""The application in the background of an engine: opened when it can be, and not where it is turned off."""

import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.engines.background import BackgroundApp
from mahavishnu.memory.models import NewMemory, utc_now
from mahavishnu.operations import prefect
from tests.conftest import Cluster, World
from tests.support.served import app_of

pytestmark = pytest.mark.postgres


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAHAVISHNU_HOME", str(tmp_path))
    monkeypatch.setenv("MAHAVISHNU_EMBEDDING_PROVIDER", "none")
    return tmp_path


def test_what_could_not_be_opened_is_opened_by_the_next_question(
    home: Path, cluster: Cluster, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    background = BackgroundApp("agno")
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", "postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(Unavailable):
        background.ask(lambda app: app.health())
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", cluster.dsn(database_name))
    assert background.ask(lambda app: app.memories.store(NewMemory(content="here"))).created
    background.close()
    background.close()
    with pytest.raises(UsageError) as caught:
        background.ask(lambda app: app.health())
    assert caught.value.code == "usage.closed"


def test_a_fork_opens_the_application_anew(
    home: Path, cluster: Cluster, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server does that loads its program before it forks: the thread is not there in the child."""
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", cluster.dsn(database_name))
    background = BackgroundApp("agno")
    background.ask(lambda app: app.memories.store(NewMemory(content="parent")))
    if (child := os.fork()) == 0:
        signal.alarm(60)
        stored = background.ask(lambda app: app.memories.store(NewMemory(content="child")))
        os._exit(0 if stored.created else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not background.ask(lambda app: app.memories.store(NewMemory(content="child"))).created
    background.close()


async def test_the_past_is_read_again_where_the_server_went_away_before_its_end(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def read(
        _url: str, since: datetime, _follow: bool
    ) -> AsyncIterator[tuple[list[Any], bool]]:
        asked.append(since)
        if len(asked) == 3:
            raise UsageError("enough")
        yield [], len(asked) == 2
        raise Unavailable("gone", code="prefect.unreachable")

    monkeypatch.setattr(prefect, "_read", read)
    monkeypatch.setattr(prefect, "FIRST_PAUSE_S", 0)
    monkeypatch.setattr(prefect, "require_prefect", lambda **_: None)
    week_ago = utc_now() - timedelta(days=7)
    with pytest.raises(UsageError, match="enough"):
        await prefect.record_server(app_of(world, tmp_path), "", since=week_ago, follow=True)
    assert asked[:2] == [week_ago, week_ago] and asked[2] > week_ago


def test_a_setting_turns_an_engine_off(
    home: Path, cluster: Cluster, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", cluster.dsn(database_name))
    (home / "config").mkdir()
    (home / "config/mahavishnu.yaml").write_text("adapters: {agno: false}")
    background = BackgroundApp("agno")
    with pytest.raises(UsageError) as caught:
        background.ask(lambda app: app.health())
    background.close()
    assert caught.value.code == "engine.off"
