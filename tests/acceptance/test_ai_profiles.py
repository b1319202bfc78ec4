"""`mahavishnu ai profile` as installed: what is written, what is refused, and that no key is in any of it."""

import json
import stat

import pytest
import yaml

from tests.support.command import Command

CANARY = "sk-fake-canary-41c2"
URL = "https://llm.example.com/anthropic"
ADD = ("ai", "profile", "add", "mine", "--anthropic-url", URL, "--key", "env:MY_KEY")


def files(run: Command) -> list[str]:
    folder = run.root / "config/profiles"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def nothing_holds(run: Command, text: str) -> None:
    for path in run.home.rglob("*"):
        assert not path.is_file() or text.encode() not in path.read_bytes(), path


def test_a_profile_is_added_shown_changed_and_removed(alone: Command) -> None:
    added = alone(*ADD, "--model", "m1", "--client", "claude-code", "--json").json
    path = alone.root / "config/profiles/mine.yaml"
    assert added["origin"] == str(path) and added["clients"] == ["claude-code"]
    assert yaml.safe_load(path.read_text()) == {
        "anthropic_base_url": URL, "key": "env:MY_KEY", "model": "m1", "clients": ["claude-code"],
    }  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert alone("ai", "profile", "show", "mine", "--json").json == added

    edit = ("ai", "profile", "edit", "mine", "--model", "m2", "--unset", "clients", "--json")
    assert alone(*edit).json["model"] == "m2"
    assert yaml.safe_load(path.read_text()) == {
        "anthropic_base_url": URL, "key": "env:MY_KEY", "model": "m2",
    }  # fmt: skip
    assert alone("ai", "profile", "remove", "mine").out == f"Removed: {path}\n"
    assert files(alone) == []
    error = alone("ai", "profile", "show", "mine", "--json").error
    assert error["code"] == "ai.unknown_profile"


def test_of_a_shipped_one_only_what_differs_is_written(alone: Command) -> None:
    alone("ai", "profile", "edit", "qwen", "--key", "keyring:llm/qwen")
    path = alone.root / "config/profiles/qwen.yaml"
    assert yaml.safe_load(path.read_text()) == {"key": "keyring:llm/qwen"}
    shown = alone("ai", "profile", "show", "qwen", "--json").json
    assert shown["model"] == "qwen3-coder-plus" and shown["key"] == "keyring:llm/qwen"
    assert alone("ai", "profile", "remove", "qwen").status == 0
    assert alone("ai", "profile", "show", "qwen", "--json").json["origin"] == "built-in"
    assert alone("ai", "profile", "remove", "qwen", "--json").error["code"] == "ai.profile_shipped"


def test_whoever_uses_a_profile_is_named_when_it_changes(alone: Command) -> None:
    (alone.home / ".claude").mkdir()
    (alone.home / ".codex").mkdir()
    assert alone(*ADD).err == ""
    edit = ("ai", "profile", "edit", "mine")
    assert alone(*edit, "--model", "m1").err == ""
    assert alone("ai", "switch-llm", "mine", MY_KEY=CANARY).status == 0
    assert alone(*edit, "--title", "My own").err == ""
    for model in ("m2", "m3"):
        said = alone(*edit, "--model", model, "--json").err
        assert "Claude Code goes on with what it said before" in said and "Codex" not in said
        assert "mahavishnu ai switch-llm mine --client claude-code" in said
    said = alone("ai", "profile", "remove", "mine").err
    assert "Claude Code goes on with what it said" in said and "switch-llm ANOTHER" in said


def test_a_shipped_name_leads_elsewhere_only_openly_and_with_a_key_of_its_own(
    alone: Command,
) -> None:
    edit = ("ai", "profile", "edit", "zai", "--anthropic-url", "https://other.example/a", "--json")
    assert alone(*edit).error["code"] == "ai.profile_other_host"
    file = alone.home / "x.yaml"
    said = "profiles: {zai: {anthropic_base_url: 'https://other.example/a'"
    words = ("ai", "profile", "import", str(file), "--replace")
    file.write_text(f"{said}}}}}")
    assert alone(*words, "--json").error["code"] == "ai.profile_other_host"
    file.write_text(f"{said}, key: 'env:OTHER_KEY'}}}}")
    assert alone(*words[:-1], "--json").error["code"] == "ai.profile_exists"
    assert files(alone) == []
    assert alone(*words).out == "Imported: zai, at https://other.example/a\n"
    again = alone("ai", "profile", "export", "deepseek").out
    file.write_text(again)  # what is shipped comes back as it is
    assert alone(*words[:-1], "--json").json["unchanged"] == ["deepseek"]


def test_the_three_environments_and_presets_are_listed(alone: Command) -> None:
    listed = alone("ai", "profile", "list", "--json").json["profiles"]
    assert [each["name"] for each in listed][:3] == ["claude", "codex", "qwen"]
    assert {each["origin"] for each in listed} == {"built-in", "preset"}
    assert "QWEN_API_KEY" in alone("ai", "profile", "list").out


@pytest.mark.parametrize(("words", "code"), [
    (("--anthropic-url", f"https://me:{CANARY}@llm.example.com"), "ai.profile_address"),
    (("--anthropic-url", "http://llm.example.com"), "ai.profile_insecure"),
    (("--anthropic-url", URL, "--key", CANARY), "ai.profile_raw_key"),
    (("--model", "m"), "ai.profile_no_protocol"),
    (("--chat-url", URL, "--client", "codex"), "ai.profile_no_protocol"),
    (("--anthropic-url", URL, "--auth", "native"), "ai.profile_native"),
    (("--anthropic-url", URL, "--key", "env:ANTHROPIC_API_KEY"), "ai.profile_key_name"),
])  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_written(
    alone: Command, words: tuple[str, ...], code: str
) -> None:
    given = words if "--key" in words else (*words, "--key", "env:K")
    answer = alone("ai", "profile", "add", "mine", *given, "--json")
    assert answer.error["code"] == code and answer.status == 2
    assert CANARY not in answer.err and files(alone) == []
    nothing_holds(alone, CANARY)


@pytest.mark.parametrize("name", ["../mine", "Mine", "a.b", "qwen/x"])
def test_a_wrong_name_is_refused(alone: Command, name: str) -> None:
    answer = alone("ai", "profile", "add", name, "--anthropic-url", URL, "--key", "env:K", "--json")
    assert answer.error["code"] == "ai.profile_name" and files(alone) == []


def test_the_nearest_name_is_told(alone: Command) -> None:
    error = alone("ai", "profile", "show", "depseek", "--json").error
    assert error["hint"] == "Did you mean deepseek?"
    assert alone("ai", "profile", "edit", "Qwen", "--model", "m").status == 2
    assert (
        "qwen-cn"
        in alone("ai", "profile", "edit", "qwen-c", "--model", "m", "--json").error["hint"]
    )


def test_what_is_there_is_not_added_again(alone: Command) -> None:
    assert alone(*ADD).status == 0
    for name in ("mine", "deepseek"):
        words = ("ai", "profile", "add", name, "--anthropic-url", URL, "--key", "env:K", "--json")
        assert alone(*words).error["code"] == "ai.profile_exists"


def test_a_profile_of_the_settings_is_changed_there(alone: Command) -> None:
    alone.settings.write_text(
        f"ai_environments: {{llm_profiles: {{mine: {{anthropic_base_url: '{URL}', key: 'env:K'}}}}}}"
    )
    shown = alone("ai", "profile", "show", "mine", "--json").json
    assert shown["origin"] == str(alone.settings)
    for words in (("edit", "mine", "--model", "m"), ("remove", "mine"), ADD[2:]):
        error = alone("ai", "profile", *words, "--json").error
        assert error["code"] == "ai.profile_in_settings" and str(alone.settings) in error["message"]
    assert files(alone) == []


@pytest.mark.parametrize("said", [f"key: {CANARY}", f"anthropic_auth_token: {CANARY}"])
@pytest.mark.leak
def test_a_raw_key_in_the_settings_is_shown_nowhere(alone: Command, said: str) -> None:
    alone.settings.write_text(
        "ai_environments:\n  llm_profiles:\n    mine:\n"
        f"      anthropic_base_url: {URL}\n      {said}\n"
    )
    for words in (
        ("ai", "profile", "list"),
        ("ai", "profile", "show", "qwen"),
        ("ai", "profile", "export"),
    ):
        answer = alone(*words, "--json")
        assert answer.status == 0 and CANARY not in answer.out + answer.err
        assert f"{alone.settings}:3: The key of the profile mine is not a reference" in answer.err
    answer = alone("ai", "profile", "show", "mine", "--json")
    error = json.loads(answer.err.splitlines()[-1])["error"]  # after a note of the former name
    assert error["code"] == "ai.profile_raw_key" and CANARY not in answer.err
    for words in (("config", "show"), ("config", "show", "--json"), ("config", "validate")):
        answer = alone(*words)
        assert CANARY not in answer.out + answer.err
        assert answer.status == (2 if "validate" in words else 0)
    assert "llm_profiles.mine.key" in alone("config", "show").out


def test_a_variable_is_a_reference_and_not_asked_for(alone: Command) -> None:
    alone.settings.write_text(
        "ai_environments: {llm_profiles: {claude: {anthropic_base_url: 'https://api.anthropic.com',"
        " anthropic_auth_token: '${CLAUDE_API_KEY}', api_timeout_ms: 3000000}}}"
    )
    for environ in ({}, {"CLAUDE_API_KEY": CANARY}):
        answer = alone("ai", "profile", "show", "claude", "--json", **environ)
        assert answer.json["key"] == "env:CLAUDE_API_KEY" and answer.json["auth"] == "key"
        assert CANARY not in answer.out


def test_wrong_values_of_a_profile_are_named_without_them(alone: Command) -> None:
    alone.settings.write_text(
        f"ai_environments: {{llm_profiles: {{mine: {{api_timeout_ms: {CANARY}}}}}}}"
    )
    answer = alone("ai", "profile", "show", "mine", "--json")
    assert answer.error["message"].startswith(
        f"ai_environments.llm_profiles.mine.api_timeout_ms in {alone.settings}:1 must be"
    )
    assert CANARY not in answer.err
    alone.settings.write_text("ai_environments: {llm_profiles: {mine: {modle: x}}}")
    assert "model" in alone("ai", "profile", "show", "mine", "--json").error["hint"]
    alone.settings.write_text("")
    folder = alone.root / "config/profiles"
    folder.mkdir()
    for text in (f"key: [{CANARY}]", f"kee: {CANARY}"):
        (folder / "mine.yaml").write_text(text)
        answer = alone("ai", "profile", "show", "mine", "--json")
        assert answer.error["code"] == "ai.profile_file" and CANARY not in answer.err
        assert f"{folder / 'mine.yaml'}:1 has" in answer.error["message"]
    assert alone("ai", "profile", "remove", "mine").status == 0


def test_hosts_of_early_samples_are_told(alone: Command) -> None:
    alone.settings.write_text(
        "ai_environments: {llm_profiles: {qwen:"
        " {anthropic_base_url: 'https://api.qwen.com', key: 'env:K'}}}"
    )
    for words in (("profile", "show", "qwen"), ("list-llms",), ("switch-llm", "qwen", "--dry-run")):
        assert alone("ai", *words, K=CANARY).err.count("no service at api.qwen.com") == 1
    [notice] = alone("config", "validate", "--json").json["notices"]
    assert "no service at api.qwen.com" in notice


def test_the_block_of_the_sources_loads_and_the_shipped_profiles_count(alone: Command) -> None:
    alone.settings.write_text(
        "ai_environments:\n  llm_profiles:\n"
        "    qwen:\n      ANTHROPIC_BASE_URL: https://api.qwen.com/v1\n"
        "      ANTHROPIC_AUTH_TOKEN: ${QWEN_API_KEY}\n      API_TIMEOUT_MS: '3000000'\n"
        "    codex: {anthropic_base_url: 'https://api.codex.com/v1'}\n"
        "    claude: {anthropic_base_url: 'https://api.anthropic.com'}\n"
    )
    (alone.home / ".claude").mkdir()
    notices = alone("config", "validate", "--json").json["notices"]
    assert sum("no service at the address of the profile" in each for each in notices) == 2
    for words in (("switch-llm", "claude"), ("status",), ("sessions",), ("list-llms",)):
        answer = alone("ai", *words)
        assert (
            answer.status == 0 and answer.err.count("the shipped profile of that name counts") == 2
        )
    found = {each["name"]: each for each in alone("ai", "list-llms", "--json").json["profiles"]}
    assert (found["qwen"]["key"], found["codex"]["auth"]) == ("env:QWEN_API_KEY", "native")
    alone("ai", "switch-llm", "qwen", QWEN_API_KEY=CANARY)
    assert "dashscope-intl" in (alone.home / ".claude/settings.json").read_text()


def test_a_wrong_profile_stops_no_other(alone: Command) -> None:
    alone.settings.write_text(
        "ai_environments:\n  llm_profiles:\n"
        "    mine: {anthropic_base_url: 'https://one.example'}\n"
        f"    qwen: {{key: {CANARY}}}\n"
        f"    zai: {{modle: {CANARY}}}\n"
        "    late: {api_timeout_ms: soon}\n"
        "    good: {anthropic_base_url: 'https://two.example', key: 'env:K'}\n"
    )
    (alone.root / "config/profiles").mkdir()
    (alone.root / "config/profiles/filed.yaml").write_text("model: m\nkye: env:K\n")
    (alone.root / "config/profiles/A Name.yaml").write_text("key: env:K\n")
    wanted = {
        "A Name": ("ai.profile_name", alone.root / "config/profiles/A Name.yaml"),
        "filed": ("ai.profile_file", f"{alone.root / 'config/profiles/filed.yaml'}:2"),
        "late": ("settings.invalid_value", f"{alone.settings}:6"),
        "mine": ("ai.profile_no_key", f"{alone.settings}:3"),
        "qwen": ("ai.profile_raw_key", f"{alone.settings}:4"),
        "zai": ("settings.unknown_key", f"{alone.settings}:5"),
    }
    answer = alone("ai", "list-llms", "--json")
    names = {each["name"] for each in answer.json["profiles"]}
    assert {"good", "claude"} <= names and not names & wanted.keys()
    for listed in (answer.json, json.loads(alone("config", "validate", "--json").out)):
        assert {each["profile"]: each["code"] for each in listed["unusable"]} == {
            name: code for name, (code, _) in wanted.items()
        }
        for each in listed["unusable"]:
            assert str(wanted[each["profile"]][1]) in each["message"]
    for words in (("ai", "list-llms"), ("config", "validate")):
        told = alone(*words)
        assert all(f"The profile {name} cannot be used. " in told.out for name in wanted)
        assert CANARY not in told.out + told.err
        assert told.status == (2 if "validate" in words else 0)
    for name, (code, _) in wanted.items():
        refused = alone("ai", "switch-llm", name, "--json")
        assert (refused.error["code"], refused.status) == (code, 2)
    (alone.home / ".claude").mkdir()
    assert alone("ai", "switch-llm", "good", K=CANARY).status == 0
    assert "two.example" in (alone.home / ".claude/settings.json").read_text()
    assert alone("config", "path").status == alone("ai", "status").status == 0
    edit = alone("ai", "profile", "edit", "zai", "--model", "m", "--json")
    assert edit.error["code"] == "ai.profile_in_settings"
    finding = next(
        each
        for each in json.loads(alone("doctor", "--json").out)["findings"]
        if each["name"] == "settings"
    )
    assert (
        finding["status"] == "warning" and "The profile late cannot be used" in finding["summary"]
    )


def test_exports_hold_references_and_come_back(alone: Command, another: Command) -> None:
    assert alone(*ADD, "--model", "m1").status == 0
    alone("ai", "profile", "edit", "qwen", "--key", "keyring:llm/qwen")
    exported = alone("ai", "profile", "export", MY_KEY=CANARY)
    assert CANARY not in exported.out
    said = yaml.safe_load(exported.out)["ai_environments"]["llm_profiles"]
    assert set(said) == {"mine", "qwen"} and said["mine"]["key"] == "env:MY_KEY"

    file = another.home / "profiles.yaml"
    file.write_text(exported.out)
    error = another("ai", "profile", "import", file, "--json").error
    assert error["code"] == "ai.profile_exists" and "qwen already (shipped)" in error["message"]
    report = another("ai", "profile", "import", file, "--replace", "--json").json
    assert report["imported"] == ["mine", "qwen"] and report["addresses"]["mine"] == [URL]
    assert another("ai", "profile", "export").out == exported.out
    assert another("ai", "profile", "import", file, "--json").json["unchanged"] == ["mine", "qwen"]
    another("ai", "profile", "edit", "mine", "--model", "m2")
    error = another("ai", "profile", "import", file, "--json").error
    assert error["code"] == "ai.profile_exists"
    assert another("ai", "profile", "import", file, "--replace").status == 0
    assert another("ai", "profile", "show", "mine", "--json").json["model"] == "m1"
    another.settings.write_text(exported.out)  # it is settings, too
    assert another("ai", "profile", "show", "mine", "--json").json["origin"] == str(
        another.settings
    )

    file.write_text(alone("ai", "profile", "export", "mine", "--json").out)
    assert (
        another("ai", "profile", "import", file, "--json").error["code"] == "ai.profile_in_settings"
    )
    another.settings.write_text("")
    assert another("ai", "profile", "import", file, "--json").json["unchanged"] == ["mine"]


def test_an_import_is_whole_or_nothing(alone: Command) -> None:
    file = alone.home / "profiles.yaml"
    file.write_text(json.dumps({"profiles": {
        "good": {"anthropic_base_url": URL, "key": "env:K"},
        "bad": {"anthropic_base_url": URL, "key": CANARY},
    }}))  # fmt: skip
    answer = alone("ai", "profile", "import", file, "--json")
    assert answer.error["code"] == "ai.profile_raw_key" and CANARY not in answer.err
    assert files(alone) == []
    assert alone("ai", "profile", "import", file, "--only", "good").status == 0
    assert files(alone) == ["good.yaml"]
    file.write_text("{}")
    assert alone("ai", "profile", "import", file, "--json").error["code"] == "ai.import_nothing"
    gone = alone("ai", "profile", "import", "nope", "--json")
    assert (gone.error["code"], gone.status) == ("ai.import_no_file", 3)


@pytest.mark.parametrize("text", [
    "ai_environments: {llm_profiles: {qwen: {anthropic_base_url: 'https://evil.example'}}}",
    "secrets: {env: {required_keys: [K]}}", "{ broken",
])  # fmt: skip
def test_a_project_that_is_not_trusted_stops_what_writes(alone: Command, text: str) -> None:
    project = alone.home / "clone"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(text)
    file = alone.home / "x.yaml"
    file.write_text("{}")
    for words in (
        ADD[2:],
        ("edit", "qwen", "--model", "m"),
        ("remove", "qwen"),
        ("import", str(file)),
    ):
        error = alone("ai", "profile", *words, "--json", cwd=project).error
        assert error["code"] == "settings.untrusted"
        assert error["hint"].endswith(f"mahavishnu ai trust {project}")
    assert files(alone) == []
    listed = alone("ai", "profile", "list", cwd=project)
    assert listed.status == 0 and "evil" not in listed.out


def test_a_trusted_project_may_speak_of_profiles(alone: Command) -> None:
    project = alone.home / "clone"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(
        f"ai_environments: {{llm_profiles: {{team: {{anthropic_base_url: '{URL}', key: 'env:K'}}}}}}"
    )
    assert alone("ai", "trust", project).out == f"Trusted: {project}\n"
    assert alone("ai", "profile", "show", "team", cwd=project).status == 0
    assert alone(*ADD, cwd=project).status == 0


def test_other_settings_of_an_untrusted_project_stop_nothing(alone: Command) -> None:
    project = alone.home / "clone"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text("log_level: debug")
    assert alone(*ADD, cwd=project).status == 0


def test_nothing_of_the_database_or_of_http_is_loaded(alone: Command) -> None:
    import subprocess
    import sys

    heavy = ("sqlalchemy", "asyncpg", "httpx", "keyring", "sqlite3", "mcp", "rich")
    code = (
        "import sys; from mahavishnu.interfaces.cli.root import cli;"
        "profile = cli.get_command(None, 'ai').get_command(None, 'profile');"
        "[profile.get_command(None, each) for each in profile.list_commands(None)];"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=alone.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_folder_that_cannot_be_written_is_told(alone: Command) -> None:
    (alone.root / "config").mkdir(parents=True)
    (alone.root / "config/profiles").write_text("a file in the way")
    answer = alone(*ADD, "--json")
    assert answer.error["code"] in ("settings.not_a_folder", "ai_files.no_folder")


def test_many_at_once_lose_nothing(alone: Command) -> None:
    words = [
        ("ai", "profile", "add", f"p{number}", "--anthropic-url", URL, "--key", "env:K")
        for number in range(3)
    ]
    started = [alone.start(*each) for each in (*words, words[0])]
    ended = sorted(process.wait(60) for process in started)
    for process in started:
        process.communicate()
    assert ended == [0, 0, 0, 4] and files(alone) == ["p0.yaml", "p1.yaml", "p2.yaml"]
