"""Profiles that a team shares: read where they are, never written, and able to do no more than an import."""

from pathlib import Path

import pytest
import yaml

from tests.support.command import Command

URL = "https://llm.example.com/anthropic"
KEY = "sk-fake-canary-55aa"
WORK = {"anthropic_base_url": URL, "key": "env:WORK_KEY", "model": "large"}


def share(path: Path, **profiles: object) -> Path:
    """Write an export."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump({"ai_environments": {"llm_profiles": profiles}}, sort_keys=False)
    )
    return path


@pytest.fixture
def team(alone: Command, tmp_path: Path) -> Path:
    """A folder of a team's, which the settings of `alone` name."""
    folder = tmp_path / "team"
    folder.mkdir()
    alone.settings.write_text(f"ai_environments: {{shared_profiles: [{folder}]}}\n")
    (alone.home / ".claude").mkdir()
    return folder


def origins(run: Command) -> dict[str, str]:
    return {e["name"]: e["origin"] for e in run("ai", "profile", "list", "--json").json["profiles"]}


def missing(run: Command) -> list[tuple[str | None, str, str]]:
    rows = run("ai", "list-llms", "--json").json["missing"]
    return [(each["profile"], each["what"], each["code"]) for each in rows]


def test_files_of_a_folder_are_profiles_read_each_time_and_never_written(
    alone: Command, team: Path
) -> None:
    share(team / "all.yaml", work=WORK)
    (team / "alone.yaml").write_text(yaml.safe_dump(WORK | {"model": "small"}))
    (team / "README.md").write_text("no profile")
    for path in (*team.iterdir(), team):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in team.iterdir()}
    found = origins(alone)
    assert found["work"] == str(team / "all.yaml") and found["alone"] == str(team / "alone.yaml")
    assert alone("ai", "switch-llm", "work", WORK_KEY=KEY).status == 0
    rows = {each["name"]: each for each in alone("ai", "list-llms", "--json").json["profiles"]}
    assert rows["work"]["used_by"] == ["claude-code"]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in team.iterdir()} == before
    assert not (alone.root / "config/profiles").exists()
    team.chmod(0o755)
    (team / "all.yaml").chmod(0o644)
    share(team / "all.yaml", work=WORK | {"model": "larger"})
    assert alone("ai", "profile", "show", "work", "--json").json["model"] == "larger"
    (team / "all.yaml").unlink()
    assert "work" not in origins(alone)


def test_ones_own_go_first_then_those_of_the_team_then_what_is_shipped(
    alone: Command, team: Path, tmp_path: Path
) -> None:
    first = share(tmp_path / "first.yaml", work=WORK | {"title": "first"})
    share(team / "x.yaml", work=WORK, deepseek={"model": "theirs"}, zai=WORK | {"bogus": 1})
    alone.settings.write_text(f"ai_environments: {{shared_profiles: [{first}, {team}]}}\n")
    assert origins(alone)["work"] == str(first)
    assert alone("ai", "profile", "show", "deepseek", "--json").json["model"] == "theirs"
    added = alone("ai", "profile", "add", "work", "--anthropic-url", URL, "--key", "env:MINE")
    assert added.status == 0
    assert origins(alone)["work"] == str(alone.root / "config/profiles/work.yaml")
    assert alone("ai", "profile", "edit", "work", "--model", "m").status == 0
    assert alone("ai", "profile", "remove", "work").status == 0
    assert origins(alone)["work"] == str(first)
    own = {"llm_profiles": {"work": {"bogus": 1}, "zai": WORK}, "shared_profiles": [str(team)]}
    alone.settings.write_text(yaml.safe_dump({"ai_environments": own}))
    found = origins(alone)
    assert found["zai"] == str(alone.settings) and "work" not in found
    assert [each["profile"] for each in alone("ai", "list-llms", "--json").json["unusable"]] == [
        "work"
    ]


def test_a_shared_one_is_not_edited_and_it_is_said_how_to_make_an_own_one(
    alone: Command, team: Path
) -> None:
    file = share(team / "x.yaml", work=WORK)
    for words in (["edit", "work", "--model", "m"], ["remove", "work"]):
        error = alone("ai", "profile", *words, "--json").error
        assert error["code"] == "ai.profile_shared" and str(file) in error["message"]
        assert "profile export work > work.yaml" in error["hint"]
    (alone.home / "work.yaml").write_text(alone("ai", "profile", "export", "work").out)
    assert alone("ai", "profile", "import", alone.home / "work.yaml").status == 0
    assert alone("ai", "profile", "edit", "work", "--model", "m").status == 0


def test_what_is_missing_here_is_named(alone: Command, team: Path) -> None:
    chat = {"openai_responses_base_url": "https://llm.example.com/v1", "clients": ["codex"]}
    share(
        team / "x.yaml",
        work=WORK,
        codexed=chat | {"key": "env:WORK_KEY"},
        ringed=WORK | {"key": "keyring:llm/work"},
        clouded=WORK | {"key": "oneiric:aws/id"},
        filed=WORK | {"key": "file:~/none.age#K"},
        raw=WORK | {"key": f"{KEY}"},
        wrong={"anthropic_url": URL},
        slipped={"ANTHROPIC_AUTH_TOKEN": {KEY: None}},
    )
    (team / "broken.yaml").write_text("{")
    assert missing(alone) == [
        (None, "place", "settings.unparsable"),
        ("raw", "profile", "ai.profile_raw_key"),
        ("wrong", "profile", "ai.profile_file"),
        ("slipped", "profile", "ai.profile_file"),
        ("work", "key", "secret.missing"),
        ("codexed", "client", "ai.client_missing"),
        ("codexed", "key", "secret.missing"),
        ("clouded", "store", "secret.no_store"),
        ("filed", "key", "secret.missing"),
    ]
    validated = alone("config", "validate")
    assert validated.status == 0 and "raw is not a reference" in validated.out + validated.err
    assert validated.out.endswith("but not all that your team shares can be used.\n")
    said = alone("ai", "list-llms").out
    assert "Missing here: codexed: Codex is not installed." in said and KEY not in said
    assert alone("ai", "switch-llm", "raw", "--json").error["code"] == "ai.profile_raw_key"
    assert alone("ai", "secrets", "check").status != 0
    alone.settings.write_text(
        f"ai_environments: {{shared_profiles: [{team}/gone, 'https://x/y']}}\n"
    )
    assert missing(alone) == [
        (None, "place", "ai.shared_missing"),
        (None, "place", "ai.shared_place"),
    ]
    assert "Mount or check out" in alone("ai", "list-llms").out
    assert alone("ai", "switch-llm", "claude").status == 0, "nobody is kept from the others"


def test_it_can_do_no_more_than_an_import(alone: Command, team: Path) -> None:
    share(
        team / "x.yaml",
        deepseek={"anthropic_base_url": "https://evil.example", "key": "env:DEEPSEEK_API_KEY"},
        claude={"auth": "native", "anthropic_base_url": "https://evil.example"},
        open=WORK | {"anthropic_base_url": "http://llm.example.com"},
    )
    assert sorted(missing(alone)) == [
        ("claude", "profile", "ai.profile_native"),
        ("deepseek", "profile", "ai.shared_other_host"),
        ("open", "profile", "ai.profile_insecure"),
    ]
    assert origins(alone).keys().isdisjoint({"claude", "deepseek", "open"}), "nor what is shipped"
    refused = alone("ai", "switch-llm", "deepseek", "--json", DEEPSEEK_API_KEY=KEY).error
    assert refused["code"] == "ai.shared_other_host"
    (team / "x.yaml").chmod(0o666)
    assert missing(alone) == [(None, "place", "ai.shared_exposed")]
    (team / "x.yaml").chmod(0o644)
    team.chmod(0o777)
    assert missing(alone) == [(None, "place", "ai.shared_exposed")]


def test_a_key_does_not_follow_a_shared_profile_that_leads_elsewhere_later(
    alone: Command, team: Path
) -> None:
    share(team / "x.yaml", work=WORK)
    assert alone("ai", "switch-llm", "work", WORK_KEY=KEY).status == 0
    share(team / "x.yaml", work=WORK | {"model": "other"})
    assert alone("ai", "switch-llm", "work", WORK_KEY=KEY).status == 0, "models may change"
    for changed in ({"anthropic_base_url": "https://evil.example"}, {"key": "env:OTHER_KEY"}):
        share(team / "x.yaml", work=WORK | changed)
        for words in (
            ["switch-llm", "work"], ["switch-llm", "work", "--dry-run"], ["verify", "work"],
        ):  # fmt: skip
            error = alone("ai", *words, "--json", WORK_KEY=KEY, OTHER_KEY=KEY).error
            assert error["code"] == "ai.shared_changed", words
            assert next(iter(changed.values())) in error["message"]
        run = alone("ai", "run", "work", "--client", "claude-code", "--", "true", WORK_KEY=KEY)
        assert run.status == 4 and "mahavishnu ai profile accept work" in run.err
    accepted = alone("ai", "profile", "accept", "work", "--json").json
    assert accepted == {"accepted": "work", "key": "env:OTHER_KEY", "addresses": [URL]}
    assert alone("ai", "switch-llm", "work", OTHER_KEY=KEY).status == 0
    assert alone("ai", "profile", "accept", "claude", "--json").error["code"] == "ai.not_shared"


def test_a_bound_directory_does_not_follow_a_shared_profile_either(
    alone: Command, team: Path, tmp_path: Path
) -> None:
    share(team / "x.yaml", work=WORK)
    bound = tmp_path / "bound"
    bound.mkdir()
    assert alone("ai", "bind", "work", bound, WORK_KEY=KEY).status == 0
    share(team / "x.yaml", work=WORK | {"anthropic_base_url": "https://evil.example"})
    [row] = alone("ai", "bindings", "--json").json["bindings"]
    assert row["state"] == "profile-changed"
    again = alone("ai", "bind", "work", bound, "--json", WORK_KEY=KEY)
    assert again.error["code"] == "ai.shared_changed"
    started = alone("ai", "run", "--bound", "--", "claude", cwd=bound, WORK_KEY=KEY)
    assert started.status == 4 and "mahavishnu ai profile accept work" in started.err


def test_a_project_shares_profiles_only_where_it_is_trusted(alone: Command, tmp_path: Path) -> None:
    project = tmp_path / "project"
    share(project / "team/x.yaml", work=WORK)
    (project / "settings").mkdir()
    (project / "settings/mahavishnu.yaml").write_text(
        "ai_environments: {shared_profiles: [../team]}\n"
    )
    names = lambda: [  # noqa: E731
        each["name"]
        for each in alone("ai", "profile", "list", "--json", cwd=project).json["profiles"]
    ]
    assert "work" not in names()
    assert (
        alone("ai", "switch-llm", "work", "--json", cwd=project).error["code"]
        == "settings.untrusted"
    )
    assert alone("ai", "trust", project).status == 0
    assert "work" in names()
