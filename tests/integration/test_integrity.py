"""What does not fit together in a database is named, with what mends it."""

import shlex
from collections.abc import AsyncIterator

import asyncpg
import pytest

from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.integrity import Damage, check_integrity
from mahavishnu.memory.models import NewMemory
from mahavishnu.operations.integrity import fix_for
from tests.conftest import Cluster, OpenWorld, World
from tests.integration.test_superseding import RUN

pytestmark = pytest.mark.postgres
A_MEMORY = "(SELECT min(memory_no) FROM memories WHERE superseded_by IS NULL)"
# By name: what does the damage as the superuser without triggers, and whether something stored is lost by it.
DAMAGES = {
    "words": (f"INSERT INTO postings SELECT 'x', 10 ^ 9, scope_no, 1, 1 FROM memories WHERE memory_no = {A_MEMORY}",
              "warning"),
    "queue": (f"INSERT INTO embedding_queue SELECT 10 ^ 9, scope_no FROM memories WHERE memory_no = {A_MEMORY}",
              "warning"),
    "turns": ("UPDATE agent_conversations SET memory_id = gen_random_uuid()", "error"),
    "executions": ("UPDATE workflow_executions SET memory_id = gen_random_uuid()", "warning"),
    "vectors": ("UPDATE embeddings_1 SET memory_no = 10 ^ 9 WHERE memory_no = 1; "
                "DELETE FROM memories WHERE memory_no = 1; DELETE FROM postings WHERE memory_no = 1", "warning"),
    "without_vectors": (f"DELETE FROM embeddings_1 WHERE memory_no = {A_MEMORY}", "error"),
    "without_words": (f"DELETE FROM postings WHERE memory_no = {A_MEMORY}", "error"),
    "successors": ("UPDATE memories SET superseded_by = gen_random_uuid() WHERE superseded_by IS NOT NULL", "warning"),
    "model": ("DROP INDEX embeddings_1_hnsw", "warning"),
    "index": ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'memories_agent'::regclass", "warning"),
    "bloat": ("ALTER TABLE performance_metrics SET (autovacuum_enabled = false); "
              "INSERT INTO performance_metrics (id, scope_no, source, name, text) "
              f"SELECT gen_random_uuid(), scope_no, 's', 'n', 't' FROM generate_series(1, 12000), memories "
              f"WHERE memory_no = {A_MEMORY}; DELETE FROM performance_metrics", "warning"),
}  # fmt: skip


@pytest.fixture
async def owner(cluster: Cluster, database_name: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser whose statements fire no triggers and check no references."""
    connection = await asyncpg.connect(cluster.dsn(database_name, "postgres"))
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def fill(world: World) -> None:
    await world.memories.store_batch([NewMemory(content=f"Port {n} listens.") for n in range(3)])
    await world.memories.store(NewMemory(content="!!!"))  # which has no words
    first = await world.memories.store(NewMemory(content="A kettle is red."))
    await world.memories.supersede(first.id, "A kettle is blue.")
    await world.conversations.record(
        [NewTurn(session_id="s", position=0, role="user", content="Is it?")]
    )
    await world.records.record_execution(RUN)


async def look(world: World) -> dict[str, Damage]:
    found, others = await check_integrity(world.database)
    assert not others
    return {each.name: each for each in found}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_is_named_with_what_mends_it(
    world: World, owner: asyncpg.Connection, target: Target, name: str
) -> None:
    await fill(world)
    assert await look(world) == {}
    statement, severity = DAMAGES[name]
    await owner.execute(statement)
    await owner.execute("SELECT pg_stat_force_next_flush()")
    found = await look(world)
    assert {each.name: each.severity for each in found.values()} == {name: severity}
    words = shlex.split(fix_for(found[name]))
    if name == "without_words":  # by commands: what was forgotten can be imported
        assert "forget" in words
        return
    assert words[:4] == ["mahavishnu", "db", "shell", "-c"]
    if name == "index":  # which only a superuser could spoil
        await owner.execute(words[4])
    else:
        connection = await asyncpg.connect(**target.direct)
        await connection.execute(words[4])
        await connection.close()
    if name not in ("successors", "bloat"):  # the one is shown, the other counted a moment later
        assert await look(world) == {}


async def test_a_member_sees_damage_of_their_own_and_is_told_of_the_rest(
    world: World, open_world: OpenWorld, owner: asyncpg.Connection, bob: Target
) -> None:
    await fill(world)
    await owner.execute("DELETE FROM postings")
    async with open_world(at=bob) as bobs:
        assert await check_integrity(bobs.database) == ([], True)
        await bobs.memories.store(NewMemory(content="Port 9 listens."))
        await owner.execute("DELETE FROM postings")
        [damage], hidden = await check_integrity(bobs.database)
        assert (damage.name, damage.count, hidden) == ("without_words", 1, True)


async def test_vectors_whose_table_is_gone_are_an_error(
    world: World, owner: asyncpg.Connection
) -> None:
    await fill(world)
    await owner.execute("DROP TABLE embeddings_1 CASCADE")
    found = await look(world)
    assert (found["model"].severity, found["without_vectors"].severity) == ("error", "error")
    assert "export" in fix_for(found["model"])
