"""
What every test gets: a home of its own, a guard around the real one, and a real PostgreSQL.

The PostgreSQL is the product's embedded one, started once for the whole run by the product's own
keeper, or the one that `scripts/mutate.py` keeps for many runs; each test works in a database cloned
from one migrated template.
"""

import asyncio
import os
import pwd
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.database.embedded.server import EmbeddedServer
from mahavishnu.database.grants import grant_member
from mahavishnu.database.migrate import upgrade
from mahavishnu.database.pool import Database
from mahavishnu.database.target import Target, target_of_dsn
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.port import Embedder
from mahavishnu.factories import store_files_maker
from mahavishnu.knowledge.identity import Projects
from mahavishnu.knowledge.ingest import Ingestion
from mahavishnu.knowledge.repositories import Repositories
from mahavishnu.knowledge.repository_ingestion import RepositoryIngestion, Splitting
from mahavishnu.memory.conversations import Conversations
from mahavishnu.memory.models import Stored
from mahavishnu.memory.records import Records
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Retriever
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore
from mahavishnu.memory.tiers import open_tiers
from tests.support.fakes import FakeEmbedder
from tests.support.missing_programs import skip_or_fail
from tests.support.prepared import digest_of, place_cluster

# How long an example takes is for benchmarks to say; here others use the machine too.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# A shell ignores interrupts for what runs in its background, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_HOMES = {Path(pwd.getpwuid(os.getuid()).pw_dir), Path(os.environ.get("HOME", "/nonexistent"))}
FORBIDDEN = tuple(
    str(home / name)
    for home in REAL_HOMES
    for name in (".claude", ".claude.json", ".codex", ".qwen")
)
# Socket folder of a running server that several test runs share; read before `_home` takes it away.
SHARED_CLUSTER = os.environ.get("MAHAVISHNU_TEST_CLUSTER")
_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove"})


class RealHomeTouched(BaseException):
    """A test reached for the real home; not an Exception, so that nothing swallows it."""


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    for argument in arguments[:2]:
        if isinstance(argument, str | bytes | os.PathLike):
            path = os.fsdecode(argument)
            if path.startswith(FORBIDDEN):
                raise RealHomeTouched(f"{event} {path}")


sys.addaudithook(_guard)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point HOME and everything derived from it to a folder of this run."""
    home = tmp_path_factory.mktemp("home")
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(
            ("MAHAVISHNU_", "OLLAMA_", "PG", "XDG_", "ANTHROPIC_", "OPENAI_", "OTEL_")
        ):
            del os.environ[name]
    os.environ |= {"HOME": str(home), "MAHAVISHNU_HOME": str(home / "mahavishnu")}
    yield home
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(autouse=True)
def _no_real_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that asks the system's user table for the real home folder."""
    resolve = os.path.expanduser

    def guarded(path: Any) -> Any:
        resolved = resolve(path)
        if any(str(resolved).startswith(f"{home}/.c") for home in REAL_HOMES):
            raise RealHomeTouched(str(resolved))
        return resolved

    monkeypatch.setattr(os.path, "expanduser", guarded)


@dataclass(frozen=True)
class Cluster:
    """The PostgreSQL of the test run."""

    socket_folder: Path
    template: str

    def dsn(self, database: str, user: str = "mahavishnu") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://{user}@/{database}?host={self.socket_folder}"


def _template_name() -> str:
    """Name the template after what makes it: runs on one server share it while that is the same."""
    return f"template_{digest_of('database/migrate.py', 'database/migrations')}"


async def _make_template(cluster: Cluster) -> None:
    """Migrate the database that test databases are cloned from, unless a run before did."""
    admin = await asyncpg.connect(cluster.dsn("postgres", "postgres"))
    try:
        await admin.execute("SELECT pg_advisory_lock(hashtext($1))", cluster.template)
        known = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        if await admin.fetchval(known, cluster.template):
            return
        unfinished = f"unfinished_{cluster.template}"
        await admin.execute(f"DROP DATABASE IF EXISTS {unfinished}")
        await admin.execute(f"CREATE DATABASE {unfinished} OWNER mahavishnu")
        inside = await asyncpg.connect(cluster.dsn(unfinished, "postgres"))
        await inside.execute("CREATE EXTENSION vector")
        await inside.close()
        await upgrade(target_of_dsn(cluster.dsn(unfinished)))
        await admin.execute(f"ALTER DATABASE {unfinished} RENAME TO {cluster.template}")
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the embedded server, or take the shared one, and make the template."""
    if SHARED_CLUSTER:
        shared = Cluster(Path(SHARED_CLUSTER), _template_name())
        asyncio.run(_make_template(shared))
        yield shared
        return
    server = EmbeddedServer(tmp_path_factory.mktemp("cluster"), idle_timeout=timedelta(seconds=2))
    try:
        lease = asyncio.run(server.acquire())
    except Unavailable as error:
        if error.code != "database.no_binaries":
            raise
        skip_or_fail(f"PostgreSQL is missing: {error.message}")
    own = Cluster(lease.socket_folder, _template_name())
    asyncio.run(_make_template(own))
    yield own
    lease.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Return what puts a cluster that is made already into a folder."""
    return partial(place_cluster, scratch=tmp_path_factory.mktemp("prepared"))


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to the maintenance database."""
    connection = await asyncpg.connect(cluster.dsn("postgres", "postgres"))
    yield connection
    await connection.close()


@pytest.fixture
async def database_name(admin: asyncpg.Connection, cluster: Cluster) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await admin.execute(
        f"CREATE DATABASE {name} TEMPLATE {cluster.template} STRATEGY FILE_COPY OWNER mahavishnu"
    )
    yield name
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def target(cluster: Cluster, database_name: str) -> Target:
    """The test's database as the product addresses it."""
    return target_of_dsn(cluster.dsn(database_name))


@pytest.fixture
async def bob(
    admin: asyncpg.Connection, cluster: Cluster, database_name: str, target: Target
) -> AsyncIterator[Target]:
    """A second person with a database role of their own."""
    role = f"bob_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN")
    owner = await asyncpg.connect(**target.direct)
    await grant_member(owner, role)
    await owner.close()
    yield target_of_dsn(cluster.dsn(database_name, role))
    inside = await asyncpg.connect(cluster.dsn(database_name, "postgres"))
    await inside.execute(f"DROP OWNED BY {role}")
    await inside.close()
    await admin.execute(f"DROP ROLE {role}")


@dataclass
class World:
    """The application's parts over one test database, with a fake embedder unless told otherwise."""

    database: Database
    space: EmbeddingSpace
    scopes: Scopes
    memories: MemoryStore
    retriever: Retriever
    conversations: Conversations
    records: Records
    projects: Projects
    ingestion: Ingestion
    repositories: Repositories
    repository_ingestion: RepositoryIngestion

    async def expire(self, stored: Iterable[Stored]) -> None:
        """Let the time of memories be over since yesterday."""
        ids = [each.id for each in stored]
        statement = "UPDATE memories SET expires_at = now() - interval '1 day' WHERE id = ANY ($1)"
        await self.database.run(lambda c: c.execute(statement, ids))


type OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def open_world(target: Target) -> OpenWorld:
    """Return a function that opens a World; each has its own pool, like a process of its own."""

    @asynccontextmanager
    async def open_(
        embedder: Embedder | None = None,
        *,
        without_embedder: bool = False,
        at: Target | None = None,
        size: int = 4,
    ) -> AsyncIterator[World]:
        async def choose(_expected: object) -> Choice:
            if without_embedder:
                return Choice(None, "There is no embedder in this test.")
            return Choice(embedder or FakeEmbedder(), "The fake one.")

        async with Database(
            at or target, size=size, statement_timeout=timedelta(seconds=30)
        ) as database:
            space = EmbeddingSpace(database, choose)
            scopes = Scopes(database)
            memories = MemoryStore(database, space, scopes)
            projects = Projects(database)
            repositories = Repositories(database, scopes)
            retriever = Retriever(open_tiers(database, space, scopes))
            yield World(
                database=database,
                space=space,
                scopes=scopes,
                memories=memories,
                retriever=retriever,
                conversations=Conversations(database, memories, scopes),
                records=Records(database, memories, scopes),
                projects=projects,
                ingestion=Ingestion(database, memories, scopes, projects),
                repositories=repositories,
                repository_ingestion=RepositoryIngestion(
                    database,
                    memories,
                    repositories,
                    space,
                    store_files_maker(memories, retriever),
                    Splitting(),
                ),
            )

    return open_


@pytest.fixture
async def world(open_world: OpenWorld) -> AsyncIterator[World]:
    """An open World with the fake embedder."""
    async with open_world() as opened:
        yield opened
