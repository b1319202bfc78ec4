"""Bad input to the installed command: refused by name, with nothing stored and no traceback."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mahavishnu.memory.models import MAX_CONTENT_BYTES
from tests.command import Command, Word

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

INJECTION = "x'); DROP TABLE memories; -- \"; $1 {0} %s \\' OR '1'='1"
LONG = "y" * 131_000  # one argument holds 131,071 bytes on Linux


@dataclass(frozen=True)
class Bad:
    """A call that is refused: its words, what is piped in, and the error it gives."""

    name: str
    words: tuple[Word, ...]
    code: str
    status: int = 2
    says: str = ""
    hint: str | None = None
    piped: bytes = b""


@pytest.fixture(autouse=True, scope="module")
def nothing_is_stored(mahavishnu: Command) -> Iterator[None]:
    """Compare what is there before and after all the refused calls of this module."""
    mahavishnu("memory", "store", "It stays.", "--project", "kept")
    query = "SELECT count(*), (SELECT count(*) FROM projects) FROM memories"
    before = mahavishnu.sql(query)
    yield
    assert mahavishnu.sql(query) == before


STORE = ("memory", "store")
SEARCH = ("memory", "search")
LIST = ("memory", "list")

REFUSED = [
    Bad("no text", (*STORE, ""), "memory.empty", says="no text"),
    Bad("blank text", (*STORE, " \n\t"), "memory.empty"),
    Bad("nothing piped in", STORE, "memory.empty"),
    Bad("blanks piped in", (*STORE, "-"), "memory.empty", piped=b" \n"),
    Bad("too much piped in", STORE, "memory.too_large", says=f"{MAX_CONTENT_BYTES:,}",
        hint="import", piped=b"x" * 10_000_000),
    Bad("one byte too much", STORE, "memory.too_large", piped=b"x" * (MAX_CONTENT_BYTES + 1)),
    Bad("a NUL piped in", STORE, "input.nul", says="character 1", hint="binary", piped=b"a\0b"),
    Bad("no UTF-8 piped in", STORE, "input.encoding", says="byte 2", hint="iconv", piped=b"ab\xff"),
    Bad("a surrogate piped in", STORE, "input.encoding", piped=b"\xed\xa0\x80"),
    Bad("no UTF-8", (*STORE, b"ab\xff"), "input.encoding", says="character 2", hint="UTF-8"),
    Bad("a question that is no UTF-8", (*SEARCH, b"\xff"), "input.encoding"),
    Bad("no question", (*SEARCH, ""), "search.empty"),
    Bad("a blank question", (*SEARCH, " "), "search.empty"),
    Bad("a long question", (*SEARCH, "x" * 10_001), "search.too_long", says="10,000"),
    *(
        Bad(f"{option} that is no UTF-8", (*STORE, "t", option, b"k=\xff"), code)
        for option, code in (
            ("--metadata", "input.metadata"), ("--project", "input.encoding"),
            ("--agent", "input.encoding"), ("--workflow", "input.encoding"),
            ("--repo", "input.encoding"), ("--session", "input.encoding"),
            ("--source", "input.encoding"), ("--type", "input.type"),
            ("--collection", "input.collection"), ("--occurred-at", "input.time"),
        )
    ),
    *(
        Bad(f"filter {option} that is no UTF-8", (*LIST, option, b"k=\xff"), code)
        for option, code in (
            ("--metadata", "input.metadata"), ("--project", "input.encoding"),
            ("--agent", "input.encoding"), ("--source", "input.encoding"),
            ("--since", "input.time"),
        )
    ),
    *(
        Bad(f"{option} too long", (*STORE, "t", option, "x" * 201), "input.length")
        for option in ("--project", "--agent", "--source")
    ),
    Bad("an empty project", (*STORE, "t", "--project", ""), "input.length"),
    *(
        Bad(f"limit {limit}", (*command, "--limit", limit), "input.limit", says="1 to 1000")
        for command in (LIST, (*SEARCH, "x"))
        for limit in ("-1", "0", "1001", "99999999999999999999")
    ),
    Bad("limit x", (*LIST, "--limit", "x"), "usage", says="'x' is not a valid integer",
        hint="mahavishnu memory list --help"),
    Bad("limit 1.5", (*SEARCH, "x", "--limit", "1.5"), "usage"),
    Bad("offset -1", (*LIST, "--offset", "-1"), "input.limit"),
    Bad("a huge offset", (*LIST, "--offset", "9" * 20), "input.value"),
    Bad("embed -1", ("memory", "embed", "--limit", "-1"), "input.limit"),
    Bad("threshold nan", (*SEARCH, "x", "--threshold", "nan"), "input.threshold"),
    Bad("threshold 2", (*SEARCH, "x", "--threshold", "2"), "input.threshold"),
    Bad("no tokens", (*SEARCH, "x", "--max-tokens", "0"), "input.max_tokens"),
    *(
        Bad(f"metadata {given[:12]}", (*STORE, "t", "--metadata", given), code, says="etadata")
        for given, code in (
            ("{bad", "input.metadata"), ("[1]", "input.metadata"), ("k", "input.metadata"),
            ("=v", "input.metadata"), ("null", "input.metadata"), ('"text"', "input.metadata"),
            ('{"a": NaN}', "input.metadata"), ('{"a": 1e999}', "input.metadata"),
            ('{"a": "\\u0000"}', "input.nul"), ("k=" + "v" * 70_000, "input.metadata"),
        )
    ),
    Bad("metadata hint", (*STORE, "t", "--metadata", "{bad"), "input.metadata", hint='{"k": "v"}'),
    Bad("unknown type", (*STORE, "t", "--type", "agnet"), "input.type", says="agnet",
        hint="agent, rag, workflow, insight"),
    Bad("unknown type of a filter", (*LIST, "--type", "agnet"), "input.type"),
    Bad("unknown collection", (*STORE, "t", "--collection", "x"), "input.collection", hint="note"),
    Bad("a collection of another type", (*STORE, "t", "--type", "rag", "--collection", "insight"),
        "input.collection", says="belongs to the type insight"),
    Bad("unknown mode", (*SEARCH, "x", "--mode", "fuzzy"), "input.mode", hint="hybrid, vector"),
    Bad("unknown tier", (*SEARCH, "x", "--tier", "warm"), "input.tier", hint="hot, cold"),
    Bad("no time", (*LIST, "--since", "yesterday"), "input.time", says="yesterday", hint="7d"),
    Bad("a time out of range", (*LIST, "--since", "999999w"), "input.time"),
    Bad("unknown project", (*LIST, "--project", "ketp"), "project.not_found", 3, hint="kept"),
    Bad("unknown command", ("memroy",), "usage", says="memroy", hint="mahavishnu --help"),
    Bad("unknown subcommand", ("memory", "stoer"), "usage", says="stoer", hint="memory --help"),
    Bad("unknown option", (*LIST, "--nope"), "usage", says="--nope", hint="memory list --help"),
    Bad("one word too many", (*STORE, "a", "b"), "usage", says="unexpected extra argument"),
    Bad("an option without value", (*STORE, "a", "--project"), "usage", says="requires an argument"),
    Bad("no id", ("memory", "show", "nothex"), "input.id", says="nothex", hint="8 hex digits"),
    Bad("an empty id", ("memory", "show", ""), "input.id"),
    Bad("SQL for an id", ("memory", "show", INJECTION), "input.id"),
    Bad("unknown short id", ("memory", "show", "00000000"), "memory.not_found", 3, hint="list"),
    Bad("unknown id", ("memory", "show", "01a1fc86-3e52-768f-9d2b-6b5451b62170"),
        "memory.not_found", 3),
    Bad("superseding nothing", ("memory", "supersede", "00000000", "x"), "memory.not_found", 3),
    Bad("forgetting nothing", ("memory", "forget", "00000000"), "memory.not_found", 3),
    Bad("forgetting what", ("memory", "forget"), "memory.forget_what", hint="--dry-run"),
    Bad("forgetting everything", ("memory", "forget", "--yes"), "memory.forget_what"),
    Bad("forgetting unasked", ("memory", "forget", "--project", "kept"), "memory.unconfirmed"),
    Bad("forgetting both ways", ("memory", "forget", "0000", "--type", "rag"),
        "memory.forget_what"),
    Bad("no folder", ("memory", "import", "markdown", "/nowhere"), "import.not_found", 3),
    Bad("a file for a folder", ("memory", "import", "markdown", "/etc/passwd"),
        "import.not_found", 3),
    Bad("no repository", ("memory", "import", "git", "/etc"), "repository.not_found", 3,
        hint="checkout"),
    Bad("unknown model", ("model", "verify", "nope"), "embedding.model_missing", 3, hint="import"),
    Bad("no model there", ("model", "import", "/nowhere"), "embedding.path_missing", 3),
    Bad("no model in it", ("model", "import", "/etc"), "embedding.not_a_model", hint="onnx"),
    Bad("no folder to trust", ("config", "trust", "/nowhere"), "settings.not_a_folder"),
]  # fmt: skip


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.name)
def test_bad_input_is_refused(mahavishnu: Command, bad: Bad) -> None:
    answer = mahavishnu(*bad.words, "--json", input=bad.piped)
    error = answer.error
    assert (error["code"], answer.status) == (bad.code, bad.status), error
    assert bad.says in error["message"]
    assert (bad.hint or "") in (error["hint"] or "")


def test_sql_in_every_field_is_only_text(mahavishnu: Command, project: str) -> None:
    where = f"{project}{INJECTION}"
    words = [f"--{name}={INJECTION}" for name in ("source", "agent", "workflow", "repo", "session")]
    whole = [*words, f"--project={where}", f"--metadata=k{INJECTION}={INJECTION}"]
    stored = mahavishnu(*STORE, INJECTION, *whole, "--json").json
    assert [m["id"] for m in mahavishnu(*LIST, *whole, "--json").json["memories"]] == [stored["id"]]
    found = mahavishnu(*SEARCH, INJECTION, *whole, "--json").json["hits"]
    assert [hit["id"] for hit in found] == [stored["id"]]
    assert found[0]["content"] == found[0]["agent_id"] == INJECTION
    assert found[0]["metadata"] == {
        f"k{INJECTION}".partition("=")[0]: found[0]["metadata"].popitem()[1]
    }
    assert mahavishnu("db", "grant", INJECTION, "--json").error["code"] == "database.no_role"
    tables = mahavishnu.sql("SELECT to_regclass('memories'), count(*) > 0 FROM memories")
    assert tables == "memories|t"
    assert (
        mahavishnu("memory", "forget", f"--project={where}", "--yes", "--json").json["count"] == 1
    )
    mahavishnu.sql(
        f"DELETE FROM scopes WHERE project_id IN (SELECT id FROM projects WHERE name LIKE '{project}%')"
    )
    mahavishnu.sql(f"DELETE FROM projects WHERE name LIKE '{project}%'")


def test_text_of_any_kind_comes_back_as_it_was(mahavishnu: Command, project: str) -> None:
    texts = [
        LONG,
        "x" * MAX_CONTENT_BYTES,
        "é" * (MAX_CONTENT_BYTES // 2),
        "-- --json",
        "🦓 e\u0301 \u202e\u200b\ufeff \x01\x1b\x7f\x85\u2028",
        "\r\n\r\n windows \r\n",
        "{}[]\"'\\`$HOME",
    ]
    for text in texts:
        stored = mahavishnu(*STORE, "-", "--project", project, "--json", input=text.encode()).json
        shown = mahavishnu("memory", "show", stored["id"], "--json").json["memory"]
        assert shown["content"] == text
    option_like = mahavishnu(*STORE, "--project", project, "--", "--json")
    assert option_like.status == 0
    in_argument = mahavishnu(*STORE, LONG, "--project", project, "--json").json
    assert not in_argument["created"]
    gone = mahavishnu("memory", "forget", "--project", project, "--yes", "--json").json
    assert gone["count"] == len(texts) + 1
    mahavishnu.sql(
        f"DELETE FROM scopes WHERE project_id = (SELECT id FROM projects WHERE name = '{project}')"
    )
    mahavishnu.sql(f"DELETE FROM projects WHERE name = '{project}'")


def test_an_ambiguous_id_asks_for_more_digits(mahavishnu: Command, project: str) -> None:
    known: dict[str, str] = {}
    seed = 0
    stored = mahavishnu(*STORE, "Original.", "--project", project, "--json").json["id"]
    twin = f"{stored[:9]}{hashlib.sha256(stored.encode()).hexdigest()[:4]}-7aaa-8aaa-{stored[-12:]}"
    mahavishnu.sql(
        "INSERT INTO memories (id, scope_no, collection, source_system, content, content_hash) "
        f"SELECT '{twin}', scope_no, collection, 'cli', 'Twin.', sha256('Twin.') "
        f"FROM memories WHERE id = '{stored}'"
    )
    error = mahavishnu("memory", "show", stored[-8:], "--json")
    assert error.status == 4 and error.error["code"] == "memory.ambiguous"
    assert stored in error.error["hint"] and twin in error.error["hint"]
    assert mahavishnu("memory", "show", twin, "--json").json["memory"]["content"] == "Twin."
    assert mahavishnu("memory", "forget", stored, twin, "--json").json["count"] == 2
    mahavishnu.sql(
        f"DELETE FROM scopes WHERE project_id = (SELECT id FROM projects WHERE name = '{project}')"
    )
    mahavishnu.sql(f"DELETE FROM projects WHERE name = '{project}'")
    del known, seed


def test_an_unreadable_markdown_file_does_not_stop_an_import(
    mahavishnu: Command, project: str, tmp_path: Path
) -> None:
    (tmp_path / "good.md").write_text("# Good\n\nKept.\n")
    (tmp_path / "bad.md").write_bytes(b"# Bad\n\xff\n")
    (tmp_path / "nul.md").write_bytes(b"# Nul\n\nwith\0nul\n")
    body = mahavishnu("memory", "import", "markdown", tmp_path, "--project", project, "--json").json
    assert (body["stored"], body["skipped"]) == (2, {"not UTF-8": 1})
