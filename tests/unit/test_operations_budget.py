"""Answers fit their budget whatever is in them, keep what matters, and say what they left out."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mahavishnu
from mahavishnu.base.identifiers import new_id
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.operations.bodies import ArmBody, DegradedBody
from mahavishnu.operations.fitting import (
    fit_answer,
    fit_forgotten,
    fit_list,
    fit_page,
    fit_part,
)
from mahavishnu.operations.refusals import in_operations
from mahavishnu.operations.requests import DEFAULT_BUDGET, LEAST_BUDGET
from mahavishnu.operations.results import (
    ForgetResult,
    FoundMemory,
    ListedMemory,
    MemoryPage,
    MemoryPart,
    SearchAnswer,
    Stats,
    StatsGroup,
    StatsTotals,
)

# Text that is dear as JSON: escapes, symbols, letters of three and four bytes, blobs.
DEAR = ["\x01" * 90, '"' * 220, "\\\n" * 110, "🙂" * 70, "日本語" * 40, "a1" * 110, " \n\t" * 80]
texts = st.lists(
    st.sampled_from([*DEAR, "the", "getUserName", "x" * 40])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    min_size=1,
    max_size=5,
).map(lambda parts: " ".join(["x", *parts]))
names = texts.map(lambda text: text[:200])
printable = names.map(lambda name: "".join(filter(str.isprintable, name)))
budgets = st.integers(LEAST_BUDGET, 1_800)
thorough = settings(deadline=None, max_examples=40)
metadata = st.dictionaries(names, names | st.integers(), max_size=4)
ARMS = {
    name: ArmBody(rank=1, score=-123.456789, contribution=0.123456) for name in ("vector", "text")
}
NOW = datetime(2026, 11, 21, 10, 52, 15, 123456, tzinfo=UTC)


def fields(draw: st.DrawFn) -> dict[str, Any]:
    name = st.none() | names
    return {
        "id": new_id(), "content": draw(texts), "memory_type": "workflow", "collection": "conversation",
        "source_system": draw(names), "project": draw(name), "owner": "o" * 63,
        "visibility": "private", "metadata": draw(metadata), "agent_id": draw(name),
        "workflow_id": draw(name), "repo_id": draw(name), "session_id": draw(name),
        "path": draw(name), "commit": draw(name), "occurred_at": NOW, "created_at": NOW,
        "expires_at": draw(st.sampled_from([None, NOW])),
        "superseded_by": draw(st.sampled_from([None, new_id()])),
    }  # fmt: skip


@st.composite
def found_memories(draw: st.DrawFn) -> FoundMemory:
    values = fields(draw)
    size = len(values["content"])
    start = draw(st.none() | st.integers(0, size - 1))
    end = None if start is None else draw(st.integers(start + 1, size))
    return FoundMemory(
        **values, score=0.123456, found_in=["postgresql"], char_start=start, char_end=end, arms=ARMS
    )


@st.composite
def listed_memories(draw: st.DrawFn) -> ListedMemory:
    return ListedMemory(**fields(draw))


def tokens(value: object) -> int:
    return estimate_tokens(msgspec.json.encode(value).decode())


def kept_true(shown: Any, whole: Any) -> None:
    """Check that what is shown is of the whole, and that what is not shown is told."""
    for name in whole.__struct_fields__:
        if name in ("content", "truncated", "left_out", "char_start", "char_end"):
            continue
        same = getattr(shown, name) == getattr(whole, name)
        assert same or name in shown.left_out, name
    assert shown.content and shown.content in whole.content
    assert shown.truncated == (shown.content != whole.content) or shown.left_out


QUOTED = FoundMemory(
    id=new_id(), content='"' * 9_000, memory_type="note", collection="note", source_system="s", project=None,
    owner="o", visibility="private", metadata={}, agent_id=None, workflow_id=None, repo_id=None, session_id=None,
    path=None, commit=None, occurred_at=NOW, created_at=NOW, expires_at=None, superseded_by=None, score=0.1,
    found_in=["postgresql"], char_start=None, char_end=None, arms=ARMS,
)  # fmt: skip


@thorough
@given(
    found=st.lists(found_memories(), max_size=4),
    query=texts,
    reasons=st.lists(texts, max_size=3),
    terms=st.none() | st.lists(names, max_size=6),
    budget=budgets,
)
@example(found=[QUOTED], query="x", reasons=[], terms=None, budget=LEAST_BUDGET)
def test_an_answer_fits_and_keeps_its_first_hit(
    found: list[FoundMemory], query: str, reasons: list[str], terms: list[str] | None, budget: int
) -> None:
    answer = SearchAnswer(
        query=query, mode="hybrid", hits=[],
        degraded=[DegradedBody(part="tier:development", reason=each) for each in reasons],
        explanation=None if terms is None else {"terms": terms},
    )  # fmt: skip
    fitted = fit_answer(answer, found, budget)
    assert tokens(fitted) <= budget
    assert [hit.id for hit in fitted.hits[:1]] == [memory.id for memory in found[:1]]
    assert fitted.omitted == len(found) - len(fitted.hits)
    whole = {memory.id: memory for memory in found}
    for place, hit in enumerate(fitted.hits):
        kept_true(hit, whole[hit.id])
        assert place == 0 or hit == whole[hit.id]  # none but the first is ever cut
        if hit.char_start is not None and hit.char_end is not None:
            source = whole[hit.id]
            passage = source.content[source.char_start : source.char_end]
            assert passage.startswith(hit.content[hit.char_start : hit.char_end])
    assert query.startswith(fitted.query)
    assert (fitted.explanation == answer.explanation) != (fitted.left_out == ["explanation"])
    whole_answer = fit_answer(answer, found, None)
    assert whole_answer.hits == found and whole_answer.query == query
    if tokens(whole_answer) <= budget // 3:
        assert fitted == whole_answer


@thorough
@given(memories=st.lists(listed_memories(), max_size=4), budget=budgets)
def test_a_page_fits_and_has_no_gap(memories: list[ListedMemory], budget: int) -> None:
    kept = fit_page(memories, budget)
    assert tokens(MemoryPage(memories=kept, next_cursor="-_" * 11)) <= budget
    assert [memory.id for memory in kept] == [memory.id for memory in memories[: len(kept)]]
    assert bool(kept) == bool(memories)
    for place, (shown, whole) in enumerate(zip(kept, memories, strict=False)):
        kept_true(shown, whole)
        assert place == 0 or shown == whole
    assert fit_page(memories, None) == memories


@thorough
@given(memory=listed_memories(), budget=budgets)
@example(memory=ListedMemory(
    id=new_id(), content="x", memory_type="agent", collection="note", source_system="s", owner="o",
    visibility="private", occurred_at=NOW, created_at=NOW), budget=LEAST_BUDGET)  # fmt: skip
def test_the_parts_of_a_memory_give_all_of_it_back(memory: ListedMemory, budget: int) -> None:
    whole, got, start = memory.content, "", 0
    about = {
        n: getattr(memory, n)
        for n in memory.__struct_fields__
        if n not in ("truncated", "left_out")
    }
    while True:
        part = fit_part(
            MemoryPart(
                **about | {"content": whole[start:]}, char_start=start, char_end=len(whole),
                total_characters=len(whole), truncated=False,
            ),
            budget,
        )  # fmt: skip
        assert tokens(part) <= budget
        assert part.char_start == start and part.char_end == start + len(part.content) > start
        got += part.content
        start = part.char_end
        if not part.truncated:
            break
    assert got == whole


@thorough
@given(groups=st.lists(names, max_size=40), model=st.none() | printable, budget=budgets)
def test_counts_fit_and_keep_the_largest(groups: list[str], model: str | None, budget: int) -> None:
    whole = Stats(
        totals=StatsTotals(live=9, superseded=9, waiting=9, size_bytes=10**12),
        model=model,
        groups=[
            StatsGroup(memory_type="agent", collection="note", project=name, memories=9, newest=NOW)
            for name in groups
        ],
    )
    fitted = fit_list(whole, "groups", budget)
    assert tokens(fitted) <= budget and fitted.totals == whole.totals
    assert fitted.groups == whole.groups[: len(fitted.groups)]
    assert fitted.omitted == len(groups) - len(fitted.groups)
    assert fit_list(whole, "groups", None) == whole
    if tokens(whole) <= budget // 2:
        assert fitted == whole


@thorough
@given(
    sizes=st.tuples(*[st.integers(0, 100)] * 3),
    reference=st.text("0123456789abcdef-", min_size=4, max_size=64),
    budget=budgets,
)
def test_what_was_forgotten_fits_and_is_counted(
    sizes: tuple[int, int, int], reference: str, budget: int
) -> None:
    gone, missing, foreign = sizes
    whole = ForgetResult(
        confirmed=True, count=gone, ids=[new_id() for _ in range(gone)],
        not_found=[reference] * missing, not_own=[new_id() for _ in range(foreign)],
    )  # fmt: skip
    fitted = fit_forgotten(whole, budget)
    assert tokens(fitted) <= budget and fitted.count == gone
    for name in ("ids", "not_found", "not_own"):
        shown, all_of_it = getattr(fitted, name), getattr(whole, name)
        assert shown == all_of_it[: len(shown)] and bool(shown) == bool(all_of_it)
    shown_ids = len(fitted.ids) + len(fitted.not_found) + len(fitted.not_own)
    assert fitted.omitted == sum(sizes) - shown_ids
    assert fit_forgotten(whole, None) == whole


def test_no_command_for_memories_is_left_in_hints() -> None:
    """Check that what the memory's own errors advise exists for a caller of operations."""
    package = Path(mahavishnu.__file__).parent
    for module in [*package.glob("memory/*.py"), *package.glob("knowledge/*.py")]:
        text = in_operations(module.read_text())
        assert text is not None and "mahavishnu memory " not in text, module.name
        assert "State its dimensions" not in text, module.name  # a field of the Python API alone
    assert in_operations(None) is None


def test_what_fits_is_left_as_it_is() -> None:
    memory = ListedMemory(
        id=new_id(), content="Short.", memory_type="agent", collection="note", source_system="mcp",
        project="shop", owner="me", visibility="private", metadata={"a": [1]}, occurred_at=NOW,
        created_at=NOW,
    )  # fmt: skip
    assert fit_page([memory] * 9, DEFAULT_BUDGET) == [memory] * 9
