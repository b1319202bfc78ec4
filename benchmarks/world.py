"""The product opened for a benchmark: a home of its own, and where needed a model that is a table."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import numpy as np

from mahavishnu.app import App, open_app
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.pool import Database
from mahavishnu.embedding.port import Embedder, ModelIdentity, Vector

DIMENSIONS = 768
MODEL = ModelIdentity(
    provider="fastembed",
    name="bench-768",
    revision="",
    dimensions=DIMENSIONS,
    document_prefix="",
    query_prefix="",
    window_tokens=8192,
)
IDLE_S = 3.0
STOP_PATIENCE_S = 60.0


class TableEmbedder:
    """An Embedder that looks vectors up instead of computing them, as plain lists like the others."""

    def __init__(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep the vector of each text that will be embedded."""
        self._vectors: dict[str, Vector] = {
            text: vector.astype(float).tolist() for text, vector in vectors.items()
        }

    @property
    def identity(self) -> ModelIdentity:
        """The model that the benchmarks make believe in."""
        return MODEL

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of known texts; a trial with another one gets a vector of its own."""
        trial = [1.0] + [0.0] * (DIMENSIONS - 1)
        return [self._vectors.get(text, trial) for text in texts]

    async def embed_query(self, text: str) -> Vector:
        """Return the vector of a known text."""
        return self._vectors[text]

    async def check(self) -> None:
        """Find nothing to object to."""

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return text.count(" ") + 1

    async def aclose(self) -> None:
        """Nothing to release."""


def clean_up_when_told_to_stop() -> None:
    """Make SIGTERM and SIGHUP leave by an exception, once, so that every `finally` is reached."""

    def leave(number: int, _frame: object) -> None:
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield a home that is removed once its embedded server has stopped by itself."""
    folder = Path(tempfile.mkdtemp(prefix="mahavishnu-bench-"))
    try:
        yield folder
    finally:
        postmaster = folder / "mahavishnu/data/postgres/cluster/postmaster.pid"
        deadline = time.monotonic() + STOP_PATIENCE_S
        while postmaster.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the product knows nothing but `home` and what is given."""
    return {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
        "MAHAVISHNU_HOME": str(home / "mahavishnu"),
        "MAHAVISHNU_PG_IDLE_TIMEOUT": str(IDLE_S),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        **more,
    }


@contextlib.asynccontextmanager
async def open_product(
    home: Path, *, pool_size: int | None = None, embedder: Embedder | None = None, **more: str
) -> AsyncIterator[App]:
    """Open the application as a user's process does."""
    loaded = load_settings(environ=environment(home, **more), folder=home)
    async with open_app(loaded, pool_size=pool_size, embedder=embedder) as app:
        yield app


@contextlib.asynccontextmanager
async def open_with_table(
    home: Path, vectors: Mapping[str, np.ndarray], *, pool_size: int | None = None
) -> AsyncIterator[App]:
    """Open the application with a `TableEmbedder` in the place of a model."""
    async with open_product(home, pool_size=pool_size, embedder=TableEmbedder(vectors)) as app:
        yield app


async def connect_as_superuser(database: Database) -> asyncpg.Connection:
    """Return a connection that row-level security does not bind, on the same socket."""
    dsn = str(database.target.parameters["dsn"])
    return await asyncpg.connect(dsn.replace("://mahavishnu@", "://postgres@"))
