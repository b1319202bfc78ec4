"""What the Document port promises, on JSON and on TOML."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.ai.foreign_files.documents import ABSENT, Document, same_value, toml_document
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.documents.toml_text import Header, Pair
from mahavishnu.base.errors import Conflict, Corrupt, UsageError
from tests.support.documents import (
    Foreign,
    foreign_json,
    foreign_toml,
    only_added,
    some_value,
    strict_json,
)

JSON_FILES = 10_000
TOML_FILES = 1_500


@dataclass(frozen=True)
class Format:
    """A format: its document, a maker of foreign files, a parser that is not ours."""

    document: type[JsonDocument] | type[TomlDocument]
    foreign: Callable[[int], Foreign]
    parse: Callable[[bytes], Any]
    null: bool
    files: int
    example: bytes  # says {"a": 1, "list": ["x"], "table": {"k": "v"}}
    exact: bool

    def open(self, content: bytes) -> Document:
        return self.document.parse(content)

    def same(self, one: object, other: object) -> bool:
        return same_value(one, other, exact=self.exact)


FORMATS = {
    "json": Format(
        JsonDocument,
        foreign_json,
        strict_json,
        True,
        JSON_FILES,
        b'{\n  "a": 1,\n  "list": ["x"],\n  "table": {"k": "v"}\n}\n',
        False,
    ),
    "toml": Format(
        TomlDocument,
        foreign_toml,
        lambda content: tomllib.loads(content.decode()),
        False,
        TOML_FILES,
        b'a = 1\nlist = ["x"]\n\n[table]\nk = "v" # why\n',
        True,
    ),
}


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def lookup(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def new_path(form: Format, foreign: Foreign, seed: int) -> tuple[str, ...]:
    """Return a path that is not there, below a table that is, or is not."""
    tree = form.parse(foreign.text.encode())
    parents = [foreign.path[:n] for n in range(len(foreign.path) + 1)]
    tables = [path for path in parents if isinstance(lookup(tree, path), dict)]
    made = (("ours",), ("our own", "é"), ("ours", "b", "c"))[seed % 3]
    return (*tables[seed % len(tables)], *made)


def check_exchange(form: Format, seed: int) -> None:
    """A value is exchanged, and what stands before and behind it is the same to the byte."""
    foreign = form.foreign(seed)
    value = some_value(seed, null=form.null)
    opened = form.open(foreign.text.encode())
    changed = opened.set(foreign.path, value)
    text = changed.content.decode()
    if form.same(lookup(form.parse(foreign.text.encode()), foreign.path), value):
        assert text == foreign.text
        return
    assert text.startswith(foreign.before) and text.endswith(foreign.after), (foreign, text)
    assert form.same(lookup(form.parse(changed.content), foreign.path), value)
    assert form.same(changed.get(foreign.path), value)
    assert form.open(changed.content).set(foreign.path, value) == changed


def check_new_member(form: Format, seed: int) -> None:
    """A new member is put in, and taken out again: nothing is left of it."""
    foreign = form.foreign(seed)
    value = some_value(seed + 1, null=form.null)
    path = new_path(form, foreign, seed)
    opened = form.open(foreign.text.encode())
    made = next(path[:n] for n in range(1, len(path) + 1) if opened.get(path[:n]) is ABSENT)
    changed = opened.set(path, value)
    assert only_added(foreign.text, changed.content.decode()), (foreign.text, changed.content)
    assert form.same(lookup(form.parse(changed.content), path), value)
    assert changed.set(path, value) == changed
    assert form.open(changed.content).remove(path, made=made).content == foreign.text.encode()


def check_elements(form: Format, seed: int) -> None:
    """An element is put at the end of a list, once, and taken out again."""
    foreign = form.foreign(seed)
    opened = form.open(foreign.text.encode())
    old = opened.get(foreign.path)
    element = {"ours": seed} if seed % 2 else f"ours {seed}"
    path = foreign.path if isinstance(old, list) else new_path(form, foreign, seed)
    made = next((path[:n] for n in range(1, len(path) + 1) if opened.get(path[:n]) is ABSENT), None)
    changed = opened.include(path, element)
    assert only_added(foreign.text, changed.content.decode())
    before = old if isinstance(old, list) else []
    assert form.same(lookup(form.parse(changed.content), path), [*before, element])
    assert changed.include(path, element) == changed
    again = form.open(changed.content).exclude(path, element, made=made)
    assert again.content == foreign.text.encode()


CHECKS = [check_exchange, check_new_member, check_elements]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(seed=st.integers(0, 2**32))
@example(seed=0)
@settings(max_examples=150, deadline=None)
def test_nothing_foreign_changes(check: Callable[[Format, int], None], seed: int) -> None:
    for form in FORMATS.values():
        check(form, seed)


def test_nothing_foreign_changes_in_ten_thousand_files() -> None:
    for form in FORMATS.values():
        for seed in range(form.files):
            CHECKS[seed % len(CHECKS)](form, seed)


def test_foreign_files_are_of_every_kind() -> None:
    """What the generators make up is what the tests above claim to cover."""
    json_files = "".join(foreign_json(seed).text for seed in range(300))
    toml_texts = [foreign_toml(seed).text for seed in range(300)]
    toml_files = "".join(toml_texts)
    for piece in ("\r\n", "\t", "1E+5", "\\ud800", "{ }", "[]", '" : ', "1.0", "日本語", "\n\n"):
        assert piece in json_files, piece
    for piece in ("\r\n", "[[", "'''", '"""', " . deep", "{ a = 1", "# about it", "nan", "  \n"):
        assert piece in toml_files, piece
    for ending in ("\n\n\n", "\r\n\r\n", "\n\r\n", " \n\n", "# last\n", "# last\r\n", "# last"):
        assert any(text.endswith(ending) for text in toml_texts), ending


def test_a_file_without_text_is_an_empty_document(form: Format) -> None:
    for content in (b"", b"\n", b" \r\n\t"):
        changed = form.open(content).set(("table", "k"), "v")
        assert form.parse(changed.content) == {"table": {"k": "v"}}
    assert form.open(b"").set(("a",), 1).content.endswith(b"\n")


def test_what_is_read_is_what_is_there(form: Format) -> None:
    opened = form.open(form.example)
    assert opened.get(("a",)) == 1 and opened.get(("list",)) == ["x"]
    assert opened.get(("table",)) == {"k": "v"}
    assert opened.get(("table", "none")) is ABSENT and opened.get(("none", "k")) is ABSENT


def test_the_value_that_is_there_changes_no_byte(form: Format) -> None:
    opened = form.open(form.example)
    for path in (("a",), ("list",), ("table",), ("table", "k")):
        value = opened.get(path)
        assert value is not ABSENT
        assert opened.set(path, value).content == form.example
    assert opened.include(("list",), "x").content == form.example
    assert opened.remove(("none",)).exclude(("list",), "y").content == form.example


def test_true_is_not_one(form: Format) -> None:
    changed = form.open(form.example).set(("a",), True)
    assert form.parse(changed.content)["a"] is True


def test_a_path_through_another_kind_is_refused(form: Format) -> None:
    opened = form.open(form.example)
    for change in (
        lambda: opened.set(("a", "b"), 1),
        lambda: opened.set(("list", "b"), 1),
        lambda: opened.get(("table", "k", "x")),
        lambda: opened.include(("table",), 1),
        lambda: opened.exclude(("a",), 1),
    ):
        with pytest.raises(UsageError) as caught:
            change()
        assert caught.value.code == "document.not_an_object"
        assert caught.value.message.startswith("line ")


@pytest.mark.parametrize("path", [(), (1,), ("a", None)])
def test_the_root_has_no_path(form: Format, path: Any) -> None:
    with pytest.raises(UsageError) as caught:
        form.open(form.example).set(path, 1)
    assert caught.value.code == "document.path"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1: 2}, {"a": {1}}, b"x", ("a",)])
def test_what_no_file_can_hold_is_refused(form: Format, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        form.open(form.example).set(("a",), value)
    assert caught.value.code == "document.value"


def test_an_endless_value_is_refused(form: Format) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UsageError) as caught:
        form.open(form.example).set(("a",), value)
    assert caught.value.code == "document.value"


def test_a_parent_that_was_there_stays(form: Format) -> None:
    opened = form.open(form.example)
    emptied = opened.remove(("table", "k"))
    assert emptied.get(("table",)) == {}
    assert opened.remove(("table", "k"), made=("table",)).get(("table",)) is ABSENT
    listless = opened.exclude(("list",), "x")
    assert listless.get(("list",)) == []
    assert opened.exclude(("list",), "x", made=("list",)).get(("list",)) is ABSENT


def test_all_elements_like_it_go(form: Format) -> None:
    opened = form.open(form.example).include(("list",), "y").include(("list",), "z")
    doubled = form.open(opened.content.replace(b'"z"', b'"x"'))
    assert doubled.exclude(("list",), "x").get(("list",)) == ["y"]


@pytest.mark.parametrize(
    ("kind", "content", "place", "says"),
    [
        ("json", '{"a":1,}', (1, 7), "comma"),
        ("json", '{"a":[1,\n]}', (1, 8), "comma"),
        ("json", "// x\n{}", (1, 1), "comments"),
        ("json", '{"a": 1,\n  /* c */ "b": 2}', (2, 3), "comments"),
        ("json", '{"a": {"b": 1,\n "\\u0062": 2}}', (2, 2), "twice"),
        ("json", '{"z": [{"b": 1, "b": 1}]}', (1, 17), "twice"),
        ("json", "\ufeff{}", (1, 1), "byte order mark"),
        ("json", "[]", (1, 1), "object"),
        ("json", ' "x"', (1, 2), "object"),
        ("json", '{"a": NaN}', (1, 7), "NaN"),
        ("json", '{"a": "NaN", "b": -Infinity}', (1, 19), "-Infinity"),
        ("json", '{"a": 01}', (1, 8), "JSON"),
        ("json", '{"a": "\t"}', (1, 8), "control"),
        ("json", "{} x", (1, 4), "JSON"),
        ("json", '{"a": "' + "\udcff" + '"}', (1, 8), "UTF-8"),
        ("json", '{"a":' + "[" * 200_000, (1, 1), "deep"),
        ("toml", "a = 1\r\na = 2\r\n", (2, 6), "overwrite"),
        ("toml", "a = \n", (1, 5), "TOML"),
        ("toml", "\ufeffa = 1", (1, 1), "byte order mark"),
        ("toml", "[a]\n[a]\n", (2, 3), "twice"),
        ("toml", 'a = "' + "\udcff" + '"', (1, 6), "UTF-8"),
        ("toml", "a = " + "[" * 200_000, (1, 1), "deep"),
    ],
)
def test_what_is_no_settings_file_is_refused_with_its_place(
    kind: str, content: str, place: tuple[int, int], says: str
) -> None:
    with pytest.raises(Corrupt) as caught:
        FORMATS[kind].open(content.encode(errors="surrogateescape"))
    line, column = place
    assert caught.value.message.startswith(f"line {line}, column {column}: "), caught.value.message
    assert says in caught.value.message
    assert caught.value.code == "document.unreadable" and caught.value.hint


WHOLE = '{"a": [-1.5e+3, true, false, null, "x\\u00e9\\n\\\\"], "é": {"b": -1}}'


@pytest.mark.parametrize("length", range(1, len(WHOLE.encode())))
def test_a_torn_file_is_known_as_one_wherever_it_ends(length: int) -> None:
    with pytest.raises(Corrupt) as caught:
        JsonDocument.parse(WHOLE.encode()[:length])
    assert caught.value.code == "document.torn"


def test_a_torn_string_of_toml_is_known_as_one() -> None:
    with pytest.raises(Corrupt) as caught:
        TomlDocument.parse(b'a = """x')
    assert caught.value.code == "document.torn"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_end_as_they_do_in_the_file(form: Format, ending: str) -> None:
    opened = form.open(form.example.decode().replace("\n", ending).encode())
    changed = opened.set(("new", "b"), {"c": {"d": 1}}).set(("e",), 1)
    text = changed.content.decode()
    assert text.count("\n") > form.example.count(b"\n")
    assert text.count(ending) == text.count("\n") and text.count("\r") == text.count("\r\n")


def test_a_new_member_of_json_looks_like_its_neighbours() -> None:
    changed = JsonDocument.parse(b'{\n\t"a" : 1,\n\t"env": {},\n\t"list": ["x", "y"]\n}\n')
    changed = changed.set(("env", "B"), [1]).set(("c",), "é").include(("list",), "z")
    assert changed.content.decode() == (
        '{\n\t"a" : 1,\n\t"env": {\n\t\t"B": [\n\t\t\t1\n\t\t]\n\t},\n\t"list": ["x", "y", "z"],'
        '\n\t"c": "é"\n}\n'
    )
    assert JsonDocument.parse(b'{"a":1}').set(("b", "c"), [1, 2]).content == (
        b'{"a":1,"b":{"c":[1,2]}}'
    )
    assert JsonDocument.parse(b"").set(("b", "c"), 1).content == (
        b'{\n  "b": {\n    "c": 1\n  }\n}\n'
    )


def test_a_comment_stays_with_its_table() -> None:
    text = b"# my settings\n\n# about t\n[t]\na = 1\n\n# about u\n[u]\nb = 1\n"
    changed = TomlDocument.parse(text).set(("model",), "x").set(("t", "c"), 2)
    assert changed.content == (
        b'# my settings\nmodel = "x"\n\n# about t\n[t]\na = 1\nc = 2\n\n# about u\n[u]\nb = 1\n'
    )


def test_tables_of_codex_are_written_as_people_write_them() -> None:
    text = b'model = "o" # mine\n\n[projects."/x"]\ntrust_level = "trusted"\n'
    opened = TomlDocument.parse(text)
    provider = {"name": "M", "base_url": "u", "auth": {"command": "c", "args": ["a"]}}
    changed = opened.set(("model_providers", "m"), provider).set(("model",), "n")
    assert changed.content == (
        b'model = "n" # mine\n\n[projects."/x"]\ntrust_level = "trusted"\n\n[model_providers.m]\n'
        b'name = "M"\nbase_url = "u"\n\n[model_providers.m.auth]\ncommand = "c"\nargs = ["a"]\n'
    )
    commented = changed.content.replace(b'base_url = "u"', b'base_url = "u" # mine')
    other = {"name": "M", "base_url": "v", "auth": {"command": "c"}}
    again = TomlDocument.parse(commented).set(("model_providers", "m"), other)
    assert again.content == (
        commented.replace(b'"u" # mine', b'"v" # mine').replace(b'args = ["a"]\n', b"")
    )


@pytest.mark.parametrize("value", [None, [None], 2**63, "\ud800"])
def test_what_toml_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        TomlDocument.parse(b"a = 1\n").set(("a",), value)
    assert caught.value.code == "document.value"


def test_numbers_of_toml_have_types_and_those_of_json_have_not() -> None:
    assert JsonDocument.parse(b'{"a": 1.0}').set(("a",), 1).content == b'{"a": 1.0}'
    assert TomlDocument.parse(b"a = 1.0\n").set(("a",), 1).content == b"a = 1\n"


def test_toml_that_says_something_else_afterwards_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the reader of statements may get wrong, it is noticed."""
    read = toml_document.read_statements

    def misread(text: str) -> list[Header | Pair]:
        return [replace(each, value=each.value - 4) if isinstance(each, Pair) else each
                for each in read(text)]  # fmt: skip

    monkeypatch.setattr(toml_document, "read_statements", misread)
    with pytest.raises(Conflict) as caught:
        TomlDocument.parse(b"a = 1\nbc = 2\n").set(("bc",), 3)
    assert caught.value.code == "document.unfit"


@pytest.mark.parametrize(
    "text",
    [
        "a.b = 1\n\n[t]\nx = 1\n",
        "[t.u]\nx = 1\n[v]\n[t.w]\n",
        "[[list]]\na = 1\n[list.sub]\nb = 1\n[[list]]\n",
        't = { a = 1, b = { c = "x" } } # why\n',
        "[t]\n[t.u] # no newline",
        "",
        "# only a comment",
    ],
)
@pytest.mark.parametrize(
    "path", [("a", "n"), ("t", "n"), ("t", "u", "n"), ("t", "b", "n"), ("n",), ("t", "n", "m")]
)
@pytest.mark.parametrize("value", [1, {"k": {"l": [1]}}, {}])
def test_toml_of_every_shape(text: str, path: tuple[str, ...], value: Any) -> None:
    opened = TomlDocument.parse(text.encode())
    if opened.get(path[:1]) is not ABSENT and "[[" in text:
        return
    made = next(path[:n] for n in range(1, len(path) + 1) if opened.get(path[:n]) is ABSENT)
    changed = opened.set(path, value)
    assert only_added(text, changed.text)
    assert lookup(tomllib.loads(changed.text), path) == value
    # The header that a pair needed stays where other headers imply its table anyway.
    kept = "\n[t]\n" if (path, text[:5], value) == (("t", "n"), "[t.u]", 1) else ""
    assert changed.remove(path, made=made).text == text + kept


def test_elements_of_a_json_list_are_reached_by_their_place() -> None:
    opened = JsonDocument.parse(b'{"a": [ {"b": ["x","y"]} ,{"b":1}, "0"], "1": {"0": 5}}')
    assert opened.get(("a", "1", "b")) == 1 and opened.get(("a", "2")) == "0"
    assert opened.get(("1", "0")) == 5  # a key of an object may look like a place
    changed = opened.exclude(("a", "0", "b"), "x").set(("a", "1", "b"), 2).set(("a", "1", "c"), 3)
    assert changed.text == '{"a": [ {"b": ["y"]} ,{"b":2, "c":3}, "0"], "1": {"0": 5}}'
    for place in ("3", "-1", "x", "٣", ""):
        with pytest.raises(UsageError) as caught:
            opened.set(("a", place), 1)
        assert caught.value.code == "document.not_an_object"
