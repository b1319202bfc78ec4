"""`mahavishnu ai bind`, `unbind`, `bindings`, and the guard that clients run, as processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mahavishnu.ai.bindings.location import copy_of, path_in
from tests.support.command import PROGRAM, Answer, Command
from tests.support.switching import FILES, install

GUARD = PROGRAM.with_name("mahavishnu-guard")
KEYS = {"QWEN_API_KEY": "sk-canary-qwen-31", "ZAI_API_KEY": "sk-canary-zai-32"}
URL = "https://api.z.ai/api/anthropic"


@pytest.fixture
def run(tmp_path: Path) -> Command:
    (tmp_path / "work").mkdir()
    install(tmp_path, claude_code='{\n  "model": "x"\n}\n', codex="# mine\n", qwen="{}\n")
    return Command(tmp_path, KEYS)


def work(run: Command) -> Path:
    return run.home / "work"


def guard(run: Command, folder: Path, event: str = "UserPromptSubmit", **environ: str) -> Answer:
    """Run the guard as Claude Code would."""
    said = {"hook_event_name": event, "cwd": str(folder)}
    command = Command(run.home, run.environment, (GUARD,))
    words = ("claude-code", "--directories", path_in(run.root / "state"))
    return command(*words, input=json.dumps(said).encode(), cwd=folder, **environ)


def texts(run: Command) -> dict[str, bytes]:
    return {name: (run.home / name).read_bytes() for name in FILES.values()}


def test_a_directory_is_bound_and_as_before_when_it_is_let_go(run: Command) -> None:
    before = texts(run)
    user = run.home / ".claude/settings.json"
    for path, mode in ((user.parent, 0o755), (user, 0o644)):
        path.chmod(mode)
    done = run("ai", "bind", "zai", work(run), "--json").json
    assert done["directory"] == str(work(run)) and done["profile"] == "zai"
    local = work(run) / ".claude/settings.local.json"
    assert done["settings"] == str(local)
    assert done["guarded"] == ["claude-code", "codex", "qwen"]
    assert f"Others could use {user} (0644) and {user.parent} (0755)" in done["notes"][0]
    assert [path.stat().st_mode & 0o777 for path in (user, user.parent)] == [0o600, 0o700]
    assert any(n.startswith("Codex runs the guard only after") for n in done["notes"])  # not there
    values = json.loads(local.read_text())
    assert values["env"]["ANTHROPIC_BASE_URL"] == URL and values["disableAllHooks"] is False
    assert set(values["hooks"]) == {
        "SessionStart",
        "UserPromptSubmit",
        "PreCompact",
        "PostToolBatch",
    }
    assert path_in(run.root / "state").stat().st_mode & 0o777 == 0o600
    [row] = run("ai", "bindings", "--json").json["bindings"]
    assert (row["directory"], row["profile"]) == (str(work(run)), "zai")
    once = texts(run), local.read_bytes()
    assert run("ai", "bind", "zai", work(run)).status == 0
    assert (texts(run), local.read_bytes()) == once
    assert run("ai", "unbind", "--json", cwd=work(run)).json == {"unbound": [str(work(run))]}
    assert texts(run) == before
    assert not local.exists() and not (run.home / ".codex/hooks.json").exists()
    # A session that runs on still has the guard of before: it is not in the way.
    assert [guard(run, each).status for each in (work(run), run.home)] == [0, 0]
    assert run("ai", "bindings").out == "No directory is bound to a profile.\n"


def test_status_tells_of_the_binding_of_the_place(run: Command) -> None:
    run("ai", "bind", "zai", work(run))
    said = run("ai", "status", cwd=work(run)).out
    assert f"{work(run)} is bound to zai" in said
    assert run("ai", "status", "--json", cwd=work(run)).json["bound"]["profile"] == "zai"
    assert run("ai", "status", "--json").json["bound"] is None
    for path in (path_in(run.root / "state"), copy_of(path_in(run.root / "state"))):
        path.write_text("{")
    told = run("ai", "status", "--json", cwd=work(run)).json["bound"]
    assert told["problem"]["code"] == "ai.directories_damaged"
    assert "cannot be read" in run("ai", "status", cwd=work(run)).out


def test_hooks_of_the_users_own_stay(run: Command) -> None:
    path = run.home / ".claude/settings.json"
    own = {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": "mine"}]}]}
    path.write_text(json.dumps({"hooks": own}))
    local = work(run) / ".claude/settings.local.json"
    local.parent.mkdir()
    local.write_text('{"disableAllHooks": true, "x": 1}')
    before = texts(run), local.read_bytes()
    assert run("ai", "bind", "zai", work(run)).status == 0
    assert (
        json.loads(path.read_text())["hooks"]["UserPromptSubmit"][0] == own["UserPromptSubmit"][0]
    )
    other = run.home / "other"
    other.mkdir()
    assert run("ai", "bind", "qwen", other).status == 0
    assert run("ai", "unbind", work(run)).status == 0
    assert "mahavishnu-guard" in path.read_text()
    assert run("ai", "unbind", other).status == 0
    after = texts(run)
    assert (after, json.loads(local.read_bytes())) == (before[0], json.loads(before[1]))


def test_a_directory_is_bound_to_another_profile_and_let_go_wherever_it_is(run: Command) -> None:
    for name in ("zai", "qwen"):
        assert run("ai", "bind", name, work(run)).status == 0
    [row] = run("ai", "bindings", "--json").json["bindings"]
    assert row["profile"] == "qwen"
    moved = work(run).rename(run.home / "moved")
    [row] = run("ai", "bindings", "--json").json["bindings"]
    assert row["state"] == "directory-gone"
    assert run("ai", "unbind", moved).status == 0
    assert not (moved / ".claude/settings.local.json").exists()
    assert run("ai", "bindings", "--json").json["bindings"] == []


def edit(local: Path, url: str) -> None:
    values = json.loads(local.read_text())
    values["env"]["ANTHROPIC_BASE_URL"] = url
    local.write_text(json.dumps(values))


@pytest.mark.parametrize("settled", ["adopt", "restore", "both"])
def test_what_was_changed_there_and_settled_is_let_go(run: Command, settled: str) -> None:
    local = work(run) / ".claude/settings.local.json"
    local.parent.mkdir()
    local.write_text('{"x": 1}\n')
    run("ai", "bind", "zai", work(run))
    for words in ("adopt", "restore") if settled == "both" else (settled,):
        edit(local, f"http://127.0.0.1:9/{words}")
        done = run("ai", words, "--client", "claude-code", "--scope", "project", cwd=work(run))
        assert done.status == 0, done
    assert run("ai", "unbind", work(run)).status == 0
    assert json.loads(local.read_text()) == {"x": 1}


def test_what_was_changed_there_is_told_before_anything_is_touched(run: Command) -> None:
    run("ai", "bind", "zai", work(run))
    local = work(run) / ".claude/settings.local.json"
    edit(local, "http://127.0.0.1:9")
    before = local.read_bytes()
    answer = run("ai", "unbind", work(run), "--json")
    assert answer.error["code"] == "ai.changed_meanwhile" and local.read_bytes() == before
    assert run("ai", "unbind", work(run), "--overwrite").status == 0
    assert not local.exists()


def test_binding_that_was_undone_leaves_no_file_behind(run: Command) -> None:
    run("ai", "bind", "zai", work(run))
    local = work(run) / ".claude/settings.local.json"
    assert run("ai", "undo").status == 0 and "mahavishnu-guard" in local.read_text()
    assert run("ai", "bindings", "--json").json["bindings"][0]["state"] == "settings-changed"
    assert guard(run, work(run)).status == 2
    assert run("ai", "unbind", work(run)).status == 0 and not local.exists()


def test_a_directory_that_was_bound_anew_after_an_undo_is_let_go_whole(run: Command) -> None:
    local = work(run) / ".claude/settings.local.json"
    for words in (("bind", "zai", work(run)), ("undo",), ("bind", "zai", work(run))):
        assert run("ai", *words).status == 0
    assert URL in local.read_text() and guard(run, work(run), **values_of(local)).status == 0
    assert run("ai", "unbind", work(run)).status == 0 and not local.exists()


def values_of(local: Path) -> dict[str, str]:
    """Return the environment that settings say, as Claude Code hands it on to hooks."""
    said: dict[str, str] = json.loads(local.read_text())["env"]
    return said


@pytest.mark.parametrize("words", [(), ("--all",)])
@pytest.mark.parametrize("name", [".qwen/settings.json", ".codex/config.toml"])
def test_a_directory_stays_bound_where_the_guard_cannot_be_taken_out(
    run: Command, name: str, words: tuple[str, ...]
) -> None:
    run("ai", "bind", "zai", work(run))
    local, path = work(run) / ".claude/settings.local.json", run.home / name
    path.write_text("{ broken")
    before = texts(run), local.read_bytes()
    assert run("ai", "unbind", *words, cwd=work(run)).status == 7
    assert (texts(run), local.read_bytes()) == before
    assert guard(run, work(run)).status == 2


def test_another_installation_leaves_the_guard_of_this_one(run: Command) -> None:
    before = texts(run)
    other, place = {"MAHAVISHNU_HOME": str(run.home / "other")}, run.home / "elsewhere"
    place.mkdir()
    assert run("ai", "bind", "zai", work(run)).status == 0
    once = texts(run)
    assert run("ai", "bind", "zai", place, **other).status == 0
    [row] = run("ai", "bindings", "--json").json["bindings"]
    assert row["guarded"] == ["claude-code", "qwen"]  # Codex is not installed, and trusts none
    assert run("ai", "unbind", place, **other).status == 0 and texts(run) == once
    assert run("ai", "unbind", work(run)).status == 0 and texts(run) == before
    assert not (run.home / ".codex/hooks.json").exists()


def test_a_renamed_directory_is_bound_anew_and_let_go_as_it_was(run: Command) -> None:
    local = Path(".claude/settings.local.json")
    (work(run) / local).parent.mkdir()
    (work(run) / local).write_text('{"x": 1}')
    assert run("ai", "bind", "zai", work(run)).status == 0
    moved = work(run).rename(run.home / "moved")
    assert run("ai", "bind", "zai", moved).status == 0
    [row] = run("ai", "bindings", "--json").json["bindings"]
    assert (row["directory"], row["settings"]) == (str(moved), str(moved / local))
    assert run("ai", "unbind", moved).status == 0
    assert (moved / local).read_text() == '{"x": 1}'


def test_a_directory_that_was_removed_is_let_go_by_its_path(run: Command) -> None:
    assert run("ai", "bind", "zai", work(run)).status == 0
    subprocess.run(["rm", "-r", work(run)], check=True)
    assert run("ai", "unbind", work(run)).status == 0
    assert run("ai", "undo", "--json").error["code"] == "ai.no_switch"


def test_the_states_of_a_binding(run: Command) -> None:
    settings = run.settings
    own = {"anthropic_base_url": URL, "key": "env:ZAI_API_KEY", "model": "m"}
    settings.write_text(yaml.safe_dump({"ai_environments": {"llm_profiles": {"mine": own}}}))
    assert run("ai", "bind", "mine", work(run)).status == 0
    local, before = work(run) / ".claude/settings.local.json", settings.read_text()

    def state() -> str:
        [row] = run("ai", "bindings", "--json").json["bindings"]
        return str(row["state"])

    assert state() == "unguarded"  # Codex is not there to be asked
    hooks = run.home / ".codex/config.toml"
    for event in ("session_start", "user_prompt_submit", "pre_compact"):
        place = f"{run.home}/.codex/hooks.json:{event}:0:0"
        hooks.write_text(f'{hooks.read_text()}[hooks.state."{place}"]\ntrusted_hash = "x"\n')
    assert state() == "in-force"
    assert "in-force" in run("ai", "bindings").out
    text = local.read_text()
    local.write_text(text.replace(URL, "https://elsewhere.example"))
    assert state() == "settings-changed"
    local.write_text(text)
    settings.write_text(before.replace("model: m", "model: n").replace(URL, f"{URL}/x"))
    assert state() == "profile-changed"
    settings.write_text(f"{before}    other: {{modle: x}}\n")  # another one
    assert state() == "in-force"
    settings.write_text(before.replace("model: m", "modle: m"))
    assert state() == "profile-gone"
    settings.write_text("{}")
    assert state() == "profile-gone"
    settings.write_text(before)
    path = run.home / ".claude/settings.json"
    path.write_text(path.read_text().replace("mahavishnu-guard", "other"))
    assert state() == "unguarded"


def test_what_cannot_be_bound(run: Command) -> None:
    for words, code in (
        (("bind", "zai", run.home), "ai.home_unbindable"),
        (("bind", "zai", run.home / "nowhere"), "ai.no_directory"),
        (("bind", "nobody", work(run)), "ai.unknown_profile"),
        (("unbind", work(run)), "ai.not_bound"),
        (("unbind", "--all", work(run)), "ai.unbind_all"),
        (("run", "--bound", "--dry-run", "--", "claude"), "ai.not_bound"),
    ):
        answer = run("ai", *words[:1], "--json", *words[1:], cwd=work(run))
        assert answer.error["code"] == code, answer
    assert not path_in(run.root / "state").exists()
    (work(run) / ".git").write_text("odd")
    refused = run("ai", "bind", "zai", work(run), "--json")
    assert refused.error["code"] == "ai.unknown_repository"


def test_a_list_that_cannot_be_read_is_told_and_can_be_begun_anew(run: Command) -> None:
    assert run("ai", "bind", "zai", work(run)).status == 0
    path = path_in(run.root / "state")
    path.write_text("{")
    assert "its copy is taken" in run("ai", "bindings").err
    copy_of(path).write_text("{")
    for words in (("bindings",), ("bind", "zai", work(run)), ("unbind", work(run))):
        assert run("ai", *words, "--json").error["code"] == "ai.directories_damaged"
    assert run("ai", "unbind", "--all").out == "Nothing is bound, and no client runs the guard.\n"
    assert "mahavishnu-guard" not in (run.home / ".claude/settings.json").read_text()
    assert guard(run, work(run)).status == 0  # where it runs on all the same


def test_another_profile_is_refused_in_a_bound_directory(run: Command) -> None:
    program = run.home / "bin/claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    assert run("ai", "bind", "zai", work(run)).status == 0
    sub = work(run) / "sub"
    sub.mkdir()
    refused = run("ai", "run", "--json", "qwen", "--", "claude", cwd=sub, **path)
    assert refused.error["code"] == "ai.bound"
    words = ("ai", "switch-llm", "qwen", "--scope", "project", "--json")
    assert run(*words, cwd=sub).error["code"] == "ai.bound"
    said = run("ai", "run", "--bound", "--json", "--", "claude", "-p", "x", cwd=sub, **path).json
    assert URL in said["words"][2] and said["words"][3:] == ["-p", "x"]
    assert run("ai", "run", "--json", "zai", "--", "claude", cwd=sub, **path).status == 0
    assert run("ai", "run", "--bound", "--json", cwd=sub, **path).error["code"] == "ai.no_program"


def test_the_guard_says_no_in_the_way_that_the_event_understands(run: Command) -> None:
    assert run("ai", "bind", "zai", work(run)).status == 0
    right = {"ANTHROPIC_BASE_URL": URL, "CLAUDE_PROJECT_DIR": str(work(run))}
    assert guard(run, work(run), **right) == Answer(0, "", "")
    assert guard(run, run.home) == Answer(0, "", "")
    for event in ("UserPromptSubmit", "PreCompact"):
        no = guard(run, work(run), event)
        assert (no.status, no.out) == (2, "") and "is bound to the profile zai" in no.err
    for event in ("SessionStart", "PostToolBatch"):
        no = guard(run, work(run), event)
        said = json.loads(no.out)
        assert no.status == 0 and said["continue"] is False and "zai" in said["stopReason"]


def test_a_client_that_is_run_by_claude_code_is_judged_by_its_own_words(run: Command) -> None:
    assert run("ai", "bind", "zai", work(run)).status == 0
    said = {"hook_event_name": "UserPromptSubmit", "cwd": str(work(run))}
    command = Command(run.home, run.environment, (GUARD,))
    words = ("codex", "--directories", path_in(run.root / "state"))
    line = [sys.executable, "-c", "input()", "exec", "--oss"]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as other:
        no = command(*words, input=json.dumps(said).encode(), CLAUDE_PID=str(other.pid))
    assert no.status == 2 and "zai" in no.err and "--oss" not in no.err


@pytest.mark.parametrize(
    ("words", "said"),
    [((), b"{}"), (("claude-code",), b"{}"), (("x", "--directories", "/x"), b"{}"),
     (("claude-code", "--directories", "/nowhere"), b"{"),
     (("claude-code", "--directories", "/nowhere"), b'{"hook_event_name": "UserPromptSubmit"}')],
)  # fmt: skip
def test_what_the_guard_does_not_understand_is_a_no(
    run: Command, words: tuple[str, ...], said: bytes
) -> None:
    no = Command(run.home, run.environment, (GUARD,))(*words, input=said)
    assert no.status == 2 and no.out == "" and no.err


def test_outside_of_bound_directories_the_guard_imports_little_and_reads_one_file(
    run: Command,
) -> None:
    """Every prompt waits for it. What it does is counted: how long that takes is the machine's doing."""
    assert run("ai", "bind", "zai", work(run)).status == 0
    code = (
        "import os, sys; before, opened = set(sys.modules), []\n"
        "sys.addaudithook(lambda event, what: event == 'open' and opened.append(str(what[0])))\n"
        "from mahavishnu.interfaces.cli.guard import main\n"
        "status, new = main(), set(sys.modules) - before\n"
        "print(sorted({m.partition('.')[0] for m in new} - sys.stdlib_module_names),"
        " sorted({'asyncio', 'dataclasses', 'subprocess', 'tomllib'} & new), len(new) < 70,"
        " [each for each in opened if each.startswith(os.environ['HOME'])], status)"
    )
    listed = path_in(run.root / "state")
    said = json.dumps({"hook_event_name": "UserPromptSubmit", "cwd": str(run.home)}).encode()
    program = (sys.executable, "-c", code, "claude-code", "--directories", listed)
    answer = Command(run.home, run.environment, program)(input=said)
    assert answer.out == f"['mahavishnu'] [] True ['{listed}'] 0\n", answer
