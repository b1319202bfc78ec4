"""The application in the background of an engine: opened when it can be, and not where it is turned off."""

from pathlib import Path

import pytest

from mahavishnu.engines.background import BackgroundApp
from mahavishnu.errors import Unavailable, UsageError
from mahavishnu.memory.models import NewMemory
from tests.conftest import Cluster

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
