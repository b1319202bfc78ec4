"""What switches keep and give back: of what was changed meanwhile, on the way to the own sign-in, by undo."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.ai.clients.claude_code.settings import OWNED_ENV
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.status import look
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import MahavishnuError
from tests.support.switching import (
    CLAUDE,
    CODEX,
    ONE,
    TWO,
    everything,
    install,
    refused,
    site_in,
    switch_to,
    values,
)


def test_what_was_changed_by_hand_is_not_lost_silently(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    path.write_text(path.read_text().replace("one-small", "my-own"))
    before = path.read_text()
    error = refused(site, TWO, "claude-code")
    assert error.code == "ai.changed_meanwhile" and "HAIKU" in error.message
    with pytest.raises(MahavishnuError) as caught:
        undo(site)
    assert caught.value.code == "ai.changed_meanwhile" and path.read_text() == before
    (status, *_) = look(site, {"one": ONE}, site.journal.read())
    assert [(d.path[-1], d.written, d.now) for d in status.drift] == [
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "one-small", "my-own")
    ]
    switch_to(site, TWO, "claude-code", overwrite=True)
    assert "my-own" not in path.read_text()


def test_a_model_that_the_user_chose_in_the_client_is_no_conflict(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    codex = paths["codex"]
    codex.write_text(codex.read_text().replace('"one-large"', '"one-other"'))
    switch_to(site, TWO)
    assert values(codex)["model"] == "two-large"
    undo(site)
    assert values(codex)["model"] == "one-other"
    undo(site)
    assert not codex.exists()


def test_native_gives_back_what_the_user_had_and_lets_go_of_it(tmp_path: Path) -> None:
    text = (
        '{"env": {"ANTHROPIC_MODEL": "opus", "API_TIMEOUT_MS": "5", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a",'
        ' "ANTHROPIC_BASE_URL": "https://api.anthropic.com/"}}'
    )
    path = install(tmp_path, claude_code=text)["claude-code"]
    site = site_in(tmp_path)
    for profile, timeout in ((ONE, "30000"), (TWO, "5"), (SHIPPED["qwen"], "5"), (CLAUDE, "5")):
        switch_to(site, profile, "claude-code", allow_missing_key=True)
        assert values(path)["env"]["API_TIMEOUT_MS"] == timeout
    env = values(path)["env"]
    assert (env["ANTHROPIC_MODEL"], env["API_TIMEOUT_MS"]) == ("opus", "5")
    assert env["ANTHROPIC_CUSTOM_HEADERS"] == "X-Team: a"
    assert (
        env["ANTHROPIC_BASE_URL"] == env["ANTHROPIC_AUTH_TOKEN"] == env["ANTHROPIC_API_KEY"] == ""
    )
    assert "apiKeyHelper" not in values(path)
    path.write_text(path.read_text().replace('"opus"', '"sonnet"'))
    switch_to(site, ONE, "claude-code")
    switch_to(site, CLAUDE, "claude-code")
    assert values(path)["env"]["ANTHROPIC_MODEL"] == "sonnet"


@pytest.mark.parametrize("between", [(), (ONE,), (ONE, TWO)])
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"ANTHROPIC_BASE_URL": "https://gw.example", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a"},
        {"CLAUDE_CODE_USE_BEDROCK": "1"},
    ],
)
def test_native_takes_nothing_of_another_provider_along(
    tmp_path: Path, elsewhere: dict[str, str], between: tuple[Profile, ...]
) -> None:
    """One that the user had set up by hand: its models, headers and cloud are not the sign-in's."""
    own = {"ANTHROPIC_MODEL": "theirs", "API_TIMEOUT_MS": "5", **elsewhere}
    path = install(tmp_path, claude_code=json.dumps({"env": own}))["claude-code"]
    before = path.read_text()
    site = site_in(tmp_path)
    for profile in (*between, CLAUDE):
        switch_to(site, profile, "claude-code")
    left = {name: value for name, value in values(path)["env"].items() if value}
    assert left == {"API_TIMEOUT_MS": "5"}  # how long to wait is the user's own, whoever is asked
    for _ in (*between, CLAUDE):
        undo(site)
    assert path.read_text() == before


def test_the_shipped_sign_in_waits_as_long_as_the_other_shipped_ones(tmp_path: Path) -> None:
    path = install(tmp_path, claude_code="{}")["claude-code"]
    site = site_in(tmp_path)
    for profile in (SHIPPED["claude"], SHIPPED["qwen"], SHIPPED["claude"]):
        switch_to(site, profile, "claude-code", allow_missing_key=True)
        assert values(path)["env"]["API_TIMEOUT_MS"] == "3000000"
    for _ in range(3):
        undo(site)
    assert path.read_text() == "{}"


def test_native_takes_our_models_along_where_the_journal_is_gone(tmp_path: Path) -> None:
    paths = install(tmp_path, claude_code="{}", codex="")
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", "codex")
    site.journal.path.unlink()
    switch_to(site, CLAUDE, "claude-code")
    switch_to(site, CODEX, "codex")
    assert not any(values(paths["claude-code"])["env"].values())
    assert tomllib.loads(paths["codex"].read_text()) == {"model_provider": "openai"}


def test_native_in_a_project_lets_nothing_of_the_user_show_through(tmp_path: Path) -> None:
    install(tmp_path, claude_code='{"env": {"ANTHROPIC_SMALL_FAST_MODEL": "x"}}')
    site = site_in(tmp_path)
    (site.folder / ".git").mkdir(parents=True, exist_ok=True)
    switch_to(site, ONE, "claude-code")
    switch_to(site, CLAUDE, "claude-code", scope="project")
    says = values(site.folder / ".claude/settings.local.json")
    assert says == {"env": dict.fromkeys(OWNED_ENV, ""), "apiKeyHelper": ""}


@pytest.mark.parametrize("link", [".claude/settings.local.json", ".claude"])
def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path, link: str) -> None:
    users = install(tmp_path, claude_code="{}")["claude-code"]
    site = site_in(tmp_path)
    (site.folder / ".git").mkdir(parents=True)
    place = site.folder / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(users if place.suffix else users.parent)
    error = refused(site, ONE, "claude-code", scope="project")
    assert error.code == "ai.outside_project" and users.read_text() == "{}"
    found = look(site, {}, site.journal.read())
    assert [each.problem.code for each in found if each.problem] == ["ai.outside_project"]
    assert [path.name for path in users.parent.iterdir()] == ["settings.json"]


def test_an_undo_follows_no_link_that_was_put_in_its_way(tmp_path: Path) -> None:
    install(tmp_path, claude_code="{}")
    site = site_in(tmp_path)
    (site.folder / ".git").mkdir(parents=True)
    switch_to(site, ONE, "claude-code", scope="project")
    folder = site.folder / ".claude"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MahavishnuError) as caught:
        undo(site)
    assert caught.value.code == "ai.outside_project"
    assert (tmp_path / "elsewhere/settings.local.json").exists()


def test_native_clears_an_address_of_codex_and_its_model(tmp_path: Path) -> None:
    address = 'openai_base_url = "https://proxy.example/v1"  # mine\nx = 1\n'
    path = install(tmp_path, codex=f'model = "theirs"\n{address}')["codex"]
    site = site_in(tmp_path)
    switch_to(site, CODEX, "codex")
    assert path.read_text() == address.replace("https://proxy.example/v1", "")
    assert switch_to(site, CODEX, "codex").entry is None
    undo(site)
    assert path.read_text() == f'{address}model = "theirs"\n'


def test_the_model_of_subagents_is_the_users_to_choose(tmp_path: Path) -> None:
    path = install(tmp_path, claude_code='{"env": {"CLAUDE_CODE_SUBAGENT_MODEL": "haiku"}}')[
        "claude-code"
    ]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    assert values(path)["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] == ""
    path.write_text(path.read_text().replace('MODEL": ""', 'MODEL": "one-small"'))
    switch_to(site, TWO, "claude-code")
    switch_to(site, CLAUDE, "claude-code")
    assert values(path)["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] == "haiku"


@pytest.mark.parametrize("between", [(), (TWO,)])
def test_a_model_of_subagents_chosen_for_a_provider_does_not_go_to_the_sign_in(
    tmp_path: Path, between: tuple[Profile, ...]
) -> None:
    path = install(tmp_path, claude_code="{}")["claude-code"]
    site = site_in(tmp_path)

    def choose(model: str) -> None:
        says = values(path)
        says["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] = model
        path.write_text(json.dumps(says))

    switch_to(site, ONE, "claude-code")
    choose("one-small")
    for profile in (*between, CLAUDE):
        switch_to(site, profile, "claude-code")
    assert values(path)["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] == ""
    choose("haiku")  # for the sign-in, this time
    for profile in (ONE, CLAUDE):
        switch_to(site, profile, "claude-code")
    assert values(path)["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] == "haiku"


@pytest.mark.parametrize("own", ["model = 'mine'  # good\n", ""])
@pytest.mark.parametrize("between", [(), (TWO,)])
def test_a_model_of_codex_chosen_for_a_provider_does_not_go_to_the_sign_in(
    tmp_path: Path, between: tuple[Profile, ...], own: str
) -> None:
    path = install(tmp_path, codex=own)["codex"]
    site = site_in(tmp_path)
    plain = replace(ONE, model=None)
    switch_to(site, plain, "codex")
    assert path.read_text().startswith(own) and switch_to(site, plain, "codex").entry is None
    path.write_text('model = "one-large"\n' + path.read_text().replace(own, ""))
    for profile in (*between, CODEX):
        switch_to(site, profile, "codex")
    assert values(path).get("model") == ("mine" if own else None)


def test_undo_leaves_what_came_meanwhile(tmp_path: Path) -> None:
    path = install(tmp_path, claude_code='{"a": 1}')["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    says = values(path)
    says["hooks"], says["env"]["MINE"] = {"Stop": []}, "1"
    path.write_text(json.dumps(says))
    undo(site)
    assert values(path) == {"a": 1, "hooks": {"Stop": []}, "env": {"MINE": "1"}}


def test_switches_are_taken_back_in_order(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    first = switch_to(site, ONE, "claude-code").entry
    other = switch_to(site, ONE, "codex").entry
    second = switch_to(site, TWO, "claude-code").entry
    assert first and other and second
    with pytest.raises(MahavishnuError) as caught:
        undo(site, first.id.hex[-8:])
    assert caught.value.code == "ai.undo_order" and second.id.hex[-8:] in str(caught.value.hint)
    assert undo(site, str(other.id)).switch.id == other.id
    back = undo(site, second.id.hex[-8:])
    for reference, code in (
        (str(second.id), "ai.already_undone"),
        (str(back.entry.id), "ai.not_a_switch"),
        ("abcdef01", "ai.no_switch"),
    ):
        with pytest.raises(MahavishnuError) as caught:
            undo(site, reference)
        assert caught.value.code == code
    undo(site)
    with pytest.raises(MahavishnuError) as caught:
        undo(site)
    assert caught.value.code == "ai.no_switch"


def test_a_switch_to_what_is_there_writes_nothing(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    before = everything(tmp_path)
    assert switch_to(site, ONE).entry is None
    assert everything(tmp_path) == before


def test_hundred_switches_leave_the_rest_as_it_was(tmp_path: Path) -> None:
    text = (
        '{\n\t"hooks": {"Stop": [ {"hooks":[]} ]},\n\t"permissions": {"deny": ["x"] }, "n": 1.0\n}'
    )
    path = install(tmp_path, claude_code=text)["claude-code"]
    site = site_in(tmp_path)
    for number in range(100):
        switch_to(site, (ONE, TWO, CLAUDE)[number % 3], "claude-code")
    assert path.read_text().startswith(text.removesuffix("\n}"))
    while site.journal.read().in_effect:
        undo(site)
    assert path.read_text() == text
