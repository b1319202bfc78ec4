"""What may be stored, and which collections a filter means."""

import hashlib
from array import array
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given

from mahavishnu.base.errors import UsageError
from mahavishnu.memory.checks import MAX_METADATA_BYTES, check_text
from mahavishnu.memory.models import (
    COLLECTIONS,
    COLLECTIONS_OF_TYPE,
    MAX_CONTENT_BYTES,
    MEMORY_TYPES,
    BroughtVector,
    MemoryFilter,
    NewMemory,
    check_new_memory,
)
from tests.support.strategies import any_text, storable_text

NAMES = (
    "source_system",
    "agent_id",
    "workflow_id",
    "repo_id",
    "session_id",
    "commit_id",
    "project",
)


ENDLESS: dict[str, Any] = {}
ENDLESS["self"] = ENDLESS


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def refusal(**options: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_new_memory(NewMemory(**{"content": "x", **options}))
    return caught.value


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"content": ""}, "memory.empty"),
        ({"content": " \n\t\u3000"}, "memory.empty"),
        ({"content": "a\x00b"}, "input.nul"),
        ({"content": "a\ud800b"}, "input.encoding"),
        ({"context": "\x00"}, "input.nul"),
        ({"context": "\udfff"}, "input.encoding"),
        ({"source_key": "\x00"}, "input.nul"),
        ({"path": "\ud800"}, "input.encoding"),
        ({"content": "x" * (MAX_CONTENT_BYTES + 1)}, "memory.too_large"),
        ({"content": "é" * (MAX_CONTENT_BYTES // 2 + 1)}, "memory.too_large"),
        ({"context": "x" * MAX_CONTENT_BYTES}, "memory.too_large"),
        ({"collection": "nots"}, "input.collection"),
        ({"occurred_at": datetime(2025, 1, 1)}, "input.time"),
        ({"expires_at": datetime(2025, 1, 1)}, "input.time"),
        ({"expires_at": datetime(2025, 1, 1, tzinfo=UTC)}, "input.time"),
        ({"source_key": None}, "input.wrong_type"),
        ({"source_key": 0}, "input.wrong_type"),
        ({"path": 0}, "input.wrong_type"),
        ({"metadata": {"a": object()}}, "input.metadata"),
        ({"metadata": {"a": "\ud800"}}, "input.metadata"),
        ({"metadata": {"\ud800": 1}}, "input.metadata"),
        ({"metadata": [1]}, "input.metadata"),
        ({"metadata": {"a": "x" * MAX_METADATA_BYTES}}, "input.metadata"),
        ({"metadata": {"a": "\x00"}}, "input.nul"),
        ({"content": None}, "input.wrong_type"),
        ({"content": 7}, "input.wrong_type"),
        ({"content": b"bytes"}, "input.wrong_type"),
        ({"context": None}, "input.wrong_type"),
        ({"source_system": None}, "input.wrong_type"),
        ({"source_key": 7}, "input.wrong_type"),
        ({"path": b"p"}, "input.wrong_type"),
        *(({name: 7}, "input.wrong_type") for name in NAMES),
        ({"id": "01a1fc86-3e52-768f-9d2b-6b5451b62170"}, "input.wrong_type"),
        ({"occurred_at": "2025-01-01"}, "input.wrong_type"),
        ({"occurred_at": date(2025, 1, 1)}, "input.wrong_type"),
        ({"occurred_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))}, "input.time"),
        ({"metadata": None}, "input.metadata"),
        ({"metadata": {1: "a"}}, "input.metadata"),
        ({"metadata": {"a": {2: "b"}}}, "input.metadata"),
        ({"metadata": {"a": [{1, 2}]}}, "input.metadata"),
        ({"metadata": {"a": b"bytes"}}, "input.metadata"),
        ({"metadata": {"a": datetime.now(UTC)}}, "input.metadata"),
        ({"metadata": {"a": [float("nan")]}}, "input.metadata"),
        ({"metadata": {"a": float("inf")}}, "input.metadata"),
        ({"metadata": nested(101)}, "input.metadata"),
        ({"metadata": nested(100_000)}, "input.metadata"),
        ({"metadata": ENDLESS}, "input.metadata"),
        ({"vector": BroughtVector(model="", values=[1.0])}, "input.length"),
        ({"vector": BroughtVector(model=None, values=[1.0])}, "input.wrong_type"),  # type: ignore[arg-type]
        ({"vector": BroughtVector(model="m\x01", values=[1.0])}, "input.vector"),
        ({"vector": BroughtVector(model="m", values=["x"])}, "input.vector"),  # type: ignore[list-item]
        ({"vector": BroughtVector(model="m", values=None)}, "input.vector"),  # type: ignore[arg-type]
        *(
            ({"vector": BroughtVector(model="m", values=values)}, "input.vector")
            for values in (["1"] * 64, [10**400] * 64, "12345678", b"12345678", [None], 5)
        ),
        *(({name: ""}, "input.length") for name in NAMES),
        *(({name: "x" * 201}, "input.length") for name in NAMES),
        *(({name: "a\x00"}, "input.nul") for name in NAMES),
        *(({name: f"a{end}"}, "input.line_break") for name in NAMES for end in ("\n", "\u2028b")),
        *(({name: "a\ud800"}, "input.encoding") for name in NAMES),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_code(options: dict[str, Any], code: str) -> None:
    error = refusal(**options)
    assert error.code == code and error.hint


def test_a_refusal_names_the_place() -> None:
    assert "character 3" in refusal(content="abc\x00").message
    assert "character 2" in refusal(content="ab\ud800").message
    assert "note, conversation" in (refusal(collection="nots").hint or "")
    assert "agent_id" in refusal(agent_id="").message


@pytest.mark.parametrize(
    "options",
    [
        {"content": "x" * MAX_CONTENT_BYTES},
        {"content": "é" * (MAX_CONTENT_BYTES // 2)},
        {"agent_id": "x" * 200, "path": "p" * 3000, "source_key": ""},
        {"metadata": {"a": [1, 2.5, None, True, {"ü": "🙂"}, ("t",), 2**70]}},
        {"metadata": nested(100)},
        {"occurred_at": datetime(1970, 1, 1, tzinfo=UTC), "expires_at": datetime(9999, 1, 1, tzinfo=UTC)},
        {"content": "\x01\x1b[31m\u202e"},
    ],
    ids=["one MiB", "one MiB of é", "long names", "JSON", "100 levels", "times", "control characters"],
)  # fmt: skip
def test_what_fits_is_taken_as_it_is(options: dict[str, Any]) -> None:
    new = NewMemory(**{"content": "x", **options})
    assert check_new_memory(new) is new


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"source_key": "k" * 1001}, id="a key longer than its column"),
        pytest.param({"visibility": "public"}, id="an unknown visibility"),
        pytest.param({"metadata": {"a": float("nan")}}, id="a number that JSON lacks"),
    ],
)
def test_what_the_database_would_refuse_is_refused_before(options: dict[str, Any]) -> None:
    refusal(**options)


def test_the_written_form_of_a_nul_is_only_text() -> None:
    check_new_memory(NewMemory(content="x", metadata={"pattern": r"\u0000"}))


@given(any_text)
@example("a\x00b")
@example("a\ud800b")
def test_a_text_passes_exactly_where_it_can_be_stored(text: str) -> None:
    storable = "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
    try:
        check_text(text, what="text")
    except UsageError as error:
        assert not storable and error.code in ("input.nul", "input.encoding")
    else:
        assert storable


@given(storable_text, storable_text)
@example("We meet.", "Ann, on Monday")
def test_hash_and_indexed_text(content: str, context: str) -> None:
    new = NewMemory(content=content, context=context)
    assert new.content_hash == hashlib.sha256(content.encode()).digest()
    assert new.indexed_text.endswith(content)
    assert new.indexed_text == (f"{context}\n{content}" if context else content)


@pytest.mark.parametrize("values", [[1, 2.5], (0.5,), array("f", [1.0]), [float("nan")]], ids=str)
def test_numbers_are_a_vector(values: Any) -> None:
    check_new_memory(NewMemory(content="x", vector=BroughtVector(model="m", values=values)))


def test_every_collection_belongs_to_one_type() -> None:
    members = [c for kind in MEMORY_TYPES for c in COLLECTIONS_OF_TYPE[kind]]
    assert sorted(members) == sorted(COLLECTIONS)


@pytest.mark.parametrize(
    ("wanted", "collections"),
    [
        (MemoryFilter(), ()),
        (MemoryFilter(memory_types=("agent",)), ("note", "conversation")),
        (MemoryFilter(memory_types=("rag", "insight")), ("document", "code", "insight")),
        (MemoryFilter(collections=("code", "note")), ("code", "note")),
        (MemoryFilter(memory_types=("rag",), collections=("code", "note")), ("code",)),
        (MemoryFilter(memory_types=("rag",), collections=("note",)), ()),
    ],
)
def test_types_and_collections_narrow_together(
    wanted: MemoryFilter, collections: tuple[str, ...]
) -> None:
    assert wanted.wanted_collections == collections


@pytest.mark.parametrize(
    ("wanted", "fine"),
    [
        ({}, False),
        ({"projects": ("p",), "memory_types": ("rag",), "collections": ("code",)}, False),
        *(
            ({name: value}, True)
            for name, value in {
                "agent_id": "a", "workflow_id": "w", "repo_id": "r", "session_id": "s",
                "source_system": "c", "metadata": {"a": 1},
                "since": datetime.now(UTC), "until": datetime.now(UTC),
            }.items()
        ),
    ],
)  # fmt: skip
def test_what_scopes_cannot_answer_is_fine(wanted: dict[str, Any], fine: bool) -> None:
    assert MemoryFilter(**wanted).is_fine is fine


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"since": datetime(2025, 1, 1)}, "input.time"),
        (
            {"since": datetime(2025, 1, 2, tzinfo=UTC), "until": datetime(2025, 1, 1, tzinfo=UTC)},
            "input.time",
        ),
        ({"until": datetime(2025, 1, 1)}, "input.time"),
        ({"since": "2025-01-01"}, "input.wrong_type"),
        ({"projects": "ops"}, "input.wrong_type"),
        ({"projects": (7,)}, "input.wrong_type"),
        ({"projects": ("a\x00",)}, "input.nul"),
        ({"memory_types": ("agnt",)}, "input.type"),
        ({"collections": ("nots",)}, "input.collection"),
        ({"agent_id": 7}, "input.wrong_type"),
        ({"source_system": "\ud800"}, "input.encoding"),
        ({"metadata": {1: 2}}, "input.metadata"),
        ({"metadata": "k=v"}, "input.metadata"),
    ],
)
def test_what_no_memory_can_have_cannot_be_asked_for(options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        MemoryFilter(**options)
    assert caught.value.code == code and caught.value.hint
