"""A directory is bound to a provider, and the real Claude Code is led to others in every way that it knows."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mahavishnu.ai.bindings.location import copy_of, path_in
from tests.support.command import Answer, Command
from tests.support.parts import often
from tests.support.peers.bound import BINDING
from tests.support.peers.provider_stub import Use
from tests.support.peers.switched import KEYS, NAMES, Household, move_in, providers, strays, write

pytestmark = [pytest.mark.peer, pytest.mark.leak]

PROMPT = ("-p", "Say something.")
SECRET = "the-code-of-customer-one"


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    """A home in which `project` is bound to `one`, and all clients are on `two`."""
    with providers() as served:
        household = move_in(tmp_path, served)
        write(tmp_path / ".claude/settings.json", {"env": {"MY_OWN": "1"}})
        household.switch("two", "claude-code")
        (household.project / "secret").write_text(SECRET)
        bind(household, "one")
        yield household
        served.assert_nothing_leaked()
        told = json.dumps([each.body for name in ("two", "three") for each in served.turns(name)])
        assert SECRET not in told


def bind(household: Household, name: str, *words: str | Path, **options: Any) -> Answer:
    answer = household.command("ai", "bind", name, *map(str, words), **options)
    assert answer.status == 0, answer
    return answer


def claude(household: Household, *words: str, cwd: Path | None = None, **environ: str) -> str:
    """Run Claude Code to its end, and return what it said."""
    done = household.run(
        household.home / "bin/claude", *(words or PROMPT), cwd=cwd, environ=environ
    )
    return done.stdout + done.stderr


def assert_kept(household: Household, *words: str, cwd: Path | None = None, **environ: str) -> None:
    """Assert that a run reaches the bound provider, and no other."""
    said = claude(household, *words, cwd=cwd, **environ)
    key = KEYS["ONE_KEY"]
    assert household.providers.turns("one"), said
    both = {"authorization": f"Bearer {key}", "x-api-key": key}
    household.providers.assert_reached("one", both, "one-large")


def assert_stopped(
    household: Household, *words: str, cwd: Path | None = None, **environ: str
) -> None:
    """Assert that a run is refused by name, and that no model of anybody is asked."""
    said = claude(household, *words, cwd=cwd, **environ)
    household.providers.assert_no_turns(said)
    assert "mahavishnu" in said, said


def other_settings(household: Household, **more: Any) -> dict[str, Any]:
    """Return settings for the provider `two`, with its key in plain text."""
    env = {
        "ANTHROPIC_BASE_URL": household.providers.urls["two"],
        "ANTHROPIC_AUTH_TOKEN": KEYS["TWO_KEY"],
    }
    return {"env": env, **more}


@pytest.mark.verifies("Claude Code, bound directory")
def test_ten_switches_of_the_whole_change_nothing_there(household: Household) -> None:
    elsewhere = household.home / "elsewhere"
    elsewhere.mkdir()
    for number in often(10, *BINDING, few=4):  # to each provider and back
        name = NAMES[number % 3]
        household.switch(name, "claude-code")
        assert_kept(household)
        claude(household, cwd=elsewhere)
        assert household.providers.turns(name)
        household.providers.forget()


def test_what_other_programs_exported_changes_nothing(household: Household) -> None:
    exported = strays(household.providers.urls["elsewhere"])
    del exported["CLAUDE_CODE_USE_VERTEX"]  # with it, the command for the key refuses
    assert_kept(household, **exported)
    exported = {
        "ANTHROPIC_BASE_URL": household.providers.urls["two"],
        "ANTHROPIC_AUTH_TOKEN": KEYS["TWO_KEY"],
        "ANTHROPIC_API_KEY": KEYS["TWO_KEY"],
    }
    assert_kept(household, **exported)


def test_options_that_lead_elsewhere_are_stopped(household: Household) -> None:
    given = other_settings(household)
    assert_stopped(household, "--settings", json.dumps(given), *PROMPT)
    write(household.home / "given.json", given)
    assert_stopped(household, "--settings", str(household.home / "given.json"), *PROMPT)
    assert_stopped(household, "--setting-sources", "user", *PROMPT)
    helper = {"apiKeyHelper": f"echo {KEYS['ONE_KEY']}"}
    assert_stopped(household, "--settings", json.dumps(helper), *PROMPT)


def test_another_model_is_asked_of_the_same_provider(household: Household) -> None:
    claude(household, "--model", "two-large", *PROMPT)
    assert household.providers.turns("one")
    assert not household.providers.turns("two")


def test_hooks_that_are_switched_off_leave_the_settings(household: Household) -> None:
    off = json.dumps({"disableAllHooks": True})
    assert_kept(household, "--settings", off, *PROMPT)
    assert_kept(household, "--setting-sources", "project,local", *PROMPT)
    users = household.home / ".claude/settings.json"
    users.write_text(json.dumps(json.loads(users.read_text()) | {"disableAllHooks": True}))
    assert_kept(household)
    (household.project / ".claude/settings.local.json").unlink()
    # Without guard and settings the key is withheld all the same.
    claude(household)
    assert not any(each.credentials.get("x-api-key") for each in household.providers.turns("two"))
    household.providers.forget()


def test_a_repository_can_neither_redirect_nor_switch_the_guard_off(household: Household) -> None:
    path = household.project / ".claude/settings.json"
    write(path, other_settings(household, disableAllHooks=True))
    said = claude(household)
    assert not household.providers.turns("two"), said
    household.providers.forget()
    write(path, {"disableAllHooks": True})
    assert_kept(household)
    (household.project / ".claude/settings.local.json").write_text('{"disableAllHooks": false}')
    assert_stopped(household)


def test_another_home_of_the_client_changes_nothing(household: Household) -> None:
    write(household.home / "other/settings.json", other_settings(household))
    assert_kept(household, CLAUDE_CONFIG_DIR=str(household.home / "other"))
    write(household.project / ".claude/settings.json", {"disableAllHooks": True})
    assert_kept(household, CLAUDE_CONFIG_DIR=str(household.home / "other"))


def test_a_subdirectory_is_bound_too(household: Household) -> None:
    sub = household.project / "a/b"
    write(sub / ".claude/settings.json", other_settings(household))
    assert_stopped(household, cwd=sub)
    (sub / ".claude/settings.json").unlink()
    assert_stopped(household, cwd=sub)  # without git, it reads no settings above it
    answer = household.command("ai", "run", "--bound", "--", "claude", *PROMPT, cwd=sub)
    assert answer.status == 0 and household.providers.turns("one"), answer
    household.providers.forget()
    git(household.project, "init", "-q")
    bind(household, "one")
    assert_kept(household, cwd=sub)


def git(folder: Path, *words: str) -> None:
    own = {"HOME": str(folder), "PATH": os.defpath, "GIT_CONFIG_GLOBAL": "/dev/null"}
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", folder, *who, *words], env=own, check=True, capture_output=True)


def test_links_and_worktrees_lead_to_the_same_binding(household: Household) -> None:
    link = household.home / "link"
    link.symlink_to(household.project)
    assert_kept(household, cwd=link, PWD=str(link))
    git(household.project, "init", "-q")
    bind(household, "one")
    git(household.project, "commit", "-q", "--allow-empty", "-m", "x")
    tree = household.home / "tree"
    git(household.project, "worktree", "add", "-q", str(tree))
    assert_kept(household, cwd=tree)
    write(tree / ".claude/settings.local.json", other_settings(household))
    said = claude(household, cwd=tree)
    assert not household.providers.turns("two"), said
    household.providers.forget()


def test_a_renamed_directory_stays_bound(household: Household) -> None:
    renamed = household.home / "renamed"
    household.project.rename(renamed)
    assert_kept(household, cwd=renamed)
    (renamed / ".claude/settings.local.json").unlink()
    assert_stopped(household, cwd=renamed)
    household.project.mkdir()  # as a new clone would be
    assert_stopped(household)


def test_the_innermost_binding_counts(household: Household) -> None:
    inner = household.project / "inner"
    inner.mkdir()
    bind(household, "three", inner)
    claude(household, cwd=inner)
    assert household.providers.turns("three") and not household.providers.turns("one")
    household.providers.forget()
    assert_kept(household)
    assert household.command("ai", "unbind", str(inner)).status == 0
    assert_stopped(household, cwd=inner)


@pytest.mark.parametrize("what", ["gone", "damaged", "empty"])
def test_without_our_list_its_copy_counts_and_without_both_nobody_goes_on(
    household: Household, what: str
) -> None:
    path = path_in(Command(household.home).root / "state")
    spoil(path, what)
    assert_kept(household)
    (household.project / ".claude/settings.local.json").unlink()
    assert_stopped(household)
    spoil(copy_of(path), what)
    assert_stopped(household)
    answer = household.command("ai", "unbind", "--all")
    assert answer.status == 0, answer
    claude(household)
    assert household.providers.turns("two")
    household.providers.forget()
    household.providers.stubs["two"].asked.clear()


def spoil(path: Path, what: str) -> None:
    if what == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if what == "empty" else path.read_bytes()[:-20])


def test_a_profile_that_was_changed_or_removed_is_stopped(household: Household) -> None:
    settings = Command(household.home).settings
    before = settings.read_text()
    values = yaml.safe_load(before)
    profiles = values["ai_environments"]["llm_profiles"]
    profiles["one"] = profiles["two"]
    settings.write_text(yaml.safe_dump(values))
    assert_stopped(household)
    del profiles["one"]
    settings.write_text(yaml.safe_dump(values))
    assert_stopped(household)
    settings.write_text("x: [")
    assert_stopped(household)
    settings.write_text(before)
    assert_kept(household)


def test_a_guard_that_cannot_be_run_is_a_no(household: Household) -> None:
    path = household.home / ".claude/settings.json"
    text = path.read_text()
    (household.project / ".claude/settings.local.json").unlink()
    path.write_text(text.replace("bin/mahavishnu-guard", "bin/mahavishnu-gone"))
    assert_stopped(household)


def test_a_session_of_before_is_stopped_when_it_goes_on(household: Household) -> None:
    assert household.command("ai", "unbind").status == 0
    claude(household, "-p", "Of before.")
    assert household.providers.turns("two")
    household.providers.forget()
    bind(household, "one")
    assert_kept(household, "--model", "one-large", "--continue", *PROMPT)
    (household.project / ".claude/settings.local.json").unlink()
    assert_stopped(household, "--continue", *PROMPT)
    assert_stopped(household, "--continue", "-p", "/compact")


@pytest.mark.parametrize(
    "use",
    [
        lambda project: Use("Bash", {"command": f"cd {project} && cat secret", "description": "x"}),
        lambda project: Use("Bash", {"command": f"cat {project}/secret", "description": "x"}),
        lambda project: Use("Read", {"file_path": f"{project}/secret"}),
    ],
)
def test_a_session_from_outside_sends_nothing_that_it_found_there(
    household: Household, use: Callable[[Path], Use]
) -> None:
    outside = household.home / "outside"
    outside.mkdir()
    (outside / "link").symlink_to(household.project)
    household.providers.stubs["two"].script = [use(household.project)]
    allowed = ("--allowedTools=Bash,Read", "--add-dir", str(household.project), *PROMPT)
    said = claude(household, *allowed, cwd=outside)
    assert len(household.providers.turns("two")) == 1, said
    assert SECRET not in json.dumps([each.body for each in household.providers.turns("two")])
    household.providers.forget()
    household.providers.stubs["two"].script = []
    assert_stopped(household, "-p", "Look at @link/secret", cwd=outside)


def test_another_profile_is_refused_there_and_unbinding_gives_everything_back(
    household: Household,
) -> None:
    refused = household.command("ai", "run", "two", "--", "claude", *PROMPT)
    assert refused.status == 6 and "is bound to the profile one" in refused.err, refused
    words = ("ai", "switch-llm", "two", "--scope", "project", "--client", "claude-code")
    assert household.command(*words, "--json").error["code"] == "ai.bound"
    assert household.command("ai", "unbind").status == 0
    assert not (household.project / ".claude/settings.local.json").exists()
    assert "mahavishnu-guard" not in (household.home / ".claude/settings.json").read_text()
    claude(household)
    assert household.providers.turns("two")
    household.providers.stubs["two"].asked.clear()  # it may see the folder now


def test_outside_of_bound_directories_nothing_is_in_the_way(household: Household) -> None:
    outside = household.home / "outside"
    shutil.copytree(household.project, outside, ignore=shutil.ignore_patterns(".claude", "secret"))
    claude(household, cwd=outside)
    [asked] = household.providers.turns("two")
    assert asked.body["model"] == "two-large"
