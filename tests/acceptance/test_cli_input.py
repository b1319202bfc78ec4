"""Bad input to the installed command: refused by name, with nothing stored and no traceback."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.memory.models import MAX_CONTENT_BYTES
from tests.support.command import UNMEASURED, Answer, Command, Word

pytestmark = pytest.mark.postgres

INJECTION = "x'); DROP TABLE memories; -- \"; $1 {0} %s \\' OR '1'='1"


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
        Bad(f"{command[1]} limit {limit}", (*command, "--limit", limit), "input.limit", says="1 to 1000")
        for command in (LIST, (*SEARCH, "x"))
        for limit in ("-1", "0", "1001", "99999999999999999999")
    ),
    Bad("limit x", (*LIST, "--limit", "x"), "usage", says="'x' is not a valid integer",
        hint="mahavishnu memory list --help"),
    Bad("limit 1.5", (*SEARCH, "x", "--limit", "1.5"), "usage"),
    Bad("offset -1", (*LIST, "--offset", "-1"), "input.offset"),
    Bad("a huge offset", (*LIST, "--offset", "9" * 20), "input.offset", says="9,223,372,036,854,775,807"),
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
    Bad("unknown tier", (*SEARCH, "x", "--tier", "warm"), "input.tier",
        hint="hot, cold, development, all"),
    Bad("a tier that is not set up", (*SEARCH, "x", "--tier", "development"),
        "search.tier_not_yet", says="No Session-Buddy is set up", hint="session_buddy.python"),
    Bad("no time", (*LIST, "--since", "yesterday"), "input.time", says="yesterday", hint="7d"),
    Bad("a time out of range", (*LIST, "--since", "999999w"), "input.time"),
    Bad("a time before all times", (*STORE, "t", "--occurred-at", "0001-01-01T00:00+14:00"),
        "input.time", says="out of range"),
    Bad("since after until", (*LIST, "--since", "1d", "--until", "2d"), "input.time", hint="Exchange"),
    Bad("metadata twice", (*STORE, "t", "--metadata", "k=1", "--metadata", "k=2"), "input.metadata",
        says="'k' twice", hint="list"),
    Bad("a JSON key twice", (*STORE, "t", "--metadata", '{"k": 1, "k": 2}'), "input.metadata",
        says="'k' twice"),
    Bad("a note of type rag", (*STORE, "t", "--type", "rag", "--collection", "note"),
        "input.collection", hint="type agent"),
    Bad("unknown project", (*LIST, "--project", "ketp"), "project.not_found", 3, hint="kept"),
    Bad("unknown command", ("memroy",), "usage", says="memroy", hint="mahavishnu --help"),
    Bad("a subcommand of a later release", ("ai", "hooks", "install"), "cli.not_yet", says="ai hooks install"),
    Bad("a service command of a later release", ("service", "reload"), "cli.not_yet"),
    Bad("unknown subcommand", ("memory", "stoer"), "usage", says="stoer", hint="memory --help"),
    Bad("unknown option", (*LIST, "--nope"), "usage", says="--nope", hint="memory list --help"),
    Bad("one word too many", (*STORE, "a", "b"), "usage", says="unexpected extra argument"),
    Bad("no id", ("memory", "show", "nothex"), "input.id", says="nothex", hint="8 hex digits"),
    Bad("an empty id", ("memory", "show", ""), "input.id"),
    Bad("SQL for an id", ("memory", "show", INJECTION), "input.id"),
    Bad("unknown short id", ("memory", "show", "00000000"), "memory.not_found", 3, hint="list"),
    Bad("unknown id", ("memory", "show", "01a1fc86-3e52-768f-9d2b-6b5451b62170"),
        "memory.not_found", 3),
    Bad("superseding nothing", ("memory", "supersede", "00000000", "x"), "memory.not_found", 3),
    Bad("forgetting nothing", ("memory", "forget", "00000000"), "memory.not_found", 3),
    Bad("forgetting a whole id", ("memory", "forget", "00000000-0000-7000-8000-000000000000"),
        "memory.not_found", 3),
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


@pytest.fixture(scope="module")
def answers(mahavishnu: Command) -> Iterator[Callable[[Bad], Answer]]:
    """Make all the calls, as many at once as there are cores; return what gives their answers."""
    query = "SELECT count(*), (SELECT count(*) FROM projects) FROM memories"
    mahavishnu("memory", "store", "It stays.", "--project", "kept")
    before = mahavishnu.sql(query)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        calls = {
            bad.name: pool.submit(mahavishnu, *bad.words, "--json", input=bad.piped, **UNMEASURED)
            for bad in REFUSED
        }
        yield lambda bad: calls[bad.name].result()
    assert mahavishnu.sql(query) == before


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.name)
def test_bad_input_is_refused(answers: Callable[[Bad], Answer], bad: Bad) -> None:
    answer = answers(bad)
    error = answer.error
    assert (error["code"], answer.status) == (bad.code, bad.status), error
    assert bad.says in error["message"]
    assert (bad.hint or "") in (error["hint"] or "")
    # What a user can change must come with how; questions are checked elsewhere.
    assert error["hint"] or answer.status != UsageError.exit_code, error


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({bad.name for bad in REFUSED}) == len(REFUSED)
