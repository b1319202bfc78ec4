"""Insights on a real PostgreSQL: found once, tied to their sources, shared under row-level security, and counted."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mahavishnu.base.errors import Forbidden, NotFound, UsageError
from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.forgetting import ForgettingRules
from mahavishnu.memory.insights.extraction import MARKS
from mahavishnu.memory.insights.following import InsightTarget
from mahavishnu.memory.insights.insights import InsightFilter, Insights
from mahavishnu.memory.models import Memory, MemoryFilter, NewMemory
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.port import MemoryChange
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.store import MemoryStore
from mahavishnu.memory.transfer.transfer import Transfer
from tests.conftest import OpenWorld, World
from tests.support.mirrored import catch_up

pytestmark = pytest.mark.postgres
TEXT = "Partitions of one graph give a recall of .96, one shared graph .85."
OTHER = "A walrus sleeps in the water as well as on the ice."
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVERYTHING = InsightFilter()


def marked(*texts: str) -> str:
    return "Look:\n" + "".join(f"★ Insight ─────\n{text}\n─────\n" for text in texts)


def insights_of(world: World) -> Insights:
    return Insights(world.database, world.memories, world.space, world.scopes)


async def follow(world: World, marks: Sequence[str] = MARKS) -> list[Memory]:
    """Let the insights follow what is stored; returns them, the newest first."""
    target = InsightTarget(world.database, world.memories, marks)
    await catch_up(Outbox(world.database, world.memories, [target]))
    return await insights_of(world).find(EVERYTHING)


async def note(world: World, *texts: str, project: str | None = "reef") -> UUID:
    return (await world.memories.store(NewMemory(content=marked(*texts), project=project))).id


async def turn(world: World, position: int, content: str, role: str = "assistant") -> UUID:
    new = NewTurn(
        session_id="s", position=position, role=role, content=content, project="reef", occurred_at=MOMENT
    )  # type: ignore[arg-type]  # fmt: skip
    return (await world.conversations.record([new]))[0].id


async def run(
    world: World, number: int, error: str, workflow: str = "w", project: str = "reef"
) -> None:
    at = MOMENT + timedelta(days=number)
    await world.records.record_execution(
        NewExecution(
            execution_id=f"{workflow}{number}", workflow_id=workflow, adapter="tests", status="failed",
            started_at=at, finished_at=at, error=error, project=project,
        )
    )  # fmt: skip


async def test_an_insight_is_kept_once_in_a_project_with_each_place_that_says_it(
    world: World,
) -> None:
    said = await turn(world, 3, marked(TEXT, OTHER))
    kept = await note(world, TEXT.upper())
    await run(world, 1, marked(TEXT))
    await note(world, TEXT, project="elsewhere")
    await turn(world, 4, marked("What a tool prints is not said by anybody."), role="tool")
    found = await follow(world)
    by_text = {(each.content, each.project): each for each in found}
    assert by_text.keys() == {(TEXT, "reef"), (OTHER, "reef"), (TEXT, "elsewhere")}
    insight = by_text[TEXT, "reef"]
    [failed] = await world.records.list_executions("w")
    assert insight.metadata["sources"] == [
        {"id": str(said), "session_id": "s", "position": 3},
        {"id": str(kept)},
        {"id": str(failed.memory_id), "workflow_id": "w", "execution_id": "w1"},
    ]
    assert (insight.memory_type, insight.session_id, insight.occurred_at) == (
        "insight",
        "s",
        MOMENT,
    )
    assert insight.metadata["doc_type"] == "insight" and insight.metadata["extracted_at"]
    for wanted in (
        InsightFilter(session_id="s"),
        InsightFilter(workflow_id="w"),
        InsightFilter(source=kept),
    ):
        assert insight in await insights_of(world).find(wanted)
    # With other marks everything is read again, and with these once more: nothing is kept twice.
    assert await follow(world, ["◆ Decision"]) == found
    assert await follow(world) == found


async def test_an_insight_says_what_its_source_says_now(world: World) -> None:
    await turn(world, 0, marked(TEXT))
    [first] = await follow(world)
    full = await turn(world, 0, marked(TEXT) + "And so on.")
    [insight] = await follow(world)
    assert insight.id == first.id
    assert [each["id"] for each in insight.metadata["sources"]] == [str(full)]
    await world.memories.supersede(full, marked(OTHER))
    assert [each.content for each in await follow(world)] == [OTHER]


async def test_what_expires_leaves_no_insight(world: World) -> None:
    await world.memories.store(
        NewMemory(content=marked(TEXT), expires_at=datetime.now(UTC) + timedelta(days=1))
    )
    assert await follow(world) == []


async def test_an_insight_goes_and_comes_back_with_its_last_source(world: World) -> None:
    first, second = await note(world, TEXT, OTHER), await note(world, OTHER)
    before = await follow(world)
    insight = next(each for each in before if each.content == TEXT)
    assert {*await world.memories.forget([first], dry_run=True)} == {first, insight.id}
    assert {*await world.memories.forget([first])} == {first, insight.id}
    assert [each.content for each in await follow(world)] == [OTHER]
    assert {*await world.memories.forgetting.restore([first])} == {first, insight.id}
    assert await follow(world) == before
    await world.memories.forget([first, second])
    assert await follow(world) == []


async def test_an_insight_that_was_found_again_stays_when_its_first_source_comes_back(
    world: World,
) -> None:
    first = await note(world, TEXT)
    await follow(world)
    await world.memories.forget([first])
    second = await note(world, f"{TEXT}", OTHER)
    found = next(each for each in await follow(world) if each.content == TEXT)
    assert await world.memories.forgetting.restore([first]) == [first]
    insight = next(each for each in await follow(world) if each.content == TEXT)
    assert insight.id == found.id
    assert [each["id"] for each in insight.metadata["sources"]] == [str(second), str(first)]


async def test_purging_the_source_deletes_the_text_of_its_insights_for_good(world: World) -> None:
    known = await note(world, TEXT)
    await follow(world)
    forgotten = await note(world, OTHER)
    await follow(world)
    await world.memories.forget([forgotten])  # its insight is a tombstone now
    await world.memories.forget([known, forgotten], purge=True)
    await follow(world)
    left = await world.database.run(
        lambda c: c.fetchval(
            "SELECT (SELECT count(*) FROM memories) + (SELECT count(*) FROM forgotten_memories)"
        )
    )
    assert left == 0


async def test_what_is_deleted_while_it_is_read_leaves_no_insight(world: World) -> None:
    known = await note(world, TEXT)
    memory = await world.memories.get(known)
    await world.memories.forget([known], purge=True)
    late = MemoryChange(1, 1, "stored", known, MOMENT, memory)
    assert await InsightTarget(world.database, world.memories, MARKS).deliver([late]) is None
    assert await insights_of(world).find(EVERYTHING) == []


async def test_an_insight_outlasts_a_source_that_is_forgotten_for_its_age(world: World) -> None:
    await note(world, TEXT)
    before = await follow(world)
    await world.database.run(
        lambda c: c.execute("UPDATE memories SET stored_at = now() - interval '1 year'")
    )
    rules = ForgettingRules(retention={"agent": timedelta(days=30)})
    store = MemoryStore(world.database, world.space, world.scopes, rules)
    assert await store.forgetting.prune() == 1
    assert [each.id for each in await follow(world)] == [each.id for each in before]


async def test_an_insight_that_was_forgotten_alone_is_not_found_again_in_the_same_text(
    world: World,
) -> None:
    await note(world, TEXT)
    [insight] = await follow(world)
    await world.memories.forget([insight.id])
    await follow(world, ["◆ Decision"])
    assert await follow(world) == []


async def test_metadata_of_another_shape_is_in_nobodys_way(world: World) -> None:
    for number, sources in enumerate(("no list", [1, {"id": 7}, {"id": "no id"}], {"id": []})):
        await world.memories.store(
            NewMemory(content=f"By hand {number}.", collection="insight",
                      metadata={"sources": sources, "targets": sources, "doc_type": "insight"})
        )  # fmt: skip
    known = await note(world, TEXT)
    assert len(await follow(world)) == 4
    await world.memories.forget([known])
    assert len(await follow(world)) == 3
    assert (await insights_of(world).find(InsightFilter(projects=("reef",)))) == []
    assert await insights_of(world).patterns.find() == []


async def found_in(world: World, *projects: str, mode: str = "hybrid") -> list[str]:
    wanted = MemoryFilter(projects=projects)
    request = SearchRequest(query="recall of partitions", wanted=wanted, mode=mode)  # type: ignore[arg-type]
    result = await world.retriever.search(request)
    return [hit.memory.content for hit in result.hits if hit.memory.memory_type == "insight"]


async def test_a_shared_insight_is_found_in_its_targets_and_its_source_is_not(world: World) -> None:
    await note(world, TEXT, OTHER)
    for project in ("api", "web"):
        await world.memories.store(NewMemory(content=f"{project} has partitions.", project=project))
    by_text = {each.content: each for each in await follow(world)}
    await world.memories.embed_waiting()
    insights, insight = insights_of(world), by_text[TEXT]
    assert await found_in(world, "api") == []
    shared = await insights.share(insight.id, ["api", "reef"])
    assert (shared.id, shared.visibility) == (insight.id, "private")
    assert shared.metadata["targets"] == ["api"]
    await insights.share(insight.id, ["web"], share_type="group")
    for mode in ("hybrid", "vector", "text"):
        assert await found_in(world, "api", mode=mode) == [TEXT]
    assert await found_in(world, "api", "reef") == [TEXT, OTHER]
    found = await world.retriever.search(
        SearchRequest(query="recall of partitions", wanted=MemoryFilter(projects=("web",)))
    )
    assert [hit.memory.content for hit in found.hits] == [TEXT, "web has partitions."]
    for narrowed in (
        MemoryFilter(projects=("api",), collections=("note",)),
        MemoryFilter(projects=("api",), agent_id="nobody"),
    ):
        found = await world.retriever.search(SearchRequest(query="recall", wanted=narrowed))
        assert TEXT not in [hit.memory.content for hit in found.hits]
    assert await insights.find(InsightFilter(projects=("web",))) == [
        await world.memories.get(insight.id)
    ]
    with pytest.raises(UsageError) as caught:
        await insights.share(UUID(insight.metadata["sources"][0]["id"]), ["api"])
    assert caught.value.code == "insight.not_one"


async def test_a_shared_one_says_what_it_is_and_since_when_also_where_it_was_stored_by_hand(
    world: World,
) -> None:
    await note(world, TEXT)
    [found] = await follow(world)
    by_hand = await world.memories.store(NewMemory(content=OTHER, collection="insight"))
    stored_at = (await world.memories.get(by_hand.id)).stored_at
    for each in (found.id, by_hand.id):
        shared = await insights_of(world).share(each, ["api"])
        assert shared.metadata["doc_type"] == "insight"
        assert shared.metadata["share_type"] == "direct"
    assert datetime.fromisoformat(shared.metadata["extracted_at"]) == stored_at.replace(
        microsecond=0
    )
    again = await insights_of(world).share(found.id, ["web"])
    assert again.metadata["extracted_at"] == found.metadata["extracted_at"]


@pytest.mark.leak
async def test_another_role_sees_an_insight_only_once_it_is_shared_and_never_its_source(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        source = await note(alice, TEXT)
        await other.memories.store(NewMemory(content="Mine.", project="api"))
        [insight] = await follow(alice)
        await insights_of(alice).share(insight.id, ["api"])
        assert await found_in(other, "api") == [] == await insights_of(other).find(EVERYTHING)
        shared = await insights_of(alice).share(insight.id, ["api"], visibility="shared")
        assert shared.id != insight.id and shared.metadata["targets"] == ["api"]
        assert (await alice.memories.get(insight.id)).superseded_by == shared.id
        assert await found_in(other, "api") == [TEXT]
        [seen] = await insights_of(other).find(InsightFilter(projects=("api",)))
        assert (seen.id, seen.owner) == (shared.id, shared.owner)
        with pytest.raises(NotFound):
            await other.memories.get(source)
        with pytest.raises(Forbidden):
            await insights_of(other).share(shared.id, ["api"])
        with pytest.raises(Forbidden):
            await insights_of(other).find_own(EVERYTHING)
        # Found again, it is still that one, which stays shared.
        again = await note(alice, TEXT, OTHER)
        by_text = {each.content: each for each in await follow(alice)}
        assert by_text[TEXT].id == shared.id and by_text[OTHER].visibility == "private"
        assert str(again) in [each["id"] for each in by_text[TEXT].metadata["sources"]]
        assert await insights_of(alice).share(shared.id, ["api"]) == by_text[TEXT]


async def test_a_pattern_is_kept_once_and_superseded_when_there_is_more_behind_it(
    world: World,
) -> None:
    patterns = insights_of(world).patterns
    for number in (1, 2):
        await run(world, number, f"TimeoutError: no answer after {number}.5 s")
    assert await patterns.find() == []
    await run(world, 3, "TimeoutError: no answer after 30 s", workflow="v", project="atoll")
    [first] = await patterns.find()
    assert first.changed and first.memory.metadata["times"] == 3
    assert first.memory.metadata["targets"] == ["atoll", "reef"]
    failed = await world.records.list_executions()
    assert [each["id"] for each in first.memory.metadata["sources"]] == [
        str(each.memory_id) for each in failed
    ]
    [again] = await patterns.find(["atoll"])
    assert not again.changed and again.memory == first.memory
    assert await patterns.find(["elsewhere"]) == []
    shared = await insights_of(world).share(first.memory.id, ["far"], visibility="shared")
    await run(world, 4, "TimeoutError: no answer after 9 s", workflow="v", project="atoll")
    [more] = await patterns.find()
    assert more.changed and more.memory.metadata["times"] == 4
    assert (await world.memories.get(shared.id)).superseded_by == more.memory.id
    assert more.memory.visibility == "shared" and "far" in more.memory.metadata["targets"]
    live = await insights_of(world).find(InsightFilter(kind="pattern"))
    assert [each.id for each in live] == [more.memory.id]
    await world.memories.forget([more.memory.id])
    assert await patterns.find() == []


async def test_an_insight_of_several_projects_becomes_a_pattern_that_goes_with_them(
    world: World,
) -> None:
    sources = [await note(world, TEXT, project=name) for name in ("reef", "atoll")]
    insights = await follow(world)
    [kept] = await insights_of(world).patterns.find()
    assert kept.memory.content == f"Found 2 times, in atoll, reef: {TEXT}"
    assert {each["id"] for each in kept.memory.metadata["sources"]} == {
        str(each.id) for each in insights
    }
    await world.memories.forget(sources, purge=True)
    assert await insights_of(world).find(EVERYTHING) == []


async def test_an_export_brings_insights_and_their_sources_elsewhere(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        known = await note(alice, TEXT)
        [insight] = await follow(alice)
        exported = io.BytesIO()
        await Transfer(alice.database, alice.space, alice.scopes).export(exported.write)
        await alice.memories.forget([known], purge=True)

        async def report(_lines: int) -> None:
            pass

        exported.seek(0)
        await Transfer(other.database, other.space, other.scopes).import_lines(exported, report)
        [brought] = await follow(other)
        assert (brought.id, brought.metadata) == (insight.id, insight.metadata)
        assert {*await other.memories.forget([known])} == {known, insight.id}
