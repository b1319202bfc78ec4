"""How words of a command line become values, and how values become what is printed."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.memory.text import read_text
from mahavishnu.interfaces.cli.options import parse_metadata
from mahavishnu.interfaces.cli.render import excerpt, print_json, print_table, printable
from mahavishnu.memory.models import (
    COLLECTIONS,
    MAX_CONTENT_BYTES,
    ArmScore,
    Hit,
    Memory,
    MemoryFilter,
    choose_collection,
)
from mahavishnu.operations.bodies import HitBody, MemoryBody, hit_fields, memory_body
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.requests import Where
from tests.support.strategies import any_text

# -- metadata --


@pytest.mark.parametrize(
    ("items", "merged"),
    [
        ((), {}),
        (("type=decision",), {"type": "decision"}),
        (("a=b=c", " d =", "e= f"), {"a": "b=c", "d": "", "e": " f"}),
        (("n=1", "t=true"), {"n": "1", "t": "true"}),
        (('{"n": 1, "l": [true, null]}',), {"n": 1, "l": [True, None]}),
        (("a=1", '{"b": 3}', "c=4"), {"a": "1", "b": 3, "c": "4"}),
        (('  {"a": {"b": "ü"}}',), {"a": {"b": "ü"}}),
    ],
)
def test_metadata_is_merged(items: tuple[str, ...], merged: dict[str, Any]) -> None:
    assert parse_metadata(items) == merged


@pytest.mark.parametrize(
    "item",
    [
        "good=2",
        '{"good": 1}',
        '{"a": 1, "a": 1}',
        '{"a": [{"b": 1, "b": 2}]}',
        "",
        "plain",
        "=v",
        "  =v",
        "{",
        "{a: 1}",
        "[1]",
        "[",
        '{"a": 1} x',
        '{"a": "\ud800"}',
    ],
)
def test_metadata_that_is_none_is_refused(item: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_metadata(("good=1", item))
    assert caught.value.code == "input.metadata"


@given(st.lists(any_text, max_size=3))
def test_any_metadata_is_read_or_refused(items: list[str]) -> None:
    try:
        assert isinstance(parse_metadata(tuple(items)), dict)
    except UsageError as error:
        assert error.code == "input.metadata"


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.booleans()
    )
)
def test_json_metadata_is_kept_as_it_is(given: dict[str, Any]) -> None:
    small = {key: value for key, value in given.items() if -(2**63) <= value < 2**63}
    assert parse_metadata((json.dumps(small),)) == small


# -- moments --


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        (" 2w ", timedelta(weeks=2)),
        ("0d", timedelta(0)),
    ],
)
def test_a_span_is_that_long_ago(text: str, span: timedelta) -> None:
    before = datetime.now(UTC)
    moment = parse_moment(text, what="--since")
    assert moment is not None
    assert before - span <= moment <= datetime.now(UTC) - span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T14:30+01:00", datetime(2026, 11, 21, 13, 30, tzinfo=UTC)),
        ("2026-11-21T14:30Z", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21).astimezone()),
        ("2026-11-21 14:30", datetime(2026, 11, 21, 14, 30).astimezone()),
    ],
)
def test_a_date_is_local_without_a_zone(text: str, moment: datetime) -> None:
    assert parse_moment(text, what="--since") == moment


def test_no_moment_is_none() -> None:
    assert parse_moment(None, what="--since") is None


@given(any_text | st.from_regex(r"\d{1,8}[mhdwy]", fullmatch=True))
def test_any_text_is_an_aware_moment_or_refused(text: str) -> None:
    try:
        moment = parse_moment(text, what="--until")
    except UsageError as error:
        assert error.code == "input.time" and error.message.startswith("--until ") and error.hint
    else:
        assert moment is not None and moment.tzinfo is not None


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "d", "7y", "-7d", "1.5d", "999999w", "2026-13-01"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError):
        parse_moment(text, what="--since")


# -- filters --


def narrowed(*words: str) -> MemoryFilter:
    @click.command()
    @filter_options
    def command(**fields: Any) -> MemoryFilter:
        return Where(**fields).filter()

    wanted: MemoryFilter = command.main(words, standalone_mode=False)
    return wanted


def test_without_options_a_filter_does_not_narrow() -> None:
    assert narrowed() == MemoryFilter()


def test_options_become_a_filter() -> None:
    wanted = narrowed(
        "--type", "rag", "--collection", "code", "--project", "p", "--repo", "r", "--agent", "a",
        "--workflow", "w", "--session", "s", "--source", "c", "--metadata", "k=v",
        "--since", "2026-01-01T00:00Z", "--until", "2026-02-01T00:00Z",
    )  # fmt: skip
    assert wanted == MemoryFilter(
        memory_types=("rag",), collections=("code",), projects=("p",), repo_id="r", agent_id="a",
        workflow_id="w", session_id="s", source_system="c", metadata={"k": "v"},
        since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--type", "agnt"), "input.type"),
        (("--collection", "nots"), "input.collection"),
        (("--agent", "a\x00"), "input.nul"),
        (("--project", "p", "--project", "\ud800"), "input.encoding"),
        (("--metadata", '{"a": "\\u0000"}'), "input.nul"),
        (("--since", "soon"), "input.time"),
    ],
)
def test_a_filter_that_cannot_be_asked_is_refused(words: tuple[str, ...], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        narrowed(*words)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("memory_type", "collection", "expected"),
    [
        ("agent", None, "note"),
        ("rag", None, "document"),
        ("workflow", None, "execution"),
        ("insight", None, "insight"),
        ("rag", "code", "code"),
        ("agent", "conversation", "conversation"),
        ("agent", "code", "code"),  # the collection alone says the type
    ],
)
def test_a_type_has_its_usual_collection(
    memory_type: str, collection: str | None, expected: str
) -> None:
    assert choose_collection(memory_type, collection) == expected


@pytest.mark.parametrize(
    ("memory_type", "collection", "code"),
    [
        ("x", None, "input.type"),
        ("rag", "x", "input.collection"),
        ("rag", "note", "input.collection"),
    ],
)
def test_types_and_collections_that_do_not_go_together(
    memory_type: str, collection: str | None, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose_collection(memory_type, collection)
    assert caught.value.code == code


# -- text from an argument or a pipe --


class Input(io.TextIOWrapper):
    """Standard input with given bytes, a terminal or not."""

    def __init__(self, content: bytes, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="ascii")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def read(monkeypatch: pytest.MonkeyPatch, argument: str | None, stdin: Input) -> str:
    monkeypatch.setattr(sys, "stdin", stdin)
    return read_text(argument)


def test_an_argument_is_taken_before_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "given", Input(b"piped")) == "given"
    assert read(monkeypatch, "", Input(b"piped")) == ""


@pytest.mark.parametrize("argument", [None, "-"])
def test_a_pipe_is_read_as_utf_8(monkeypatch: pytest.MonkeyPatch, argument: str | None) -> None:
    assert read(monkeypatch, argument, Input("naïve\r\n".encode())) == "naïve\r\n"
    most = Input(b"x" * MAX_CONTENT_BYTES)
    assert len(read(monkeypatch, argument, most)) == MAX_CONTENT_BYTES


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"x" * (MAX_CONTENT_BYTES + 1), "memory.too_large"), (b"ab\xff", "input.encoding")],
)
def test_a_pipe_that_cannot_be_stored(
    monkeypatch: pytest.MonkeyPatch, content: bytes, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(monkeypatch, "-", Input(content))
    assert caught.value.code == code


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        read(monkeypatch, None, Input(b"typed", terminal=True))
    assert caught.value.code == "memory.empty" and "echo" in (caught.value.hint or "")


# -- what is printed --


@given(any_text)
def test_nothing_printed_steers_a_terminal(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("\x9b31m", "\ufffd31m"),
        ("a\x00\x07\x7f", "a\ufffd\ufffd\ufffd"),
        ("ab\rcd", "ab\ufffdcd"),
        ("a\r\nb", "a\nb"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
    ],
)
def test_control_characters_are_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(any_text, st.integers(0, 400), st.integers(8, 200))
def test_an_excerpt_is_one_short_line(text: str, start: int, width: int) -> None:
    line = excerpt(text, start=start, width=width)
    assert "\n" not in line and "\t" not in line
    assert len(line) <= width + 4


def test_an_excerpt_shows_the_place_and_what_was_cut() -> None:
    text = "one " * 100 + "zebra " + "two " * 100
    assert excerpt("short\n  text") == "short text"
    assert excerpt(text, width=20) == "one one one one one …"
    around = excerpt(text, start=400, width=20)
    assert around.startswith("… zebra") and around.endswith(" …")


MEMORY = Memory(
    id=new_id(), memory_no=7, content="Ten connections.", context="", memory_type="agent",
    collection="note", source_system="cli", source_key="", project="alpha", owner="me",
    visibility="private", metadata={"k": [1, "ü"]}, agent_id="a", workflow_id=None, repo_id=None,
    session_id=None, path=None, commit_id="abc", occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    stored_at=datetime(2026, 1, 2, tzinfo=UTC), expires_at=None, superseded_by=None,
)  # fmt: skip
BODY = (
    "id content memory_type collection source_system project owner visibility metadata agent_id "
    "workflow_id repo_id session_id path commit occurred_at created_at expires_at superseded_by"
).split()


def printed(capfdbinary: Any, body: Any) -> Any:
    print_json(body)
    return json.loads(capfdbinary.readouterr().out)


def test_json_of_a_memory_has_its_documented_fields() -> None:
    assert list(MemoryBody.__struct_fields__) == BODY


def test_json_begins_with_its_schema_and_keeps_values(capfdbinary: Any) -> None:
    body = printed(capfdbinary, memory_body(MEMORY))
    assert next(iter(body)) == "schema" and body["schema"] == 1
    assert UUID(body["id"]) == MEMORY.id
    assert body["metadata"] == {"k": [1, "ü"]}
    assert body["occurred_at"] == "2026-01-01T00:00:00Z"
    assert body["created_at"] == "2026-01-02T00:00:00Z"
    assert body["commit"] == "abc" and "path" not in body


def test_json_of_a_hit_rounds_and_keeps_a_rank_that_is_not_there(capfdbinary: Any) -> None:
    arms = {"text": ArmScore(rank=1, score=1.23456789, contribution=0.5),
            "vector": ArmScore(rank=None, score=0.1, contribution=0.25)}  # fmt: skip
    hit = printed(
        capfdbinary, HitBody(**hit_fields(Hit(memory=MEMORY, score=0.75, arms=arms, char_end=4)))
    )
    assert {"char_end": 4, "found_in": ["postgresql"]}.items() <= hit.items()
    assert hit["arms"]["text"] == {"rank": 1, "score": 1.234568, "contribution": 0.5}
    assert hit["arms"]["vector"]["rank"] is None


def test_an_unknown_value_is_not_printed_as_something_else() -> None:
    with pytest.raises(NotImplementedError):
        print_json({"value": object()})


def test_json_of_a_name_that_is_not_utf_8(capfdbinary: Any) -> None:
    assert printed(capfdbinary, {"path": "a\udcff"}) == {"schema": 1, "path": "a\udcff"}


def test_a_table_takes_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "content"), [("1", "[red]not markup[/red] \x1b[31m")])
    out = capsys.readouterr().out
    assert "[red]not markup[/red]" in out and "\x1b" not in out


def test_collections_are_offered_in_full() -> None:
    with pytest.raises(UsageError) as caught:
        choose_collection("rag", "nots")
    assert all(name in (caught.value.hint or "") for name in COLLECTIONS)
