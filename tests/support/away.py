"""A test's database behind a link that can be cut: while it is, a real PostgreSQL is away."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from mahavishnu.app import App, open_app
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.database import late, pool
from mahavishnu.database.target import Target
from mahavishnu.memory.spool import writes
from mahavishnu.memory.spool.file import SpoolFile
from tests.conftest import Cluster


@dataclass
class Link:
    """The way to the test's database, which can be cut."""

    loaded: Loaded
    path: Path
    sockets: Path
    admin: asyncpg.Connection
    database: str

    async def cut(self) -> None:
        """Take the server away: nobody gets there any more, and who is there is thrown out."""
        self.path.unlink()
        await self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            self.database,
        )

    def restore(self) -> None:
        """Bring it back."""
        self.path.symlink_to(self.sockets)

    def open(self, *, required: bool = False) -> AbstractAsyncContextManager[App]:
        """Open the application at its end."""
        return open_app(self.loaded, required=required)

    @property
    def spool(self) -> SpoolFile:
        return SpoolFile(self.loaded.locations.data)


def environ_of(home: Path, dsn: str) -> dict[str, str]:
    """Return the environment of a program that stores in a database, and has a home of its own."""
    return {"HOME": str(home), "MAHAVISHNU_HOME": str(home / "m"), "MAHAVISHNU_PG_DSN": dsn,
            "MAHAVISHNU_EMBEDDING_PROVIDER": "none"}  # fmt: skip


@pytest.fixture
def link(
    tmp_path: Path, target: Target, admin: asyncpg.Connection, database_name: str, cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> Link:  # fmt: skip
    """The link to the test's database; nobody waits before trying again."""
    monkeypatch.setattr(pool, "RETRY_DELAYS_S", (0.0,))
    monkeypatch.setattr(late, "PAUSE_S", 0.0)
    monkeypatch.setattr(writes, "PAUSE_S", 0.0)
    path = tmp_path / "sockets"
    path.symlink_to(cluster.socket_folder)
    dsn = target.url.replace(str(cluster.socket_folder), str(path))
    loaded = load_settings(environ=environ_of(tmp_path, dsn), folder=tmp_path)
    return Link(loaded, path, Path(cluster.socket_folder), admin, database_name)
