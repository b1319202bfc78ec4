"""A database that is made already: tests that are not about the first start copy it."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import mahavishnu
from mahavishnu.database.embedded.server import EmbeddedServer
from mahavishnu.database.embedded.state import KeeperRecord, Layout
from mahavishnu.database.migrate import upgrade
from mahavishnu.database.target import target_of_dsn

# A folder that several test runs share; read before the guard of `conftest.py` takes it away.
SHARED_FOLDER = os.environ.get("MAHAVISHNU_TEST_PREPARED")
_PACKAGE = Path(mahavishnu.__file__).parent


def digest_of(*parts: str) -> str:
    """Name the state of parts of the package: what was made by another one is not taken."""
    files = [path for part in parts for path in _files(_PACKAGE / part)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:16]


def place_cluster(folder: Path, *, scratch: Path) -> None:
    """Put a stopped cluster with all tables into `folder`, made once below `scratch` or for all runs."""
    shelf = Path(SHARED_FOLDER or scratch)
    made = shelf / f"cluster-{digest_of('database', 'files.py', 'processes.py')}"
    with (shelf / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make_cluster(shelf / "making", made)
    for missing in (*reversed([p for p in folder.parents if not p.exists()]), folder):
        missing.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(made, Layout(folder).cluster, symlinks=True)


def _make_cluster(workshop: Path, made: Path) -> None:
    asyncio.run(_make(workshop))
    layout = Layout(workshop)
    found = KeeperRecord.read(layout.keeper_lock)
    assert found and found.postmaster
    until = time.monotonic() + 60
    while found.keeper.alive or found.postmaster.alive:
        assert time.monotonic() < until, "the server does not stop"
        time.sleep(0.02)
    layout.cluster.rename(made)
    shutil.rmtree(workshop)


async def _make(folder: Path) -> None:
    server = EmbeddedServer(folder, idle_timeout=timedelta(0))
    async with await server.acquire() as lease:
        await upgrade(
            target_of_dsn(f"postgresql://mahavishnu@/mahavishnu?host={lease.socket_folder}")
        )


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.sql")]
