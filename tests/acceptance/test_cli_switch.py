"""`mahavishnu ai switch-llm` and its neighbours as a user calls them; keys show nowhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command, run_in_terminal
from tests.support.switching import install, values

KEYS = {"QWEN_API_KEY": "sk-canary-qwen-31", "ZAI_API_KEY": "sk-canary-zai-32"}
OWN = "own-canary-of-the-user"


@pytest.fixture
def run(tmp_path: Path) -> Command:
    return Command(tmp_path, KEYS)


def test_from_one_provider_to_the_next_and_back(tmp_path: Path, run: Command) -> None:
    paths = install(
        tmp_path, claude_code='{\n  "model": "opus"\n}\n', codex="# mine\n", qwen="{}\n"
    )
    before = {name: path.read_bytes() for name, path in paths.items()}
    done = run("ai", "switch-llm", "zai", "--json").json
    assert [each["client"] for each in done["clients"]] == ["claude-code", "codex", "qwen"]
    helper = Path(sys.executable).with_name("mahavishnu-key")
    assert values(paths["claude-code"])["apiKeyHelper"].startswith(str(helper))
    table = run("ai", "list-llms").out
    assert "glm-5.3" in table and "claude-code" in table
    profiles = {each["name"]: each for each in run("ai", "list-llms", "--json").json["profiles"]}
    assert profiles["zai"]["used_by"] == ["claude-code", "codex", "qwen"]
    assert profiles["zai"]["key_state"] == "present" and profiles["kimi"]["key_state"] == "missing"
    answer = run("ai", "switch-llm", "claude")
    assert "Claude Code uses claude" in answer.out and "Codex is unchanged" in answer.out
    uses = {
        each["client"]: each["profile"] for each in run("ai", "status", "--json").json["clients"]
    }
    assert uses == {"claude-code": "claude", "codex": "zai", "qwen": "zai"}
    said = run("ai", "history").out
    assert "scope" in said and "user" in said
    assert said.count("switch") == 2 and done["id"][-8:] in said
    run("ai", "undo").out.index("was taken back")
    assert run("ai", "undo", done["id"][-8:], "--json").json["undoes"] == done["id"]
    assert {name: path.read_bytes() for name, path in paths.items()} == before


@pytest.mark.leak
def test_no_key_shows_anywhere(tmp_path: Path, run: Command) -> None:
    text = json.dumps(
        {"env": {"ANTHROPIC_AUTH_TOKEN": OWN, "ANTHROPIC_BASE_URL": "https://x.example"}}
    )
    paths = install(tmp_path, claude_code=text)
    said = []
    for words in (
        ("switch-llm", "zai"),
        ("switch-llm", "zai", "--dry-run"),
        ("switch-llm", "zai", "--write-key", "--dry-run"),
        ("switch-llm", "zai", "--forget-keys", "--write-key"),
        ("switch-llm", "qwen"),
    ):
        for more in ((), ("--json",)):
            said.append(run("ai", *words, *more))
    said.append(run("ai", "undo"))
    path = paths["claude-code"]
    path.write_text(path.read_text().replace(KEYS["ZAI_API_KEY"], "changed-canary-by-hand"))
    for words in (
        ("status",),
        ("list-llms",),
        ("diff",),
        ("history",),
        ("undo",),
        ("switch-llm", "qwen"),
    ):
        for more in ((), ("--json",)):
            said.append(run("ai", *words, *more))
    assert any("ANTHROPIC_AUTH_TOKEN" in each.out for each in said)
    assert {each.status for each in said} >= {0, 6}
    for answer in said:
        assert "canary" not in answer.out + answer.err, answer
    for file in run.root.rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes(), file
    journal = run.root / "state/ai/journal.jsonl"
    assert journal.stat().st_mode & 0o777 == 0o600
    assert journal.parent.stat().st_mode & 0o777 == 0o700


def test_a_dry_run_writes_nothing_at_all(tmp_path: Path, run: Command) -> None:
    install(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    body = run("ai", "switch-llm", "qwen", "--dry-run", "--json").json
    assert body["dry_run"] and body["id"] is None and body["clients"][0]["members"]
    assert "nothing -> " in run("ai", "switch-llm", "qwen", "--dry-run").out
    assert run("ai", "history").out == "There was no switch yet.\n"
    for words in (("status",), ("list-llms",), ("diff",), ("history",)):
        assert run("ai", *words).status == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((), "refused without --move-key or --forget-keys"),
        (("--forget-keys",), "given up by --forget-keys"),
        (("--move-key", "env:MINE"), "taken out by --move-key env:MINE"),
    ],
)
def test_a_dry_run_says_what_becomes_of_a_plain_key(
    tmp_path: Path, run: Command, words: tuple[str, ...], answer: str
) -> None:
    install(tmp_path, claude_code=json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": OWN}}))
    said = run("ai", "switch-llm", "zai", "--dry-run", *words, MINE=OWN)
    assert f"holds a key in plain text: {answer}\n" in said.out and OWN not in said.out


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("switch-llm", "deepsek"), "ai.unknown_profile", 3),
        (("switch-llm", "kimi"), "secret.missing", 3),
        (("switch-llm", "qwen", "--client", "codex"), "ai.client_missing", 3),
        (("switch-llm", "codex"), "ai.no_client", 2),
        (("undo",), "ai.no_switch", 3),
        (("undo", "xyz"), "input.id", 2),
        (("switch-llm", "qwen", "--client", "cursor"), "usage", 2),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, run: Command, words: tuple[str, ...], code: str, status: int
) -> None:
    (tmp_path / ".claude").mkdir()
    answer = run("ai", *words, "--json")
    assert (answer.error["code"], answer.status) == (code, status)
    assert list((tmp_path / ".claude").iterdir()) == []


def test_an_untrusted_project_that_speaks_of_providers_stops_writing(
    tmp_path: Path, run: Command
) -> None:
    paths = install(tmp_path)
    project = tmp_path / "cloned"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(
        "ai_environments:\n  llm_profiles:\n    qwen:\n      anthropic_base_url: https://evil.example\n"
    )
    answer = run("ai", "switch-llm", "qwen", "--json", cwd=project)
    assert answer.error["code"] == "settings.untrusted"
    assert not any(path.exists() for path in paths.values())


def test_a_project_that_is_not_trusted_is_told_of_first(tmp_path: Path, run: Command) -> None:
    paths = install(tmp_path)
    project = tmp_path / "cloned"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(
        "ai_environments:\n  llm_profiles:\n    team:\n"
        "      anthropic_base_url: https://team.example\n      key: env:ZAI_API_KEY\n"
    )
    for words in (("team",), ("team", "--dry-run"), ("qwen", "--dry-run"), ("claude",)):
        answer = run("ai", "switch-llm", *words, "--json", cwd=project)
        assert (answer.error["code"], answer.status) == ("settings.untrusted", 6)
        assert "mahavishnu ai trust" in answer.error["hint"]
    assert not any(path.exists() for path in paths.values())
    for command in ("list-llms", "status"):
        for more in ((), ("--json",)):
            answer = run("ai", command, *more, cwd=project)
            assert answer.status == 0 and "is not trusted and was not read" in answer.err
    run("ai", "trust", str(project))
    assert run("ai", "switch-llm", "team", "--json", cwd=project).json["profile"] == "team"


def test_required_keys_are_asked_for_before_anything_is_written(
    tmp_path: Path, run: Command
) -> None:
    paths = install(tmp_path)
    run.settings.write_text("secrets:\n  env:\n    required_keys: [NOT_THERE]\n")
    for words in (("qwen",), ("qwen", "--dry-run")):
        assert run("ai", "switch-llm", *words, "--json").error["code"] == "secret.required"
    assert not any(path.exists() for path in paths.values())
    back = run("ai", "switch-llm", "claude", "--json").json  # the way back needs no key
    assert [each["client"] for each in back["clients"]] == ["claude-code"]


def test_only_what_a_switch_needs_is_imported(tmp_path: Path, run: Command) -> None:
    install(tmp_path)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mahavishnu", "ai", "switch-llm", "qwen", "--json"],
        env=run.environ(), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "mahavishnu.ai.switching.switch" in imported
    heavy = {"sqlalchemy", "asyncpg", "httpx", "rich", "asyncio", "numpy", "mcp", "keyring"}
    assert not imported & heavy


def test_where_one_client_stands_in_the_way_the_others_are_named(
    tmp_path: Path, run: Command
) -> None:
    own = {"id": "qwen3-coder-plus", "baseUrl": "https://mine.example/v1", "envKey": "MINE"}
    paths = install(tmp_path, qwen=json.dumps({"modelProviders": {"openai": [own]}}))
    for more in ((), ("--dry-run",)):
        error = run("ai", "switch-llm", "qwen", *more, "--json").error
        assert error["code"] == "ai.model_taken"
        assert error["hint"].endswith(": --client claude-code --client codex")
    assert not paths["codex"].exists()
    alone = run("ai", "switch-llm", "qwen", "--client", "qwen", "--json").error
    assert "--client" not in alone["hint"]
    missing = run("ai", "switch-llm", "kimi", "--json").error  # which stops all alike
    assert missing["code"] == "secret.missing" and "--client" not in missing["hint"]
    others = ("--client", "claude-code", "--client", "codex")
    assert run("ai", "switch-llm", "qwen", *others).status == 0


def test_settings_that_cannot_be_read_are_no_sameness(tmp_path: Path, run: Command) -> None:
    paths = install(tmp_path)
    assert run("ai", "diff").out == "Nothing was changed since.\n"
    run("ai", "switch-llm", "zai")
    paths["claude-code"].write_text("{ torn")
    told = run("ai", "diff")
    assert told.status == 7 and str(paths["claude-code"]) in told.out
    assert "Nothing was changed" not in told.out
    again = run("ai", "diff", "--json")
    body = json.loads(again.out)
    [unread] = body["unread"]
    assert again.status == 7 and unread["client"] == "claude-code"
    assert unread["problem"]["code"].startswith("document.")


def test_a_terminal_is_shown_the_same(tmp_path: Path, run: Command) -> None:
    install(tmp_path)
    answer = run_in_terminal(run, ("ai", "switch-llm", "qwen"))
    assert "Claude Code uses qwen" in answer.out and "canary" not in answer.out
