"""`mahavishnu ai status`, `diff`, `adopt` and `restore` of what was changed, as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.switching import install, values

KEYS = {"ZAI_API_KEY": "sk-canary-zai-32", "QWEN_API_KEY": "sk-canary-qwen-31"}
ZAI = "https://api.z.ai/api/anthropic"
ELSEWHERE = "https://elsewhere.example/anthropic"
OWN = "own-canary-of-the-user"


@pytest.fixture
def run(tmp_path: Path) -> Command:
    return Command(tmp_path, KEYS)


def led_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert ZAI in text
    path.write_text(text.replace(ZAI, ELSEWHERE))


def test_what_was_changed_is_offered_to_be_accepted_or_written_again(
    tmp_path: Path, run: Command
) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    written = path.read_bytes()
    led_elsewhere(path)
    changed = path.read_bytes()
    for command in ("status", "diff"):
        said = run("ai", command)
        assert said.status == 0 and "by hand or by another program" in said.out
        assert "its key command is bound to https://api.z.ai: mahavishnu-key refuses" in said.out
        assert said.out.endswith(
            "To accept what is there: mahavishnu ai adopt --client claude-code\n"
            "To write it again: mahavishnu ai restore --client claude-code\n"
        )
    assert "mahavishnu ai adopt" not in run("ai", "list-llms").out
    said = run("ai", "restore", "--client", "claude-code", "--dry-run")
    assert f'"{ELSEWHERE}" -> "{ZAI}"' in said.out and path.read_bytes() == changed
    said = run("ai", "restore", "--client", "claude-code")
    assert "Claude Code uses zai" in said.out and path.read_bytes() == written
    assert run("ai", "diff").out == "Nothing was changed since.\n"
    assert "The restoring of zai was taken back" in run("ai", "undo").out
    assert path.read_bytes() == changed
    said = run("ai", "adopt", "--client", "claude-code")
    assert "what is there is adopted" in said.out and path.read_bytes() == changed
    assert run("ai", "diff").out == "Nothing was changed since.\n"
    for command in ("adopt", "restore"):
        assert run("ai", command).out == "Nothing was changed since.\n"
    assert [line.split()[3] for line in run("ai", "history").out.splitlines()[1:]] == [
        "adopt", "undo", "restore", "switch"
    ]  # fmt: skip
    said = run("ai", "undo")
    assert "The adoption of what was changed after zai was taken back" in said.out
    assert f'env.ANTHROPIC_BASE_URL: "{ELSEWHERE}" -> "{ZAI}"' in said.out
    assert path.read_bytes() == written
    led_elsewhere(path)
    run("ai", "adopt")
    assert run("ai", "switch-llm", "qwen").status == 0  # and needs no --overwrite
    run("ai", "undo")
    assert path.read_bytes() == changed


def test_programs_are_told_the_same(tmp_path: Path, run: Command) -> None:
    paths = install(tmp_path)
    run("ai", "switch-llm", "zai")
    path = paths["claude-code"]
    led_elsewhere(path)
    paths["codex"].write_text(paths["codex"].read_text().replace("glm-5.3", "other"))
    paths["qwen"].unlink()
    clients = {each["client"]: each for each in run("ai", "status", "--json").json["clients"]}
    assert {name: each["author"] for name, each in clients.items()} == {
        "claude-code": "unknown", "codex": "client", "qwen": "unknown"
    }  # fmt: skip
    assert clients["claude-code"]["changed_at"].endswith("+00:00")
    assert clients["qwen"]["changed_at"] is None and clients["codex"]["warning"] is None
    assert "mahavishnu-key refuses" in clients["claude-code"]["warning"]
    files = {each["client"]: each for each in run("ai", "diff", "--json").json["files"]}
    [drift] = files["claude-code"]["drift"]
    assert drift == {
        "path": ["env", "ANTHROPIC_BASE_URL"], "written": ZAI, "now": ELSEWHERE, "author": "unknown"
    }  # fmt: skip
    assert {each["author"] for each in files["qwen"]["drift"]} == {"unknown"}
    dry = run("ai", "restore", "--dry-run", "--json").json
    [plan] = dry["restored"]
    assert dry["dry_run"] and plan["id"] is None and plan["profile"] == "zai"
    done = run("ai", "restore", "--client", "qwen", "--json").json
    [plan] = done["restored"]
    assert plan["id"] and [each["client"] for each in plan["clients"]] == ["qwen"]
    adopted = run("ai", "adopt", "--json").json
    assert [each["client"] for each in adopted["adopted"]] == ["claude-code", "codex"]
    [member] = adopted["adopted"][0]["members"]
    assert (member["before"], member["after"]) == (ZAI, ELSEWHERE)
    kinds = [each["kind"] for each in run("ai", "history", "--json").json["switches"]]
    assert kinds == ["adopt", "restore", "switch"]
    assert run("ai", "adopt", "--json").json == {"adopted": [], "settled": []}
    assert run("ai", "restore", "--json").json == {
        "dry_run": False, "restored": [], "settled": []
    }  # fmt: skip


def test_cc_switch_is_named_and_its_key_is_not(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    theirs = {"env": {"ANTHROPIC_BASE_URL": ELSEWHERE, "ANTHROPIC_AUTH_TOKEN": OWN}}
    database = tmp_path / ".cc-switch/cc-switch.db"
    database.parent.mkdir()
    database.touch()
    path.write_text(json.dumps(theirs))
    said = [
        run("ai", *words, *more)
        for words in (("status",), ("diff",), ("list-llms",), ("restore", "--dry-run"), ("restore",),
                      ("adopt",), ("diff",), ("undo",), ("switch-llm", "qwen"), ("history",))
        for more in ((), ("--json",))
    ]  # fmt: skip
    assert (
        "(cc-switch is installed here)" in said[0].out
        and json.loads(said[1].out)["clients"][0]["author"] == "cc-switch"
    )
    codes = [json.loads(each.err)["error"]["code"] for each in said[1::2] if each.status]
    assert codes == ["ai.plain_key"] * 3  # neither restored, nor undone, nor switched
    for answer in said:
        assert "canary" not in answer.out + answer.err, answer
    for file in run.root.rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes(), file
    assert OWN in path.read_text()


def test_a_profile_that_was_edited_or_removed_is_not_restored(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    add = ("ai", "profile", "add", "mine", "--anthropic-url", "https://mine.example")
    assert run(*add, "--key", "env:ZAI_API_KEY", "--model", "m").status == 0
    run("ai", "switch-llm", "mine")
    path.write_text(path.read_text().replace("https://mine.example", "https://x.example", 1))
    text = path.read_bytes()
    assert run("ai", "profile", "edit", "mine", "--model", "n").status == 0
    error = run("ai", "restore", "--json").error
    assert error["code"] == "ai.profile_changed" and "ANTHROPIC_MODEL" in error["message"]
    assert "mahavishnu ai adopt --client claude-code" in error["hint"]
    assert run("ai", "profile", "remove", "mine").status == 0
    error = run("ai", "restore", "--json").error
    assert error["code"] == "ai.unknown_profile" and "is gone" in error["message"]
    assert path.read_bytes() == text


def test_an_untrusted_project_stops_both(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    led_elsewhere(path)
    before = path.read_bytes(), (run.root / "state/ai/journal.jsonl").read_bytes()
    project = tmp_path / "cloned"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(
        "ai_environments:\n  llm_profiles:\n    zai:\n      anthropic_base_url: https://evil.example\n"
    )
    for command in ("adopt", "restore"):
        answer = run("ai", command, "--json", cwd=project)
        assert (answer.error["code"], answer.status) == ("settings.untrusted", 6)
    assert (path.read_bytes(), (run.root / "state/ai/journal.jsonl").read_bytes()) == before


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("adopt", "--client", "codex"), "ai.client_missing", 3),
        (("restore", "--client", "codex"), "ai.client_missing", 3),
        (("adopt", "--client", "cursor"), "usage", 2),
        (("restore", "--scope", "team"), "usage", 2),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, run: Command, words: tuple[str, ...], code: str, status: int
) -> None:
    (tmp_path / ".claude").mkdir()
    answer = run("ai", *words, "--json")
    assert (answer.error["code"], answer.status) == (code, status)


def test_settings_in_a_folder_that_lets_nobody_write_stay(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    led_elsewhere(path)
    text = path.read_bytes()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        error = run("ai", "restore", "--json").error
        assert error["code"] in ("ai_files.not_writable", "ai_files.write_protected")
    finally:
        path.parent.chmod(0o700)
    assert (
        path.read_bytes() == text
        and run("ai", "history", "--json").json["switches"][0]["kind"] == "switch"
    )


def test_the_key_command_does_what_the_warning_says(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    led_elsewhere(path)
    says = values(path)
    environ = {name: str(value) for name, value in says["env"].items() if value}
    done = subprocess.run(
        ["/bin/sh", "-c", says["apiKeyHelper"]],
        env={**run.environ(), **environ}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 6 and not done.stdout and "bound to https://api.z.ai" in done.stderr


def test_only_what_they_need_is_imported(tmp_path: Path, run: Command) -> None:
    path = install(tmp_path)["claude-code"]
    run("ai", "switch-llm", "zai")
    led_elsewhere(path)
    for words in (("status",), ("adopt",), ("restore",)):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "mahavishnu", "ai", *words, "--json"],
            env=run.environ(), cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        heavy = {"sqlalchemy", "asyncpg", "httpx", "rich", "asyncio", "sqlite3", "mcp", "keyring"}
        assert not imported & heavy, (words, imported & heavy)
