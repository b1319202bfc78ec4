"""`mahavishnu ai profile import --from`: keys go to a real keyring with consent, or nothing happens."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support.command import (
    PROGRAM,
    ROOT,
    Command,
    close_to_others,
    leave_root,
    run_in_terminal,
)
from tests.support.kept_secrets import sealed_keyring

CANARY = "sk-fake-canary-9b1d"
OTHER = "sk-fake-canary-other"
URL = "https://api.deepseek.com/anthropic"
IMPORT = ("ai", "profile", "import", "--from", "claude-code")
SETTINGS = f"""{{
  "model": "opus",
  "env": {{ "ANTHROPIC_BASE_URL": "{URL}",   "ANTHROPIC_AUTH_TOKEN": "{CANARY}",
    "ANTHROPIC_MODEL": "deepseek-flash", "DISABLE_TELEMETRY": 1 }},
  "hooks": {{}}
}}
"""


@pytest.fixture
def run(alone: Command, tmp_path: Path) -> Command:
    """The command in a home with an encrypting keyring and settings of Claude Code that hold a key."""
    plug = tmp_path / "plug"
    plug.mkdir()
    sealed_keyring(alone.home, plug)
    settings = alone.home / ".claude/settings.json"
    settings.parent.mkdir()
    settings.write_text(SETTINGS)
    return alone


def settings(run: Command) -> Path:
    return run.home / ".claude/settings.json"


def profiles(run: Command) -> list[str]:
    return sorted(each.name for each in (run.root / "config").glob("profiles/*"))


def nothing_holds(run: Command, *texts: str, but: tuple[Path, ...] = ()) -> None:
    for path in run.home.rglob("*"):
        if path.is_file() and path not in but:
            assert not any(text.encode() in path.read_bytes() for text in texts), path


def key(run: Command, reference: str, url: str = URL) -> str:
    helper = replace(run, program=(PROGRAM.with_name("mahavishnu-key"),))
    return helper(reference, "--for", url, ANTHROPIC_BASE_URL=url).out.strip()


def test_a_key_moves_from_claude_codes_settings_into_the_keyring(run: Command) -> None:
    settings(run).chmod(0o644)
    answer = run(*IMPORT, "--to", "keyring:llm/deepseek", "--yes", "--json")
    assert f"{settings(run)} (0644)" in answer.out and settings(run).stat().st_mode & 0o77 == 0
    report = answer.json
    assert report["imported"] == ["deepseek-com"]
    assert report["keys"] == {"deepseek-com": "keyring:llm/deepseek"} and report["notes"]
    assert CANARY not in answer.out + answer.err
    assert yaml.safe_load((run.root / "config/profiles/deepseek-com.yaml").read_text()) == {
        "anthropic_base_url": URL, "key": "keyring:llm/deepseek", "key_header": "bearer",
        "model": "deepseek-flash",
    }  # fmt: skip
    assert key(run, "keyring:llm/deepseek") == CANARY
    nothing_holds(run, CANARY)
    now = settings(run).read_text()
    line = (
        f"{PROGRAM.with_name('mahavishnu-key')} keyring:llm/deepseek --for https://api.deepseek.com"
    )
    wanted = (
        SETTINGS.replace(CANARY, "")
        .replace('"DISABLE_TELEMETRY": 1 ', '"DISABLE_TELEMETRY": 1, "ANTHROPIC_API_KEY": "" ')
        .replace('"hooks": {}\n', f'"hooks": {{}},\n  "apiKeyHelper": {json.dumps(line)}\n')
    )
    assert now == wanted  # every other byte is as it was

    again = run(*IMPORT, "--json").json
    assert again["unchanged"] == ["deepseek-com"] and again["keys"] == {}
    assert settings(run).read_text() == wanted


def test_without_consent_nothing_happens(run: Command) -> None:
    for words, code in (
        ((), "ai.import_plain_key"),
        (("--yes",), "ai.import_plain_key"),
        (("--to", "keyring:llm"), "ai.import_consent"),
        (("--to", f"file:{run.home}/x.gpg#K", "--yes"), "ai.import_destination"),
        (("--to", CANARY, "--yes"), "ai.import_destination"),
    ):
        answer = run(*IMPORT, *words, "--json")
        assert answer.error["code"] == code and CANARY not in answer.err
    assert "--to keyring:SERVICE" in run(*IMPORT, "--json").error["hint"]
    assert settings(run).read_text() == SETTINGS and profiles(run) == []
    assert not (run.home / "keyring.cfg").exists()


def test_a_terminal_asks(run: Command) -> None:
    refused = run_in_terminal(run, IMPORT, typed=b"n\n")
    assert refused.status == 2 and "keyring:mahavishnu/deepseek-com" in refused.out
    assert settings(run).read_text() == SETTINGS and profiles(run) == []
    agreed = run_in_terminal(run, IMPORT, typed=b"y\n")
    assert agreed.status == 0 and "Imported: deepseek-com" in agreed.out
    assert CANARY not in refused.out + agreed.out
    assert key(run, "keyring:mahavishnu/deepseek-com") == CANARY
    nothing_holds(run, CANARY)


def test_a_key_that_is_elsewhere_is_only_named(run: Command) -> None:
    report = run(*IMPORT, "--key", "env:DEEPSEEK_API_KEY", "--name", "ds", "--json").json
    assert report["imported"] == ["ds"] and report["keys"] == {}
    assert "still there in plain text" in report["notes"][0]
    assert settings(run).read_text() == SETTINGS
    nothing_holds(run, CANARY, but=(settings(run),))


def test_another_key_in_its_place_is_kept(run: Command) -> None:
    words = (*IMPORT, "--to", "keyring:llm/x", "--yes", "--json")
    assert run(*words).status == 0
    settings(run).write_text(SETTINGS.replace(CANARY, OTHER))
    answer = run(*words)
    assert answer.error["code"] == "ai.import_key_exists" and OTHER not in answer.err
    assert key(run, "keyring:llm/x") == CANARY and OTHER in settings(run).read_text()
    assert run(*words, "--replace").status == 0
    assert key(run, "keyring:llm/x") == OTHER
    nothing_holds(run, OTHER)


def test_where_no_keyring_is_the_key_stays(run: Command) -> None:
    answer = run(
        *IMPORT, "--to", "keyring:llm", "--yes", "--json",
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
    )  # fmt: skip
    assert answer.error["code"] == "secret.no_keyring"
    assert settings(run).read_text() == SETTINGS and profiles(run) == []


def test_a_file_that_cannot_be_changed_is_told_before_a_key_leaves_it(run: Command) -> None:
    settings(run).write_text(SETTINGS.replace('"hooks": {}', '"hooks": {},'))
    answer = run(*IMPORT, "--to", "keyring:llm", "--yes", "--json")
    assert answer.error["code"] == "document.unreadable" and CANARY not in answer.err
    assert profiles(run) == [] and CANARY in settings(run).read_text()


def test_settings_that_cannot_be_written_keep_the_key_and_tell_where_it_is(run: Command) -> None:
    close_to_others(settings(run).parent, 0o555)
    words = (*IMPORT, "--to", "keyring:llm/x", "--yes", "--json")
    answer = run(*words, preexec=leave_root)
    assert answer.error["code"] == "ai_files.not_writable" and CANARY not in answer.err
    assert "its key is at keyring:llm/x" in answer.error["message"]
    assert settings(run).read_text() == SETTINGS
    settings(run).parent.chmod(0o755)
    if ROOT:
        os.chown(settings(run).parent, 0, 0)
    assert run(*words).json["unchanged"] == ["deepseek-com"]  # what is left to do is done
    nothing_holds(run, CANARY)


@pytest.mark.leak
def test_a_wrong_address_moves_no_key(run: Command) -> None:
    settings(run).write_text(SETTINGS.replace("https://", "http://"))
    answer = run(*IMPORT, "--to", "keyring:llm", "--yes", "--json")
    assert answer.error["code"] == "ai.profile_insecure"
    assert not (run.home / "keyring.cfg").exists() and profiles(run) == []


def test_where_claude_code_keeps_its_settings(run: Command) -> None:
    folder = run.home / "elsewhere"
    folder.mkdir()
    settings(run).rename(folder / "settings.json")
    error = run(*IMPORT, "--json").error
    assert error["code"] == "ai.import_nothing"
    found = run(*IMPORT, "--json", CLAUDE_CONFIG_DIR=str(folder)).error
    assert found["code"] == "ai.import_plain_key"
    run.settings.write_text(
        "ai_environments: {claude_code: {config_path: ~/elsewhere/settings.json}}"
    )
    assert run(*IMPORT, "--json").error["code"] == "ai.import_plain_key"
    run.settings.write_text("ai_environments: {claude_code: {config_path: elsewhere}}")
    assert run(*IMPORT, "--json").error["code"] == "ai.config_path"


def cc_switch(run: Command) -> Path:
    """A database of cc-switch with two providers that hold keys, and one that is a client's own."""
    path = run.home / ".cc-switch/cc-switch.db"
    path.parent.mkdir()
    claude = {"env": {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": CANARY}}
    config = 'model_provider = "c"\nmodel = "m"\n[model_providers.c]\nbase_url = "https://llm.example.com/v1"\n'
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL,"
            " settings_config TEXT NOT NULL, meta TEXT NOT NULL DEFAULT '{}',"
            " is_current BOOLEAN NOT NULL DEFAULT 0, PRIMARY KEY (id, app_type))"
        )
        database.executemany(
            "INSERT INTO providers (id, app_type, name, settings_config) VALUES (?, ?, ?, ?)",
            [
                ("a", "claude", "DeepSeek", json.dumps(claude)),
                ("b", "codex", "Example", json.dumps({"auth": {"OPENAI_API_KEY": OTHER}, "config": config})),
                ("c", "claude", "Claude Official", json.dumps({"env": {}})),
            ],
        )  # fmt: skip
    database.close()
    return path


def test_the_providers_of_cc_switch(run: Command) -> None:
    path = cc_switch(run)
    before = path.read_bytes()
    words = ("ai", "profile", "import", "--from", "cc-switch")
    assert run(*words, "--json").error["code"] == "ai.import_plain_key"
    one_place = run(*words, "--to", "keyring:llm/one", "--yes", "--json").error
    assert one_place["code"] == "ai.import_destination"
    report = run(*words, "--to", "keyring:llm", "--yes", "--json").json
    # deepseek is shipped: another one of that name would change it
    assert report["imported"] == ["deepseek-2", "example"]
    assert [each["label"] for each in report["passed_over"]] == ["Claude Official (Claude Code)"]
    assert "still in cc-switch" in report["notes"][0]
    assert key(run, "keyring:llm/deepseek-2") == CANARY
    assert key(run, "keyring:llm/example", "https://llm.example.com") == OTHER
    assert path.read_bytes() == before and settings(run).read_text() == SETTINGS
    nothing_holds(run, CANARY, OTHER, but=(path, settings(run)))
    assert run("ai", "profile", "show", "example", "--json").json["clients"] == ["codex"]


def test_one_of_many(run: Command) -> None:
    cc_switch(run)
    words = ("ai", "profile", "import", "--from", "cc-switch", "--only", "example")
    report = run(*words, "--key", "env:EXAMPLE_KEY", "--name", "mine", "--json").json
    assert report["imported"] == ["mine"] and profiles(run) == ["mine.yaml"]
    several = run("ai", "profile", "import", "--from", "cc-switch", "--name", "x", "--json").error
    assert several["code"] == "ai.import_several"
    none = run("ai", "profile", "import", "--from", "cc-switch", "--only", "nobody", "--json").error
    assert none["code"] == "ai.import_none"


def test_an_import_needs_one_source(run: Command) -> None:
    for words in ((), ("x.yaml", "--from", "cc-switch")):
        assert run("ai", "profile", "import", *words, "--json").error["code"] == "ai.import_source"
    gone = run("ai", "profile", "import", "--from", "cc-switch", "--json").error
    assert gone["code"] == "ai.import_nothing"
