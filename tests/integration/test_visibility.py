"""Row-level security: another role gets no row of a private memory, on any path."""

from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, Forbidden, NotFound, Unavailable
from mahavishnu.base.identifiers import shown
from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import MemoryFilter, Mode, NewMemory, utc_now
from mahavishnu.memory.records import Metric, NewExecution
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World
from tests.support.ingesting import commit

pytestmark = [pytest.mark.postgres, pytest.mark.leak]
SECRET = "The walrus password is stored in the cellar."


async def fill(world: World) -> dict[str, object]:
    """Put a private row into every table."""
    stored = await world.memories.store(
        NewMemory(content=SECRET, project="hidden", agent_id="a1", session_id="s1")
    )
    gone = await world.memories.store(NewMemory(content="A forgotten walrus."))
    await world.memories.forget([gone.id])
    old = await world.memories.store(NewMemory(content="Walrus draft.", project="hidden"))
    await world.memories.supersede(old.id, "Walrus final.")
    await world.conversations.record(
        [NewTurn(session_id="s1", position=0, role="user", content="walrus?", project="hidden")]
    )
    await world.records.record_execution(
        NewExecution(
            execution_id="e1", workflow_id="w1", adapter="tests", status="failed",
            started_at=utc_now(), error="walrus escaped",
        )
    )  # fmt: skip
    await world.records.record_metric(Metric(source="t", name="walrus", value=1, unit="1"))
    async with world.database.connection() as connection:
        number = await connection.fetchval(
            "SELECT memory_no FROM memories WHERE id = $1", stored.id
        )
        scope = await connection.fetchval("SELECT scope_no FROM memories WHERE id = $1", stored.id)
        await connection.execute(
            "INSERT INTO embedding_queue (memory_no, scope_no) VALUES ($1, $2)", number, scope
        )
        await connection.execute(
            "INSERT INTO rag_ingestions (id, scope_no, source, kind, status) "
            "VALUES (gen_random_uuid(), $1, 'walrus', 'git', 'pending')", scope,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO project_aliases SELECT id, 'path', '/walrus' FROM projects"
        )
        for statement in (
            "INSERT INTO projects (id, name) VALUES (gen_random_uuid(), 'hidden too')",
            "INSERT INTO repositories (project_id, repo_id, path) SELECT id, name, '/' || name FROM projects",
            "INSERT INTO repository_groups (name, project_id) SELECT 'walrus', project_id FROM repositories",
            "INSERT INTO repository_dependencies (project_id, depends_on) SELECT min(project_id::text)::uuid, "
            "max(project_id::text)::uuid FROM repositories",
            "INSERT INTO outbox_targets (name) VALUES ('walrus')",
            "INSERT INTO outbox_dead_letters (target, memory_id, change_no, attempts, error_code, error) "
            "SELECT 'walrus', memory_id, change_no, 1, 'walrus', 'walrus' FROM changes LIMIT 1",
            "INSERT INTO sync_runs (id, target, why, worker) VALUES (gen_random_uuid(), 'walrus', 'manual', 'x')",
            "INSERT INTO aliases (id, memory_id) SELECT gen_random_uuid(), id FROM memories LIMIT 1",
        ):
            await connection.execute(statement)
    return {"id": stored.id, "scope": scope}


async def test_no_table_shows_a_private_row(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        await fill(alice)
        async with other.database.connection() as connection:
            tables = [
                row["name"]
                for row in await connection.fetch(
                    "SELECT c.oid::regclass::text AS name FROM pg_class c "
                    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
                )
            ]
            shown_rows = {
                name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables
            }
        async with alice.database.connection() as connection:
            own_rows = {
                name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables
            }
    public = {"alembic_version", "embedding_models"}
    assert {name for name, count in shown_rows.items() if count} == public
    empty = {name for name, count in own_rows.items() if not count}
    assert all(name.startswith("embeddings_1_") for name in empty), empty


async def test_no_function_of_the_product_shows_it(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        known = await fill(alice)
        for mode in ("hybrid", "vector", "text"):
            found = await other.retriever.search(SearchRequest(query="walrus password", mode=mode))
            assert found.hits == ()
        with pytest.raises(NotFound):
            await other.retriever.search(
                SearchRequest(query="walrus", wanted=MemoryFilter(projects=("hidden",)))
            )
        assert await other.memories.list_memories(MemoryFilter()) == []
        for reference in (str(known["id"]), shown(known["id"])):  # type: ignore[arg-type]
            with pytest.raises(NotFound):
                await other.memories.get(await other.memories.resolve(reference))
        with pytest.raises(NotFound):
            await other.memories.supersede(known["id"], "Mine now.")  # type: ignore[arg-type]
        assert await other.memories.forget([known["id"]]) == []  # type: ignore[list-item]
        assert await other.conversations.read("s1") == []
        assert await other.records.list_executions() == []
        assert await other.records.list_metrics("walrus") == []
        assert await other.memories.count_waiting() == 0
        assert await other.memories.embed_waiting() == 0
        groups, totals = await other.memories.stats()
        assert groups == [] and totals["live"] == 0
        assert len((await alice.retriever.search(SearchRequest(query="walrus"))).hits) >= 3


async def test_the_same_text_and_id_do_not_betray_it(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        known = await fill(alice)
        mine = await other.memories.store(NewMemory(content=SECRET, project="hidden"))
        assert mine.created and mine.id != known["id"]
        with pytest.raises(Conflict) as caught:
            await other.memories.store(NewMemory(content="Guess.", id=known["id"]))  # type: ignore[arg-type]
        assert SECRET not in str(caught.value)


async def test_a_forged_scope_is_refused(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        known = await fill(alice)
        shared = await alice.memories.store(NewMemory(content="Shared.", visibility="shared"))
        for scope_of in (known["id"], shared.id):
            async with alice.database.connection() as connection:
                scope = await connection.fetchval(
                    "SELECT scope_no FROM memories WHERE id = $1", scope_of
                )
            with pytest.raises(Forbidden):
                async with other.database.connection() as connection:
                    await connection.execute(
                        "INSERT INTO memories (id, scope_no, collection, source_system, content, "
                        "content_hash) VALUES (gen_random_uuid(), $1, 'note', 'x', 'forged', "
                        "decode(repeat('00', 32), 'hex'))", scope,
                    )  # fmt: skip
            with pytest.raises(Forbidden):
                async with other.database.connection() as connection:
                    await connection.execute(
                        "INSERT INTO postings VALUES ('walrus', 1, $1, 1, 1)", scope
                    )


async def test_shared_memories_are_seen_but_not_changed(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        shared = await alice.memories.store(
            NewMemory(content="Everyone may know the walrus.", visibility="shared")
        )
        for mode in ("hybrid", "vector", "text"):
            found = await other.retriever.search(SearchRequest(query="walrus", mode=mode))
            assert [hit.memory.id for hit in found.hits] == [shared.id]
        assert (await other.memories.get(shared.id)).owner == "mahavishnu"
        assert await other.memories.forget([shared.id]) == []
        with pytest.raises((Forbidden, NotFound)):
            await other.memories.supersede(shared.id, "Nobody may.")
        assert (await alice.memories.get(shared.id)).superseded_by is None


async def test_a_member_cannot_change_the_schema_or_register_a_model(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world(at=bob) as other:
        stored = await other.memories.store(NewMemory(content="Words only for now."))
        assert not stored.embedded
        with pytest.raises((Forbidden, Unavailable)):
            await other.memories.embed_waiting()


async def test_the_project_of_a_shared_memory_is_named_and_filters(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        await alice.memories.store(NewMemory(content="Private.", project="ocean"))
        shared = await alice.memories.store(
            NewMemory(content="Shared.", project="ocean", visibility="shared")
        )
        assert (await other.memories.get(shared.id)).project == "ocean"
        listed = await other.memories.list_memories(MemoryFilter(projects=("ocean",)))
        assert [memory.id for memory in listed] == [shared.id]


@pytest.mark.parametrize("exact_up_to", [20_000, 0], ids=["few", "many"])
@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
async def test_what_expired_of_others_is_neither_shown_nor_purged_nor_in_the_way(
    open_world: OpenWorld,
    bob: Target,
    mode: Mode,
    exact_up_to: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mahavishnu.memory.tiers.cold.EXACT_UP_TO", exact_up_to)
    async with open_world() as alice, open_world(at=bob) as other:
        await alice.expire(
            await alice.memories.store_batch(
                [NewMemory(content=f"tide {n}", visibility="shared") for n in range(300)]
            )
        )
        live = await other.memories.store(NewMemory(content="the tide table of the long pier"))
        found = await other.retriever.search(SearchRequest(query="tide", mode=mode))
        assert await other.memories.list_memories(MemoryFilter(), limit=10) == [
            await other.memories.get(live.id)
        ]
        await other.memories.forgetting.purge_expired()
        async with alice.database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM memories") == 300
        assert [hit.memory.id for hit in found.hits] == [live.id]


async def test_a_project_s_name_means_all_visible_projects_of_that_name(
    open_world: OpenWorld, bob: Target
) -> None:
    shop = MemoryFilter(projects=("shop",))
    async with open_world() as alice, open_world(at=bob) as other:
        await alice.memories.store(
            NewMemory(content="The deploy runs at nine.", project="shop", visibility="shared")
        )
        await alice.memories.store(NewMemory(content="A private deploy.", project="shop"))
        request = SearchRequest(query="deploy", wanted=shop)
        assert len((await other.retriever.search(request)).hits) == 1
        await other.memories.store(NewMemory(content="My own deploy note.", project="shop"))
        assert len((await other.retriever.search(request)).hits) == 2
        assert len(await other.memories.list_memories(shop)) == 2


async def test_a_checkout_is_of_a_project_of_one_s_own(
    open_world: OpenWorld, bob: Target, tmp_path: Path
) -> None:
    commit(tmp_path)
    async with open_world() as alice, open_world(at=bob) as other:
        hers = await alice.projects.identify(tmp_path)
        await alice.memories.store(
            NewMemory(content="Shared.", project=hers.name, visibility="shared")
        )
        his = await other.projects.identify(tmp_path)
        assert his.id != hers.id and await other.projects.identify(tmp_path) == his


async def test_who_waits_for_vectors_is_told_apart(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        for n in range(2):
            await alice.memories.store(NewMemory(content=f"Shared {n}.", visibility="shared"))
            news = [NewMemory(content=f"Waits {n}.", visibility="shared")]
            assert [stored async for stored in alice.memories.store_many(news, embed=False)]
        [part] = (await other.retriever.search(SearchRequest(query="shared"))).degraded
        assert part.reason.startswith("2 memories of others wait for their vectors")
        assert not part.waiting
        [part] = (await alice.retriever.search(SearchRequest(query="shared"))).degraded
        assert part.reason.startswith("2 memories wait") and part.waiting
        documents = MemoryFilter(collections=("document",))
        result = await alice.retriever.search(SearchRequest(query="shared", wanted=documents))
        assert result.degraded == ()
