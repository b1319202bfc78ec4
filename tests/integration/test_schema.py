"""Migrations and statements: they agree, they run once, old databases come along."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from mahavishnu.base.errors import Conflict, Unavailable
from mahavishnu.database import migrate
from mahavishnu.database.migrate import (
    HEAD,
    UPGRADE_LOCK_KEY,
    SchemaState,
    read_state,
    require_current,
    upgrade,
)
from mahavishnu.database.pool import DatabaseHealth
from mahavishnu.database.scripts import alembic_config
from mahavishnu.database.target import Target, target_of_dsn
from mahavishnu.database.vectors import IN_COLLECTIONS, OF_MEMORIES, VectorTable
from mahavishnu.memory.models import Memory
from mahavishnu.memory.statements import load_memory_queries, passes
from tests.conftest import Cluster, OpenWorld, World

FIXTURES = Path(__file__).parent.parent / "fixtures"
SQL_FILES = (
    "backup",
    "conversations",
    "doctor",
    "forgetting",
    "ingestions",
    "insights",
    "integrity",
    "memories",
    "metrics",
    "models",
    "outbox",
    "sync_runs",
    "records",
    "repositories",
    "scopes",
    "search",
    "transfer",
    "hot",
    "spool",
)


@pytest.fixture
async def empty(admin: asyncpg.Connection, cluster: Cluster) -> AsyncIterator[Target]:
    """A database with the extension and nothing else."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    await admin.execute(f"CREATE DATABASE {name} OWNER mahavishnu")
    inside = await asyncpg.connect(cluster.dsn(name, "postgres"))
    await inside.execute("CREATE EXTENSION vector")
    await inside.close()
    yield target_of_dsn(cluster.dsn(name))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_head_is_the_newest_script() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_every_sql_file_is_known() -> None:
    folder = Path(__file__).parents[2] / "mahavishnu/database/sql"
    assert {path.stem for path in folder.glob("*.sql")} == set(SQL_FILES)


@pytest.mark.postgres
@pytest.mark.parametrize("file", SQL_FILES)
async def test_every_query_prepares_on_the_migrated_schema(target: Target, file: str) -> None:
    connection = await asyncpg.connect(**target.direct)
    try:
        for name, query in load_memory_queries(file).items():
            try:
                await connection.prepare(query)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{file}.{name}: {error}")
    finally:
        await connection.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("file", "name"),
    [("memories", "fetch_by_id"), ("memories", "list_memories"), ("search", "fetch_hits")],
)
async def test_reading_queries_give_the_fields_of_a_memory(
    target: Target, file: str, name: str
) -> None:
    connection = await asyncpg.connect(**target.direct)
    prepared = await connection.prepare(load_memory_queries(file)[name])
    columns = [attribute.name for attribute in prepared.get_attributes()]
    await connection.close()
    assert tuple(columns[-len(Memory.__struct_fields__) :]) == Memory.__struct_fields__


@pytest.mark.postgres
async def test_every_generated_statement_prepares(world: World, target: Target) -> None:
    await world.space.claim()
    table = VectorTable(1, 64)
    connection = await asyncpg.connect(**target.direct)
    for statement in (
        table.nearest(),
        table.nearest(IN_COLLECTIONS),
        table.page(),
        table.of_memories(),
        table.late(),
        table.nearest(exact=True),
        table.nearest(OF_MEMORIES, exact=True),
        table.nearest_filtered(passes(4)),
        table.nearest_filtered(passes(4), exact=True),
        table.similarities(),
        table.samples(),
        table.drop_rows(),
        table.add_rows(),
        table.keep_forgotten(),
        table.put_back(),
    ):
        await connection.prepare(statement)
    await connection.close()


@pytest.mark.postgres
async def test_many_processes_on_an_empty_database_all_succeed(empty: Target) -> None:
    states = await asyncio.gather(*(upgrade(empty) for _ in range(4)))
    assert {state.revision for state in states} == {HEAD}
    connection = await asyncpg.connect(**empty.direct)
    assert (await read_state(connection)).current
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await connection.close()


@pytest.mark.postgres
async def test_a_second_upgrade_waits_for_a_bounded_time(empty: Target) -> None:
    holder = await asyncpg.connect(**empty.direct)
    async with asyncio.timeout(60):
        async with holder.transaction():
            await holder.execute("SELECT pg_advisory_xact_lock($1)", UPGRADE_LOCK_KEY)
            with pytest.raises(Unavailable) as caught:
                await upgrade(empty, lock_wait=timedelta(milliseconds=50))
        assert caught.value.code == "database.migrating"
        assert "MAHAVISHNU_PG_DIRECT_DSN" in (caught.value.hint or "")
        assert (await upgrade(empty)).current
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        held += "(SELECT oid FROM pg_database WHERE datname = current_database())"
        assert await holder.fetchval(held) == 0
    await holder.close()


@pytest.mark.postgres
async def test_an_upgrade_waits_for_a_bare_alembic_for_a_bounded_time(
    empty: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_WAIT", timedelta(milliseconds=50))
    holder = await asyncpg.connect(**empty.direct)
    async with asyncio.timeout(60), holder.transaction():
        await holder.execute("SELECT pg_advisory_xact_lock($1)", migrate.LOCK_KEY)
        with pytest.raises(Unavailable) as caught:
            await upgrade(empty)
    assert caught.value.code == "database.migrating"
    await holder.close()


@pytest.mark.postgres
async def test_a_failed_migration_leaves_nothing(empty: Target) -> None:
    connection = await asyncpg.connect(**empty.direct)
    await connection.execute("CREATE TABLE changes (in_the_way int)")
    with pytest.raises(Exception, match=r".") as caught:
        await upgrade(empty)
    assert not isinstance(caught.value, asyncpg.PostgresError)
    names = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    assert [row["relname"] for row in names] == ["changes"]
    await connection.close()


def test_an_old_or_newer_schema_is_refused_with_what_mends_it() -> None:
    for revision, code in ((None, "not_initialised"), ("0000", "outdated"), ("9999", "newer")):
        with pytest.raises(Conflict) as caught:
            require_current(SchemaState(revision))
        assert caught.value.code == f"database.{code}" and caught.value.hint


def _fixtures() -> list[Path]:
    return sorted(FIXTURES.glob("*.sql"))


@pytest.mark.postgres
@pytest.mark.parametrize("dump", _fixtures(), ids=lambda path: path.stem)
async def test_a_filled_database_of_each_revision_migrates_and_answers(
    empty: Target, cluster: Cluster, open_world: OpenWorld, dump: Path
) -> None:
    name = empty.url.partition("@/")[2].partition("?")[0]
    connection = await asyncpg.connect(cluster.dsn(name, "postgres"))
    await connection.execute(dump.read_text(encoding="utf-8"))
    await connection.close()
    await upgrade(empty)
    from mahavishnu.memory.search import SearchRequest

    async with open_world(at=empty) as world:
        found = await world.retriever.search(SearchRequest(query="which port", limit=3))
        assert found.hits[0].memory.content == "Port 8680 is used."
        assert found.degraded == ()
        groups, totals = await world.memories.stats()
        assert totals["live"] == 4 and totals["superseded"] == 1
        assert {group["memory_type"] for group in groups} == {"agent", "rag", "workflow"}


def test_each_revision_has_its_fixture() -> None:
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    assert {path.stem for path in _fixtures()} == {script.revision for script in scripts}


@pytest.mark.postgres
async def test_the_health_check_tells_versions(world: World) -> None:
    health = await world.database.check()
    assert isinstance(health, DatabaseHealth)
    assert health.server_version.startswith("18") and health.revision == HEAD
    assert health.vector_version and health.latency_ms > 0
