"""Text of any kind through the installed command: kept as it was, never taken for anything else."""

import hashlib
from pathlib import Path

import pytest

from mahavishnu.memory.models import MAX_CONTENT_BYTES
from tests.support.command import Command

pytestmark = pytest.mark.postgres

INJECTION = "x'); DROP TABLE memories; -- \"; $1 {0} %s \\' OR '1'='1"
LONG = "y" * 131_000  # one argument holds 131,071 bytes on Linux


def test_sql_in_every_field_is_only_text(mahavishnu: Command, project: str) -> None:
    where = f"{project}{INJECTION}"
    fields = ("source", "agent", "workflow", "repo", "session")
    words = [f"--{name}={INJECTION}" for name in fields]
    words += [f"--project={where}", f"--metadata=k={INJECTION}"]
    stored = mahavishnu("memory", "store", INJECTION, *words, "--json").json
    listed = mahavishnu("memory", "list", *words, "--json").json["memories"]
    [hit] = mahavishnu("memory", "search", INJECTION, *words, "--json").json["hits"]
    assert [item["id"] for item in listed] == [hit["id"]] == [stored["id"]]
    assert hit["content"] == hit["agent_id"] == hit["metadata"]["k"] == INJECTION
    assert hit["project"] == where
    assert mahavishnu("db", "grant", INJECTION, "--json").error["code"] == "database.no_role"
    assert mahavishnu.sql("SELECT to_regclass('memories'), count(*) > 0 FROM memories") == (
        "memories|t"
    )
    gone = mahavishnu("memory", "forget", f"--project={where}", "--yes", "--json").json
    assert gone["ids"] == [stored["id"]]


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "x" * MAX_CONTENT_BYTES,
        "é" * (MAX_CONTENT_BYTES // 2),
        "-- --json",
        "🦓 e\u0301 \u202e\u200b\ufeff \x01\x1b\x7f\x85\u2028",
        "\r\n\r\n windows \r\n",
        "{}[]\"'\\`$HOME",
    ],
    ids=["long", "longest", "longest, two bytes each", "option", "unicode", "windows", "signs"],
)
def test_text_of_any_kind_comes_back_as_it_was(
    mahavishnu: Command, project: str, text: str
) -> None:
    options = ("--project", project, "--json")
    stored = mahavishnu("memory", "store", "-", *options, input=text.encode()).json
    shown = mahavishnu("memory", "show", stored["id"], "--json").json
    assert shown["content"] == text
    if len(text.encode()) <= len(LONG):
        assert mahavishnu("memory", "store", *options, "--", text).json["id"] == stored["id"]


def test_an_ambiguous_id_asks_for_more_digits(mahavishnu: Command, project: str) -> None:
    stored = mahavishnu("memory", "store", "Original.", "--project", project, "--json").json["id"]
    digits = hashlib.sha256(stored.encode()).hexdigest()[:4]
    twin = f"{stored[:9]}{digits}-7aaa-8aaa-{stored[-12:]}"
    mahavishnu.sql(
        "INSERT INTO memories (id, scope_no, collection, source_system, content, content_hash) "
        f"SELECT '{twin}', scope_no, collection, 'cli', 'Twin.', sha256('Twin.') "
        f"FROM memories WHERE id = '{stored}'"
    )
    refused = mahavishnu("memory", "show", stored[-8:], "--json")
    assert refused.status == 4 and refused.error["code"] == "memory.ambiguous"
    assert stored in refused.error["hint"] and twin in refused.error["hint"]
    assert mahavishnu("memory", "show", twin, "--json").json["content"] == "Twin."
    assert mahavishnu("memory", "forget", stored, twin, "--json").json["count"] == 2


def test_an_unreadable_markdown_file_does_not_stop_an_import(
    mahavishnu: Command, project: str, tmp_path: Path
) -> None:
    (tmp_path / "good.md").write_text("# Good\n\nKept.\n")
    (tmp_path / "bad.md").write_bytes(b"# Bad\n\xff\n")
    (tmp_path / "nul.md").write_bytes(b"# Nul\n\nwith\0nul\n")
    import_ = ("memory", "import", "markdown", tmp_path, "--project", project, "--json")
    body = mahavishnu(*import_).json
    skipped = {"not UTF-8": 1, "holds a NUL byte": 1}
    assert (body["stored"], body["skipped"]) == (1, skipped)
