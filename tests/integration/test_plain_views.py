"""The five views for SQL of one's own, and what revision 0002 does to rows of 0001."""

import uuid

import asyncpg
import pytest

from mahavishnu.database.grants import grant_member
from mahavishnu.database.migrate import upgrade
from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from tests.conftest import Cluster, OpenWorld, World
from tests.integration.test_schema import FIXTURES
from tests.integration.test_schema import empty as empty

pytestmark = pytest.mark.postgres
# Every column of the five tables as the sources declare them.
COLUMNS = {
    "memories_view": "id, content, embedding, memory_type, source_system, agent_id, workflow_id, repo_id, metadata, "
    "created_at, updated_at",
    "agent_conversations_view": "id, agent_id, session_id, role, content, metadata, created_at",
    "rag_ingestions_view": "id, repo_id, repo_path, documents_count, chunks_count, status, metadata, created_at, "
    "started_at, completed_at",
    "workflow_executions_view": "id, workflow_id, adapter, repos, status, result, duration_seconds, error_message, "
    "metadata, created_at",
    "performance_metrics_view": 'id, component, metric_type, metrics, "timestamp", metadata',
}
NEAREST = """
    SELECT content, 1 - (embedding <=> $1::vector) AS similarity FROM memories_view
    WHERE memory_type = $2 AND 1 - (embedding <=> $1::vector) >= $3
    ORDER BY embedding <=> $1::vector LIMIT $4
"""
# Terms are joined by "or": all words of a question stand together in hardly any text.
HYBRID = """
    WITH question AS (SELECT replace(plainto_tsquery('english', $2)::text, '&', '|')::tsquery AS terms)
    SELECT content, 0.7 * (1 - (embedding <=> $1::vector)) + 0.3 * ts_rank(to_tsvector('english', content), terms)
           AS score
    FROM memories_view, question
    WHERE embedding IS NOT NULL AND (to_tsvector('english', content) @@ terms OR 1 - (embedding <=> $1::vector) >= $3)
    ORDER BY score DESC LIMIT $4
"""


async def fill(world: World) -> None:
    """Put a row behind every view."""
    texts = ("The walrus sleeps in the cellar.", "Port 8680 is used.")
    await world.memories.store_batch([NewMemory(content=text) for text in texts])
    [turn] = await world.conversations.record(
        [NewTurn(session_id="s", position=0, role="tool", content="Fish?")]
    )
    await world.memories.supersede(turn.id, "Herring?")
    now = utc_now()
    await world.records.record_execution(
        NewExecution(
            execution_id="e", workflow_id="w", adapter="a", status="failed", started_at=now,
            finished_at=now, repositories=("reef",), error="gone",
        )
    )  # fmt: skip
    async with world.database.connection() as connection, connection.transaction():
        await connection.execute(
            """
            UPDATE agent_conversations SET metadata = '{"n": 1}';
            UPDATE workflow_executions SET status = 'crashed', metadata = '{"n": 2}';
            INSERT INTO performance_metrics (id, scope_no, source, name, text, figures)
            SELECT gen_random_uuid(), max(scope_no), 'ollama', 'health', 'healthy', '{"latency_ms": 3}' FROM scopes;
            INSERT INTO rag_ingestions (id, scope_no, source, kind, status, repo_id, documents_count)
            SELECT gen_random_uuid(), max(scope_no), '/reef', 'git', 'completed', 'reef', 3 FROM scopes;
            """
        )


async def test_every_column_of_the_sources_can_be_selected(world: World) -> None:
    await fill(world)
    async with world.database.connection() as connection:
        rows = {
            name: await connection.fetchrow(f"SELECT {columns} FROM {name} ORDER BY created_at")
            if name != "performance_metrics_view"
            else await connection.fetchrow(
                f"SELECT {columns} FROM {name} WHERE component = 'ollama'"
            )
            for name, columns in COLUMNS.items()
        }
    assert rows["memories_view"]["embedding"] is not None
    turn = rows["agent_conversations_view"]
    assert (turn["content"], turn["role"], turn["metadata"]) == ("Herring?", "tool", {"n": 1})
    assert rows["rag_ingestions_view"]["documents_count"] == 3
    run = rows["workflow_executions_view"]
    assert (run["status"], run["repos"], run["duration_seconds"]) == ("crashed", ["reef"], 0.0)
    assert rows["performance_metrics_view"]["metrics"] == {"latency_ms": 3, "text": "healthy"}


async def test_the_searches_of_the_sources_run_over_the_view(world: World) -> None:
    await fill(world)
    async with world.database.connection() as connection:
        vector = await connection.fetchval(
            "SELECT embedding::text FROM memories_view WHERE content LIKE 'The walrus%'"
        )
        [found] = await connection.fetch(
            NEAREST.replace("$1", "$1::text"), vector, "agent", 0.99, 5
        )
        mixed = await connection.fetch(
            HYBRID.replace("$1", "$1::text"), vector, "which port does it use", 0.99, 5
        )
    assert found["content"].startswith("The walrus") and found["similarity"] > 0.99
    assert [row["content"][:4] for row in mixed] == ["The ", "Port"]


async def test_views_show_another_role_nothing(
    open_world: OpenWorld, bob: Target, cluster: Cluster, database_name: str
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        await fill(alice)
        # A database that an administrator migrated: row-level security does not bind the views' owner.
        administrator = await asyncpg.connect(cluster.dsn(database_name, "postgres"))
        for name in COLUMNS:
            await administrator.execute(f"ALTER VIEW {name} OWNER TO postgres")
        await administrator.close()
        async with other.database.connection() as connection:
            for name in COLUMNS:
                assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0, name


async def test_a_member_from_before_reads_the_views(
    empty: Target, cluster: Cluster, admin: asyncpg.Connection
) -> None:
    name = empty.url.partition("@/")[2].partition("?")[0]
    connection = await asyncpg.connect(cluster.dsn(name, "postgres"))
    await connection.execute((FIXTURES / "0001.sql").read_text(encoding="utf-8"))
    role = f"member_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN")
    owner = await asyncpg.connect(**empty.direct)
    await grant_member(owner, role)
    await owner.close()
    await upgrade(empty)
    member = await asyncpg.connect(cluster.dsn(name, role))
    try:
        for view, columns in COLUMNS.items():
            assert await member.fetch(f"SELECT {columns} FROM {view}") == []
    finally:
        await member.close()
        await connection.execute(f"DROP OWNED BY {role}")
        await connection.close()
        await admin.execute(f"DROP ROLE {role}")


async def test_a_filled_database_of_0001_keeps_every_owners_rows(
    empty: Target, cluster: Cluster
) -> None:
    name = empty.url.partition("@/")[2].partition("?")[0]
    connection = await asyncpg.connect(cluster.dsn(name, "postgres"))
    await connection.execute((FIXTURES / "0001.sql").read_text(encoding="utf-8"))
    await connection.execute("SET search_path = public")
    await connection.execute(
        """
        INSERT INTO scopes (owner, collection) VALUES ('another', 'conversation');
        INSERT INTO agent_conversations (id, scope_no, session_id, position, role, speaker, memory_id, occurred_at)
        SELECT gen_random_uuid(), s.scope_no, 'old', n, role, speaker, m.id, now()
        FROM (SELECT scope_no FROM scopes WHERE owner = 'another') s, (SELECT id FROM memories LIMIT 1) m,
             (VALUES (0, 'Human', NULL), (1, 'researcher', NULL), (2, 'researcher', 'Ana'), (3, 'system', NULL))
             AS t (n, role, speaker);
        INSERT INTO rag_ingestions (id, scope_no, source, kind, status, cursor, seen)
        SELECT gen_random_uuid(), scope_no, '/reef', 'git', 'completed', 'abc', 7 FROM scopes WHERE owner = 'another';
        INSERT INTO performance_metrics (id, scope_no, source, name, value, unit)
        SELECT gen_random_uuid(), scope_no, 'tests', 'latency', 1.5, 'ms' FROM scopes WHERE owner = 'another';
        """
    )
    await upgrade(empty)
    turns = await connection.fetch(
        "SELECT role, speaker, metadata ->> 'former_role' AS former FROM agent_conversations "
        "WHERE session_id = 'old' ORDER BY position"
    )
    assert [tuple(turn) for turn in turns] == [
        ("user", "Human", "Human"),
        ("assistant", "researcher", "researcher"),
        ("assistant", "Ana", "researcher"),
        ("system", None, None),
    ]
    run = await connection.fetchrow(
        "SELECT repo_path, commit_id, documents_count, chunks_count, metadata FROM rag_ingestions"
    )
    assert tuple(run) == ("/reef", "abc", 7, 7, "{}")
    sample = await connection.fetchval("SELECT metrics ->> 'value' FROM performance_metrics_view")
    assert sample == "1.5"
    assert await connection.fetchval(
        "SELECT bool_and(created_at = started_at) FROM workflow_executions"
    )
    unforced = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity"
    )
    assert unforced == []
    await connection.close()
