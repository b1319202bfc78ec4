"""Settings as the installed command finds them: ranks, trust, wrong files and wrong homes."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, Command, close_to_others, leave_root

SECRET = "canary-3d81"


def shown(command: Command, key: str, *words: str, **options: Any) -> tuple[Any, str]:
    """Return a setting's value and origin; of a file's path the last two parts."""
    body = command(*words, "config", "show", "--json", **options).json["settings"][key]
    return body["value"], "/".join(Path(body["origin"]).parts[-2:])


@pytest.fixture
def work(alone: Command) -> Path:
    """A project below the home, with settings in both of its files."""
    folder = alone.home / "work"
    (folder / "settings").mkdir(parents=True)
    (folder / "settings/mahavishnu.yaml").write_text(
        "log_level: info\npostgresql:\n  pool_size: 3\n  statement_timeout: 3\n"
    )
    (folder / "settings/local.yaml").write_text("postgresql:\n  pool_size: 4\n")
    (folder / "deep/er").mkdir(parents=True)
    return folder


def test_each_rank_wins_over_the_next(alone: Command, work: Path) -> None:
    key = "postgresql.pool_size"
    assert shown(alone, key) == (10, "default")
    alone.settings.write_text("postgresql:\n  pool_size: 2\n  statement_timeout: 2\n")
    assert shown(alone, key) == (2, "config/mahavishnu.yaml")

    untrusted = alone("config", "show", cwd=work)
    assert f"config trust {work}" in untrusted.err
    assert shown(alone, key, cwd=work)[0] == 2
    assert alone("config", "validate", "--json", cwd=work).json["notices"]

    assert alone("config", "trust", cwd=work).out == f"Trusted: {work}\n"
    for folder in (work, work / "deep/er"):
        assert shown(alone, key, cwd=folder) == (4, "settings/local.yaml")
    assert shown(alone, "postgresql.statement_timeout", cwd=work) == (
        3.0, "settings/mahavishnu.yaml",
    )  # fmt: skip
    assert shown(alone, key, cwd=alone.home) == (2, "config/mahavishnu.yaml")
    of_environment = {"MAHAVISHNU_PG_POOL_SIZE": "5"}
    assert shown(alone, key, cwd=work, **of_environment) == (5, "environment")
    by_flag = ("--set", "postgresql.pool_size=6")
    assert shown(alone, key, *by_flag, cwd=work, **of_environment)[0] == 6


def test_trust_is_of_one_folder_and_never_read_from_a_project(alone: Command, work: Path) -> None:
    other = alone.home / "other"
    (other / "settings").mkdir(parents=True)
    (other / "settings/mahavishnu.yaml").write_text(
        "postgresql:\n  dsn: postgresql://thief@192.0.2.1/x\n"
    )
    alone("config", "trust", work)
    assert shown(alone, "postgresql.dsn", cwd=other) == (None, "default")
    link = alone.home / "link"
    link.symlink_to(work)
    assert shown(alone, "postgresql.pool_size", cwd=link)[0] == 4
    (alone.root / "config/trusted.json").write_text("{")
    damaged = alone("config", "show", "--json", cwd=work)
    assert damaged.status == 7 and damaged.error["code"] == "settings.trusted_damaged"


def test_an_address_in_parts_and_a_whole_one(alone: Command) -> None:
    alone.settings.write_text(
        f"postgresql:\n  dsn: postgresql://me:{SECRET}@db.example/name?password={SECRET}\n"
        f"embedding:\n  openai_api_key: ${{KEY}}\n"
    )
    given = {"MAHAVISHNU_PG_PASSWORD": SECRET, "KEY": SECRET}
    answer = alone("config", "show", "--origin", **given)
    assert SECRET not in answer.out + answer.err
    # A password of a higher rank goes into the address; a host there replaces the whole of it.
    assert shown(alone, "postgresql.dsn", **given)[0] == "postgresql://me:***@db.example/name"
    elsewhere = {"MAHAVISHNU_PG_HOST": "other.example", "KEY": "x"}
    assert shown(alone, "postgresql.dsn", **elsewhere) == (None, "default")
    assert alone("db", "url", **elsewhere).out == "postgresql://other.example/mahavishnu\n"
    masked = shown(alone, "postgresql.dsn", KEY="x")[0]
    assert masked == "postgresql://me:***@db.example/name?password=***"
    assert alone("db", "url", KEY="x").out == masked + "\n"
    assert SECRET in alone("db", "url", "--show-password", KEY="x").out
    unset = alone("config", "show", "--json")
    assert unset.error["code"] == "settings.unset_reference" and "KEY" in unset.error["hint"]


WRONG = [
    ("a typing error", "postgresql:\n  pol_size: 3\n", "settings.unknown_key", 2,
     "'postgresql.pol_size'", "postgresql.pool_size"),
    ("an unknown group", "nonsense:\n  a: 1\n", "settings.unknown_key", 2, "'nonsense.a'", ""),
    ("a value for a group", "postgresql: 3\n", "settings.invalid_value", 2, "group", "postgresql:"),
    ("text for a number", "postgresql:\n  pool_size: many\n", "settings.invalid_value", 2,
     "postgresql.pool_size", "default"),
    ("out of range", "postgresql:\n  pool_size: 999\n", "settings.invalid_value", 2, "at most 50", ""),
    ("an unknown word", "log_level: loud\n", "settings.invalid_value", 2, "warning", ""),
    ("a list for text", f"postgresql:\n  password: [{SECRET}]\n", "settings.invalid_value", 2,
     "postgresql.password", ""),
    ("broken YAML", "a: 1\nb: [1\nc: 2\n", "settings.unparsable", 7, "line 3, column 2", "correct"),
    ("a tab", "postgresql:\n\tport: 1\n", "settings.unparsable", 7, "line 2, column 1", ""),
    ("a control character", "\x07: 1\n", "settings.unparsable", 7, "control character", ""),
    ("code", "!!python/object/apply:os.system [id]\n", "settings.unparsable", 7, "line 1", ""),
    ("a list", "- 1\n", "settings.unparsable", 7, "mapping", ""),
    *(
        (f"the address {dsn[:16]!r}", f"postgresql:\n  dsn: '{dsn}'\n", "settings.invalid_dsn", 2,
         "postgresql.dsn", "%-escapes")
        for dsn in (
            f"host=h password={SECRET}", f"mysql://u:{SECRET}@h/x", f"postgresql://u:{SECRET}@[::1/x",
            f"postgresql://u:{SECRET}@h:99999/x", f"postgresql://u:a#{SECRET}@h/x",
            f"postgresql://u:a/{SECRET}@h/x", f"postgresql://u:a@b{SECRET}@h/x",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "status", "says", "hint"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_a_wrong_file_is_told_and_left_alone(
    alone: Command, text: str, code: str, status: int, says: str, hint: str
) -> None:
    alone.settings.write_text(text)
    answer = alone("config", "validate", "--json")
    error = answer.error
    assert (error["code"], answer.status) == (code, status), error
    assert says in error["message"] and hint in (error["hint"] or "")
    assert str(alone.settings) in error["message"] or code == "settings.invalid_dsn"
    assert alone.settings.read_text() == text
    if code == "settings.invalid_dsn":
        for words in (("memory", "list"), ("db", "url"), ("db", "shell"), ("config", "show")):
            told = alone(*words)
            assert SECRET not in told.out + told.err
    assert SECRET not in answer.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("postgresql: {host: h, direct_dsn: foo}", "settings.invalid_dsn"),
        ("postgresql: {direct_dsn: 'postgresql://h/d'}", "settings.invalid_dsn"),
        (f"embedding: {{provider: ollama, ollama_base_url: 'http://u:{SECRET}@h'}}", "embedding.bad_url"),
        ("embedding: {provider: auto, ollama_base_url: 'ftp://h'}", "embedding.bad_url"),
        (f"embedding: {{provider: openai, openai_base_url: 'https://u:{SECRET}@h'}}", "embedding.bad_url"),
        ("embedding: {provider: openai, openai_base_url: 'http://far.example'}", "embedding.insecure_url"),
        (f"backup: {{store: 'gs://u:{SECRET}@b/x'}}", "backup.address"),
        (f"backup: {{dsn: 'mysql://u:{SECRET}@h/x'}}", "settings.invalid_dsn"),
        ("backup: {recipients: [age1nobody]}", "backup.recipient"),
        ("backup: {schedule: nightly}", "schedule.cron"),
        (f"alerts: {{channels: {{x: {{url: 'json://u:{SECRET}@h'}}}}}}", "alerts.channel"),
    ],
)  # fmt: skip
def test_values_that_no_command_could_use_are_not_valid(
    settled: Command, text: str, code: str
) -> None:
    settled.settings.write_text(text)
    own = {"MAHAVISHNU_EMBEDDING_PROVIDER": ""}
    answer = settled("config", "validate", "--json", **own)
    assert answer.error["code"] == code and SECRET not in answer.err
    assert answer.error["hint"] or "backup" not in text
    for words in (
        ("config", "show"),
        ("db", "url") if "postgresql" in text else ("model", "status"),
    ):
        told = settled(*words, **own)
        assert SECRET not in told.out + told.err
        assert told.status == (2 if words == ("db", "url") else told.status)


# What PostgreSQL's own programs and the driver take from the environment where an address is silent.
OF_ANOTHER_SERVER = {
    "PGHOST": "192.0.2.1", "PGPORT": "6000", "PGUSER": "nobody", "PGDATABASE": "nothing",
    "PGPASSWORD": SECRET, "PGPASSFILE": "/nowhere", "PGSERVICE": "none", "PGSERVICEFILE": "/nowhere",
    "PGOPTIONS": "--nonsense=1", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "scram-sha-256",
    "PGSSLMODE": "verify-full", "PGSSLNEGOTIATION": "direct", "PGSSLROOTCERT": "/nowhere",
    "PGCHANNELBINDING": "require", "PGGSSLIB": "none", "PGGSSENCMODE": "require",
}  # fmt: skip


def test_the_embedded_database_is_not_led_astray_by_the_environment(alone: Command) -> None:
    for words in (
        ("db", "init"),
        ("memory", "store", "kept"),
        ("db", "current"),
        ("memory", "list"),
    ):
        answer = alone(*words, **OF_ANOTHER_SERVER)
        assert answer.status == 0, answer
    asked = alone("db", "shell", "-XAtc", "SELECT count(*) FROM memories", **OF_ANOTHER_SERVER)
    assert (asked.status, asked.out) == (0, "1\n"), asked


def test_a_direct_address_alone_stores_nothing(alone: Command) -> None:
    refused = alone("memory", "store", "x", "--json", MAHAVISHNU_PG_DIRECT_DSN="postgresql://h/d")
    assert refused.status == 2 and refused.error["code"] == "settings.invalid_dsn"
    assert not (alone.root / "data").exists()


def test_old_names_and_unknown_variables_are_answered(alone: Command) -> None:
    alone.settings.write_text("llm_model: m\nserver_name: x\n")
    body = alone("config", "validate", "--json", MAHAVISHNU_PG_POOLSIZE="3").json
    assert len(body["notices"]) == 3
    assert any("now called embedding.model" in notice for notice in body["notices"])
    assert any("MAHAVISHNU_PG_POOL_SIZE" in notice for notice in body["notices"])
    assert shown(alone, "embedding.model")[0] == "m"


def test_a_file_that_cannot_be_read(alone: Command) -> None:
    alone.settings.write_text("log_level: info\n")
    close_to_others(alone.settings, 0o600 if ROOT else 0)
    refused = alone("config", "show", "--json", preexec=leave_root)
    assert refused.status == 6 and refused.error["code"] == "settings.unreadable"
    assert str(alone.settings) in refused.error["message"] and refused.error["hint"]
    alone.settings.unlink()
    alone.settings.mkdir()
    refused = alone("config", "show", "--json")
    assert refused.status == 7 and refused.error["code"] == "settings.unparsable"
    alone.settings.rmdir()
    alone.settings.write_bytes(b"\xff\xfe")
    assert alone("config", "show", "--json").error["code"] == "settings.unparsable"


def test_a_home_that_is_none(alone: Command) -> None:
    relative = alone("memory", "list", "--json", MAHAVISHNU_HOME="relative")
    assert relative.status == 2 and relative.error["code"] == "settings.home_not_absolute"
    assert not (alone.home / "relative").exists()
    file = alone.home / "file"
    file.write_text("kept")
    for words in (("memory", "list"), ("config", "show"), ("model", "list"), ("config", "trust")):
        refused = alone(*words, "--json", MAHAVISHNU_HOME=str(file))
        assert refused.status == 6 and refused.error["code"] == "settings.unreadable"
        assert str(file) in refused.error["message"] and refused.error["hint"]
    assert file.read_text() == "kept"


def test_a_home_that_is_read_only(alone: Command) -> None:
    alone.root.mkdir()
    close_to_others(alone.root, 0o555)
    source = alone.home / "model"
    source.mkdir()
    try:
        for words, code in (
            (("memory", "store", "x"), "database.not_writable"),
            (("config", "trust"), "settings.not_writable"),
        ):
            refused = alone(*words, "--json", preexec=leave_root)
            assert refused.status == 6 and refused.error["code"] == code
            assert str(alone.root) in refused.error["message"] and refused.error["hint"]
        assert alone("config", "show", "--json", preexec=leave_root).status == 0
        assert list(alone.root.iterdir()) == []
    finally:
        alone.root.chmod(0o700)


def test_a_home_whose_name_is_no_utf8(alone: Command) -> None:
    home = os.fsdecode(os.fsencode(alone.home) + b"/\xff")
    body = alone("config", "path", "--json", MAHAVISHNU_HOME=home).json
    assert body["data"] == f"{home}/data"
    answer = alone("config", "path", MAHAVISHNU_HOME=home)
    assert answer.status == 0 and answer.out.startswith("settings: ")
    stored = alone("memory", "store", "x", "--json", MAHAVISHNU_HOME=home).json
    assert alone("memory", "show", stored["id"], "--json", MAHAVISHNU_HOME=home).json
    assert alone("db", "current", MAHAVISHNU_HOME=home).status == 0


def test_another_machines_ollama_is_not_asked_unasked(settled: Command) -> None:
    status = ("model", "status", "--json")
    remote = {"OLLAMA_HOST": "192.0.2.7", "MAHAVISHNU_EMBEDDING_PROVIDER": ""}
    tried = settled(*status, **remote).json["tried"]
    assert tried[0]["provider"] == "ollama"
    assert "another machine, 192.0.2.7" in tried[0]["why"]


def test_memory_can_be_switched_off(alone: Command) -> None:
    alone.settings.write_text("postgresql:\n  enabled: false\n")
    refused = alone("memory", "list", "--json")
    assert refused.status == 5 and refused.error["code"] == "database.disabled"
    assert not (alone.root / "data").exists()
