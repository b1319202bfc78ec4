"""The operations on a real database: what they promise, refuse, repeat and page."""

import base64
import math
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from mahavishnu.base.errors import (
    Conflict,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.identifiers import new_id
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.memory.models import NewMemory
from mahavishnu.operations.operation import Call, Operation
from mahavishnu.operations.requests import DEFAULT_BUDGET, LEAST_BUDGET
from mahavishnu.operations.table import OPERATIONS
from tests.conftest import OpenWorld, World
from tests.support.fakes import FakeEmbedder, FakeTarget, fake_vector
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
BY_NAME: dict[str, Operation[Any, Any]] = {operation.name: operation for operation in OPERATIONS}


class Caller:
    """Calls operations by name with JSON values, and holds both sides to their schemas."""

    def __init__(self, call: Call) -> None:
        self.call = call

    async def __call__(self, name: str, **values: Any) -> Any:
        operation = BY_NAME[name]
        jsonschema.validate(values, operation.input_schema)
        result = await operation.run(self.call, operation.parse(values))
        decoded = msgspec.json.decode(msgspec.json.encode(result))
        jsonschema.validate(
            decoded, operation.output_schema, format_checker=jsonschema.FormatChecker()
        )
        budget = values.get("max_tokens", DEFAULT_BUDGET)
        if budget is not None and "max_tokens" in operation.input_schema["properties"]:
            assert tokens(decoded) <= budget
        return decoded


def tokens(decoded: Any) -> int:
    return estimate_tokens(msgspec.json.encode(decoded).decode())


@pytest.fixture
async def ask(world: World, tmp_path: Path) -> Caller:
    return Caller(Call(app_of(world, tmp_path), "tests"))


def base64_of(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


async def refusal(error: type[MahavishnuError], work: Any) -> str:
    with pytest.raises(error) as caught:
        await work
    return caught.value.code


async def count(world: World) -> int:
    return int((await world.memories.stats())[1]["live"])


async def test_every_operation_keeps_its_schemas(ask: Caller) -> None:
    for operation in OPERATIONS:
        jsonschema.Draft202012Validator.check_schema(operation.input_schema)
        jsonschema.Draft202012Validator.check_schema(operation.output_schema)
    stored = await ask("store_memory", content="We deploy at nine.", project="shop",
                       metadata={"type": "decision", "n": [1, {"a": None}]}, visibility="shared",
                       agent_id="a", workflow_id="w", repo_id="r", session_id="s",
                       occurred_at="2026-01-02T03:04:05+01:00", expires_at="2999-01-01")  # fmt: skip
    assert stored["created"] and stored["embedded"] and stored["locations"] == ["postgresql"]
    answer = await ask("search", query="deploy", explain=True, projects=["shop"], threshold=-1.0,
                       metadata={"type": "decision"}, since="52w", agent_id="a", mode="hybrid")  # fmt: skip
    [hit] = answer["hits"]
    assert hit["id"] == stored["id"] and answer["explanation"]["terms"] and "left_out" not in hit
    assert hit["occurred_at"] == "2026-01-02T02:04:05Z" and hit["source_system"] == "tests"
    got = await ask("get_memory", id=stored["id"][-8:])
    assert (got["content"], got["truncated"], got["total_characters"]) == (
        "We deploy at nine.",
        False,
        18,
    )
    [listed] = (await ask("list_memories", memory_types=["agent"], collections=["note"]))[
        "memories"
    ]
    assert listed["metadata"] == {"type": "decision", "n": [1, {"a": None}]}
    stats = await ask("memory_stats")
    assert stats["totals"]["live"] == 1 and stats["model"] == "fake"
    assert [(g["project"], g["memories"]) for g in stats["groups"]] == [("shop", 1)]
    changed = await ask("supersede_memory", id=stored["id"], content="We deploy at ten.")
    assert changed["created"] and changed["supersedes"] == stored["id"]
    assert (await ask("get_memory", id=stored["id"]))["superseded_by"] == changed["id"]
    gone = await ask("forget_memory", ids=[changed["id"]], confirm=True)
    assert gone["confirmed"] and sorted(gone["ids"]) == sorted([stored["id"], changed["id"]])
    assert (await ask("memory_stats"))["totals"]["live"] == 0
    assert (await ask("search", query="deploy"))["hits"] == []


async def test_each_call_repeated_leaves_the_same_state(ask: Caller, world: World) -> None:
    for name in ("store_memory", "store_unified_memory"):
        values = {"occurred_at": "2h"} if name == "store_memory" else {}
        first = await ask(name, content=f"Stored by {name}.", **values)
        again = await ask(name, content=f"Stored by {name}.", **values)
        assert first["created"] and again == {**first, "created": False}
    told = await ask("store_memory", content="Stored by store_memory.", occurred_at="2026-01-01",
                     agent_id="a")  # fmt: skip
    assert told["not_kept"] == ["agent_id", "occurred_at"]
    first = await ask("supersede_memory", id=first["id"], content="Corrected.")
    again = await ask("supersede_memory", id=first["supersedes"], content="Corrected.")
    assert again == {**first, "created": False}
    assert await count(world) == 2
    for name, values in (("search", {"query": "corrected"}), ("list_memories", {}),
                         ("get_memory", {"id": first["id"]}), ("memory_stats", {})):  # fmt: skip
        assert await ask(name, **values) == await ask(name, **values)
    corrected = first["id"]
    first = await ask("forget_memory", ids=[corrected], confirm=True)
    again = await ask("forget_memory", ids=[corrected], confirm=True)
    assert first["count"] == len(first["ids"]) == 2 and corrected in first["ids"]
    assert again == {
        "confirmed": True,
        "count": 0,
        "ids": [],
        "not_found": [corrected],
        "not_own": [],
    }
    assert await count(world) == 1
    back = await ask("restore_memory", ids=[corrected])
    assert sorted(back["ids"]) == sorted(first["ids"]) and back["not_forgotten"] == []
    again = await ask("restore_memory", ids=[corrected[-8:]])
    assert again == {"count": 0, "ids": [], "not_forgotten": [corrected]}
    await ask("forget_memory", ids=[corrected], confirm=True)
    spool = ask.call.app.writes.spool.path
    aside = spool.with_name(f"{spool.name}.damaged-1")
    spool.parent.mkdir(parents=True, exist_ok=True)
    aside.write_bytes(b"")
    for purged in (2, 0):
        told = await ask("forget_memory", ids=[corrected[-8:]], purge=True, confirm=True)
        assert told["count"] == purged and "backup list" in told["not_reached"][0]
        assert "backup prune --replaced" in told["not_reached"][1]
        assert told["not_reached"][-2].startswith(f"{aside},")
        assert told["not_reached"][-1] == f"older lines of {FakeTarget().name}"


async def test_a_text_that_was_superseded_is_stored_anew(ask: Caller) -> None:
    old = await ask("store_memory", content="One.")
    await ask("supersede_memory", id=old["id"], content="Two.")
    again = await ask("store_memory", content="One.")
    assert again["created"] and again["id"] != old["id"]


async def test_a_correction_lost_between_two_others_is_still_answered(ask: Caller) -> None:
    old = await ask("store_memory", content="One.")
    two = await ask("supersede_memory", id=old["id"], content="Two.")
    await ask("supersede_memory", id=two["id"], content="Three.")
    assert (await ask("supersede_memory", id=old["id"], content="Two."))["id"] == two["id"]
    code = await refusal(Conflict, ask("supersede_memory", id=old["id"], content="Four."))
    assert code == "memory.superseded"
    code = await refusal(Conflict, ask("supersede_memory", id=two["id"], content="Two."))
    assert code == "memory.superseded"


async def test_forgetting_asks_first(ask: Caller, world: World) -> None:
    ids = [(await ask("store_memory", content=f"Text {n}."))["id"] for n in range(3)]
    unknown = str(new_id())
    told = await ask("forget_memory", ids=[*ids[:2], unknown, "0123abcd"])
    assert not told["confirmed"] and sorted(told["ids"]) == sorted(ids[:2]) and told["count"] == 2
    assert told["not_found"] == [unknown, "0123abcd"]
    assert await count(world) == 3
    assert (
        await refusal(UsageError, ask("forget_memory", ids=[ids[0], "nonsense"], confirm=True))
        == "input.id"
    )
    assert await count(world) == 3  # a call that is wrong deletes nothing, not even a part
    gone = await ask("forget_memory", ids=[ids[0], ids[0][-8:], ids[0]], confirm=True)
    assert gone["ids"] == [ids[0]] and gone["count"] == 1
    assert await count(world) == 2


async def test_what_belongs_to_others_is_not_forgotten_or_changed(
    ask: Caller, open_world: OpenWorld, bob: Any, tmp_path: Path
) -> None:
    shared = await ask("store_memory", content="Seen by all.", visibility="shared")
    async with open_world(at=bob) as world:
        other = Caller(Call(app_of(world, tmp_path), "tests"))
        told = await other("forget_memory", ids=[shared["id"]], confirm=True)
        assert (told["count"], told["ids"], told["not_own"]) == (0, [], [shared["id"]])
        code = await refusal(Forbidden, other("supersede_memory", id=shared["id"], content="Mine."))
        assert code == "memory.not_own"
    assert (await ask("get_memory", id=shared["id"]))["content"] == "Seen by all."


async def test_shown_ids_are_taken_where_they_are_clear(ask: Caller, world: World) -> None:
    alike = []
    for n in range(2):
        made = new_id()
        made = type(made)(made.hex[:-8] + "00c0ffee")
        alike.append(made)
        await world.memories.store(NewMemory(content=f"Alike {n}.", id=made))
    for name, values in (("get_memory", {}), ("supersede_memory", {"content": "New."})):
        code = await refusal(Conflict, ask(name, id="00c0ffee", **values))
        assert code == "memory.ambiguous"
    assert (
        await refusal(Conflict, ask("forget_memory", ids=["00c0ffee"], confirm=True))
        == "memory.ambiguous"
    )
    assert await count(world) == 2
    for made in alike:
        assert (await ask("get_memory", id=str(made)))["id"] == str(made)
        assert (await ask("get_memory", id=made.hex.upper()))["id"] == str(made)
    assert await refusal(NotFound, ask("get_memory", id="deadbeef")) == "memory.not_found"


async def test_pages_neither_skip_nor_repeat_while_others_store(ask: Caller, world: World) -> None:
    before = await world.memories.store_batch(
        [NewMemory(content=f"Old {n}.", metadata={"k": "v1" * (n * 20)}) for n in range(23)]
    )
    seen: list[str] = []
    cursor, pages = None, 0
    while True:
        budget = 1_500 if pages % 2 else None
        page = await ask("list_memories", limit=5, cursor=cursor, max_tokens=budget)
        seen += [memory["id"] for memory in page["memories"]]
        assert page["memories"]
        pages += 1
        await ask("store_memory", content=f"New, stored after page {pages}.")
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 23 and set(seen) == {str(each.id) for each in before}
    assert pages > 5  # some were cut short by the budget


async def test_a_full_last_page_says_that_it_is_the_last(ask: Caller) -> None:
    for n in range(4):
        await ask("store_memory", content=f"Text {n}.")
    first = await ask("list_memories", limit=2)
    last = await ask("list_memories", limit=2, cursor=first["next_cursor"])
    assert len(last["memories"]) == 2 and "next_cursor" not in last
    assert "next_cursor" not in await ask("list_memories", limit=4)
    assert "next_cursor" not in await ask("list_memories", limit=1000)
    assert await ask("list_memories", projects=[]) == await ask("list_memories")


@pytest.mark.parametrize(
    "cursor", ["x", "A" * 22 + "!", "é" * 22, "_" * 22, "-" * 100, "=" * 22, "A" * 21]
)
async def test_a_cursor_of_somebody_else_is_refused_or_leads_nowhere(
    ask: Caller, cursor: str
) -> None:
    try:
        assert (await ask("list_memories", cursor=cursor))["memories"] == []
    except UsageError as error:
        assert error.code == "input.cursor"


async def test_a_long_memory_comes_whole_in_parts_that_fit(ask: Caller) -> None:
    content = '"Quoted\n\\paths\t🙂 日本語 deadbeef0123 ' * 300
    stored = await ask("store_memory", content=content, metadata={"long": "m" * 20_000})
    got, start = "", 0
    for _ in range(200):
        part = await ask("get_memory", id=stored["id"], start=start, max_tokens=1_500)
        assert part["left_out"] == ["metadata"] and part["char_start"] == start
        got += part["content"]
        start = part["char_end"]
        if not part["truncated"]:
            break
    assert got == content and start == part["total_characters"]
    whole = await ask("get_memory", id=stored["id"], max_tokens=None)
    assert whole["content"] == content and len(whole["metadata"]["long"]) == 20_000
    for past in (len(content), 2**63, 10**40):
        assert (
            await refusal(UsageError, ask("get_memory", id=stored["id"], start=past))
            == "input.start"
        )
    end = await ask("get_memory", id=stored["id"], start=len(content) - 1)
    assert end["content"] == content[-1] and not end["truncated"]


async def test_answers_fit_the_budget_and_say_what_they_lack(ask: Caller) -> None:
    for n in range(12):
        await ask(
            "store_memory",
            content=f"walrus {n} " + '"tide"\n' * 200 * (n % 3),
            metadata={"k": "v" * 900},
        )
    for budget in (LEAST_BUDGET, 1_000, 4_000, 1_000_000):
        answer = await ask(
            "search", query="walrus " + "tide " * 1_900, max_tokens=budget, explain=True
        )
        assert answer["hits"] and len(answer["hits"]) + answer.get("omitted", 0) == 10
        for hit in answer["hits"]:
            whole = (await ask("get_memory", id=hit["id"], max_tokens=None))["content"]
            assert hit.get("truncated", False) == (hit["content"] != whole)
    assert "omitted" not in answer and "left_out" not in answer
    page = await ask("list_memories", max_tokens=LEAST_BUDGET)
    assert page["memories"] and page["next_cursor"]


async def test_counts_and_what_would_go_fit_the_budget(ask: Caller, world: World) -> None:
    await world.memories.store_batch(
        [NewMemory(content=f"In {n}.", project=f"project {n} " + "🙂" * 50) for n in range(60)]
        + [NewMemory(content=f"More {n}.", project="largest") for n in range(3)]
    )
    stats = await ask("memory_stats", max_tokens=LEAST_BUDGET)
    assert stats["groups"][0]["project"] == "largest"
    assert stats["omitted"] == 61 - len(stats["groups"]) > 0 and stats["totals"]["live"] == 63
    whole = await ask("memory_stats", max_tokens=None)
    assert len(whole["groups"]) == 61 and "omitted" not in whole
    new = (await ask("store_memory", content="Version 0."))["id"]
    for n in range(1, 60):
        new = (await ask("supersede_memory", id=new, content=f"Version {n}."))["id"]
    unknown = [str(new_id()) for _ in range(99)]
    told = await ask("forget_memory", ids=[new, *unknown], max_tokens=LEAST_BUDGET)
    assert told["count"] == 60 and told["ids"][0] == new and told["not_found"]
    assert told["omitted"] == 60 + 99 - len(told["ids"]) - len(told["not_found"])
    told = await ask("forget_memory", ids=[new], max_tokens=None)
    assert len(told["ids"]) == told["count"] == 60 and "omitted" not in told


async def test_unified_memories_take_fields_from_metadata(ask: Caller) -> None:
    fields = {"memory_type": "rag", "collection": "code", "project": "shop", "source_system": "peer",
              "agent_id": "a", "workflow_id": "w", "repo_id": "r", "session_id": "s"}  # fmt: skip
    stored = await ask(
        "store_unified_memory", content="def f(): ...", metadata={**fields, "own": 1}
    )
    got = await ask("get_memory", id=stored["id"])
    assert {name: got[name] for name in fields} == fields and got["metadata"] == {"own": 1}
    for wrong, code in (
        ({"memory_type": "nothing"}, "input.type"), ({"project": 5}, "input.invalid"),
        ({"memory_type": "rag", "collection": "note"}, "input.collection"),
        ({"agent_id": "x" * 201}, "input.length"), ({"session_id": ""}, "input.length"),
    ):  # fmt: skip
        work = ask("store_unified_memory", content="Refused.", metadata=wrong)
        assert await refusal(UsageError, work) == code, wrong


async def test_vectors_of_ones_own_must_be_of_the_model_in_use(ask: Caller, world: World) -> None:
    vector = fake_vector("walrus", dimensions=64)
    stored = await ask(
        "store_unified_memory", content="Tusks.", embedding=vector, embedding_model="fake"
    )
    assert stored["embedded"]
    found = await ask(
        "search", query="whatever", mode="vector", embedding=vector, embedding_model="fake"
    )
    assert [hit["id"] for hit in found["hits"]] == [stored["id"]]
    for values, error, code in (
        ({"embedding_model": "fake"}, UsageError, "input.vector"),
        ({"embedding": vector, "embedding_model": "other"}, Conflict, "embedding.other_model"),
        ({"embedding": vector[:-1], "embedding_model": "fake"}, Conflict, "embedding.dimension_mismatch"),
        ({"embedding": [0.0] * 64, "embedding_model": "fake"}, UsageError, "input.vector"),
    ):  # fmt: skip
        for name, text in (
            ("store_unified_memory", {"content": "No."}),
            ("search", {"query": "no"}),
        ):
            assert await refusal(error, ask(name, **text, **values)) == code, (name, values)
    assert await count(world) == 1


async def test_an_unnamed_vector_is_of_the_model_in_use(ask: Caller, fresh: Caller) -> None:
    vector = fake_vector("walrus", dimensions=64)
    code = await refusal(UsageError, fresh("store_unified_memory", content="No.", embedding=vector))
    assert code == "input.vector"  # none is in use yet, and the embedder's is shorter
    await ask("store_memory", content="The first one.")
    stored = await ask("store_unified_memory", content="T.", embedding=vector, metadata={"n": 1})
    assert stored["embedded"]
    work = ask("store_unified_memory", content="No.", embedding=vector[:-1], metadata={})
    assert await refusal(Conflict, work) == "embedding.dimension_mismatch"
    found = await ask("search", query="whatever", mode="vector", embedding=vector)
    assert found["hits"][0]["id"] == stored["id"]


async def test_an_unnamed_first_vector_is_of_the_embedders_model(fresh: Caller) -> None:
    vector = fake_vector("walrus", dimensions=8)
    stored = await fresh("store_unified_memory", content="T.", embedding=vector, metadata={"n": 1})
    assert stored["embedded"] and (await fresh("memory_stats"))["model"] == "mine"
    found = await fresh("search", query="whatever", mode="vector", embedding=vector)
    assert [hit["id"] for hit in found["hits"]] == [stored["id"]]


async def test_an_unnamed_first_vector_without_an_embedder_is_refused(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    async def unreachable(_expected: object) -> Choice:
        raise Unavailable("The server does not answer.", code="embedding.unreachable")

    for with_error in (False, True):
        async with open_world(without_embedder=True) as world:
            if with_error:
                world.space._choose = unreachable
            ask = Caller(Call(app_of(world, tmp_path), "tests"))
            work = ask("store_unified_memory", content="No.", embedding=[1.0] * 8)
            assert await refusal(UsageError, work) == "input.vector"
            assert await count(world) == 0


async def test_a_search_looks_in_the_tiers_that_are_named(ask: Caller) -> None:
    await ask("store_memory", content="The walrus sleeps.")
    assert len((await ask("search", query="walrus", tiers=["cold"]))["hits"]) == 1
    for tiers, named in (
        ([], []),
        (["hot"], ["tier:hot"]),
        (["cold", "hot"], ["tier:hot"]),
        (["all"], ["tier:hot", "tier:development"]),
    ):
        answer = await ask("search", query="walrus", tiers=tiers)
        assert len(answer["hits"]) == 1
        assert [part["part"] for part in answer["degraded"]] == named
    development = ask("search", query="walrus", tiers=["development"])
    assert await refusal(UsageError, development) == "search.tier_not_yet"


async def test_a_vector_in_base64_is_the_vector_in_numbers(ask: Caller, world: World) -> None:
    walrus, tern = (fake_vector(word, dimensions=64) for word in ("walrus", "tern"))
    stored = [
        await ask("store_unified_memory", content=text, embedding=written, embedding_model="fake")
        for text, written in (("Tusks.", base64_of(walrus)), ("Beak.", tern))
    ]
    answers = [
        await ask("search", query="x", mode="vector", embedding=written, embedding_model="fake")
        for written in (walrus, base64_of(walrus))
    ]
    ids = [[hit["id"] for hit in answer["hits"]] for answer in answers]
    assert ids[0] == ids[1] == [each["id"] for each in stored]
    scores = [answer["hits"][0]["arms"]["vector"]["score"] for answer in answers]
    assert scores == pytest.approx([1.0, 1.0], abs=1e-3)
    for written in ("no base64!", base64_of(walrus)[:-3], base64.b64encode(b"12345").decode()):
        work = ask("search", query="x", embedding=written, embedding_model="fake")
        assert await refusal(UsageError, work) == "input.vector", written
    nowhere = base64_of([math.nan] * 64)
    work = ask("search", query="x", embedding=nowhere, embedding_model="fake")
    assert await refusal(UsageError, work) == "input.vector"


async def test_without_an_embedder_what_is_stored_waits(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    async with open_world(without_embedder=True) as world:
        ask = Caller(Call(app_of(world, tmp_path), "tests"))
        assert not (await ask("store_unified_memory", content="Waits here."))["embedded"]
        answer = await ask("search", query="waits", max_tokens=LEAST_BUDGET)
        assert len(answer["hits"]) == 1 and answer["degraded"][0]["part"] == "vector"
        stats = await ask("memory_stats")
        assert stats["totals"]["waiting"] == 1 and stats["model"] is None


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("store_memory", {"content": " \n"}, "memory.empty"),
        ("store_memory", {"content": "x" * 1_048_577}, "memory.too_large"),
        ("store_memory", {"content": "a\0b"}, "input.nul"),
        ("store_memory", {"content": "x", "collection": "code", "memory_type": "workflow"}, "input.collection"),
        ("store_memory", {"content": "x", "occurred_at": "yesterday"}, "input.time"),
        ("store_memory", {"content": "x", "occurred_at": "0001-01-01T00:00+14:00"}, "input.time"),
        ("store_memory", {"content": "x", "expires_at": "2020-01-01"}, "input.time"),
        ("store_memory", {"content": "x", "metadata": {"a": "b\0"}}, "input.nul"),
        ("store_memory", {"content": "x", "metadata": {"a": "b" * 70_000}}, "input.metadata"),
        ("store_memory", {"content": "x", "project": "p\0"}, "input.nul"),
        ("search", {"query": "  "}, "search.empty"),
        ("search", {"query": "a\0"}, "input.nul"),
        ("search", {"query": "a", "since": "1d", "until": "2d"}, "input.time"),
        ("search", {"query": "a", "since": "999999w"}, "input.time"),
        ("list_memories", {"agent_id": "\0"}, "input.nul"),
        ("list_memories", {"metadata": {"a": "\0"}}, "input.nul"),
        ("get_memory", {"id": "zzzz"}, "input.id"),
    ],
)  # fmt: skip
async def test_what_no_schema_can_say_is_refused_by_code(
    ask: Caller, world: World, name: str, values: dict[str, Any], code: str
) -> None:
    assert await refusal(UsageError, ask(name, **values)) == code
    assert await count(world) == 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_a_schema_forbids_is_refused(operation: Operation[Any, Any]) -> None:
    good: dict[str, Any] = {
        "search": {"query": "q"}, "get_memory": {"id": "0123abcd"}, "list_memories": {},
        "store_memory": {"content": "c"}, "store_unified_memory": {"content": "c"}, "memory_stats": {},
        "supersede_memory": {"id": "0123abcd", "content": "c"}, "forget_memory": {"ids": ["0123abcd"]},
        "record_turn": {"session_id": "s", "position": 0, "role": "user", "content": "c"},
        "list_sessions": {}, "get_session": {"session_id": "s"},
        "record_execution": {
            "execution_id": "e", "workflow_id": "w", "adapter": "a", "status": "running",
            "started_at": "2026-01-02",
        },
        "search_workflows": {}, "get_execution": {"id": "0123abcd"}, "workflow_stats": {},
        "record_metrics": {"component": "c", "metric_type": "m", "recorded_at": "2026-01-02"},
        "show_metrics": {}, "spool_status": {}, "drain_spool": {}, "list_events": {},
        "gateway_status": {}, "gateway_routes": {}, "gateway_log": {}, "gateway_usage": {},
        "pause_automation": {}, "test_alerts": {}, "resume_automation": {}, "health": {},
        "list_insights": {}, "share_insight": {"id": "0123abcd", "to": ["r"]}, "find_insight_patterns": {},
        "service_status": {}, "service_log": {"name": "web"}, "start_services": {"names": ["web"]},
        "stop_services": {"names": ["web"]}, "restart_services": {"names": ["web"]}, "restart_ai_services": {},
        "ingest_repository": {"repo_path": "/r"}, "query_knowledge_base": {"query": "q"},
        "list_repositories": {},
        "check_database": {}, "create_checkpoint": {"working_directory": "/r"},
        "get_quality": {"working_directory": "/r"}, "sync_status": {}, "run_sync": {}, "list_sync_runs": {},
        "retry_sync": {}, "drop_sync": {"target": "mirror"},
        "list_forgotten": {}, "restore_memory": {"ids": ["0123abcd"]}, "prune_memories": {},
        "create_backup": {}, "list_backups": {}, "verify_backup": {}, "drill_backup": {}, "restore_backup": {},
        "prune_backups": {},
        "list_llms": {}, "llm_status": {}, "switch_llm": {"name": "zai"}, "undo_switch": {"id": "0123abcd"},
        "auto_status": {}, "set_auto": {"intent": "on"},
    }[operation.name]  # fmt: skip
    operation.parse(good)
    misshapen: list[dict[str, Any]] = [{**good, "unknown": 1}]
    misshapen += [{k: v for k, v in good.items() if k != name} for name in good]
    wrong = list(misshapen)
    bad_values: list[Any] = [
        None,
        "",
        0,
        -1,
        1.5,
        900.0,
        -0.0,
        True,
        [],
        [[]],
        {},
        [""],
        "x" * 20_000,
        10**30,
    ]
    for name in operation.input_schema.get("properties", {}):
        wrong += [{**good, name: value} for value in bad_values]
    validator = jsonschema.Draft202012Validator(operation.input_schema)
    refused = 0
    for values in wrong:
        try:
            operation.parse(values)
        except UsageError as error:
            assert not validator.is_valid(values), values
            assert error.code == "input.invalid" or values not in misshapen, values
            refused += 1
        else:
            assert validator.is_valid(values), values
    assert refused


async def test_numbers_that_are_too_large_come_back_or_are_refused(ask: Caller) -> None:
    for n, number in enumerate((2**53 + 1, 2**63, -(2**64), 10**40, 1e308, 5e-324, 10**400)):
        try:
            stored = await ask("store_memory", content=f"Number {n}.", metadata={"n": number})
        except UsageError as error:
            assert error.code == "input.metadata"
        else:
            back = (await ask("get_memory", id=stored["id"]))["metadata"]["n"]
            assert type(number)(back) == number


@pytest.fixture
async def fresh(open_world: OpenWorld, tmp_path: Path) -> AsyncIterator[Caller]:
    async with open_world(FakeEmbedder(name="mine", dimensions=8)) as world:
        yield Caller(Call(app_of(world, tmp_path), "tests"))


async def test_a_first_vector_founds_the_model_only_where_it_is_the_embedder_s(
    fresh: Caller,
) -> None:
    other = fresh(
        "store_unified_memory", content="No.", embedding=[1.0] * 8, embedding_model="theirs"
    )
    assert await refusal(Conflict, other) == "embedding.other_model"
    assert (await fresh("memory_stats"))["model"] is None
    made = await fresh(
        "store_unified_memory", content="Yes.", embedding=[1.0] * 8, embedding_model="mine"
    )
    assert made["embedded"] and (await fresh("memory_stats"))["model"] == "mine"
