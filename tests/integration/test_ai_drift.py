"""What was changed since a switch: recognised, adopted, or written again; the user's is never lost silently."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.switching.drift import Adoption, adopt
from mahavishnu.ai.switching.restore import Restoration, plan_restore, restore
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import ClientStatus, look, look_at
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import MahavishnuError, NotFound
from tests.support.switching import (
    CLAUDE,
    CODEX,
    KEYS,
    ONE,
    TWO,
    everything,
    install,
    refused,
    site_in,
    switch_to,
    values,
)

EVERY: tuple[ClientName, ...] = ("claude-code", "codex", "qwen")
PROFILES = {each.name: each for each in (ONE, TWO, CLAUDE, CODEX)}
ELSEWHERE = "https://elsewhere.example/v1"
FOREIGN = "sk-canary-of-the-user-42"
TOKEN = "ANTHROPIC_AUTH_TOKEN"


def find_in(profiles: dict[str, Profile]) -> Callable[[str], Profile]:
    """Return what finds a profile as the settings would."""

    def find(name: str) -> Profile:
        if name not in profiles:
            raise NotFound(f"There is no profile {name!r}.", code="ai.unknown_profile")
        return profiles[name]

    return find


def restore_in(
    site: Site, *clients: ClientName, profiles: dict[str, Profile] = PROFILES, **wishes: Any
) -> Restoration:
    return restore(site, find_in(profiles), SwitchOptions(clients=clients, **wishes))


def refused_restore(site: Site, *clients: ClientName, **wishes: Any) -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        restore_in(site, *clients, **wishes)
    return caught.value


def status_of(site: Site, client: ClientName = "claude-code", **more: Any) -> ClientStatus:
    return look_at(site, client, more.get("scope", "user"), PROFILES, site.journal.read())


def edit(path: Path, *exchanges: tuple[str, str]) -> None:
    """Edit a file by hand."""
    text = path.read_text()
    for old, new in exchanges:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def led_elsewhere(paths: dict[ClientName, Path]) -> None:
    """Give each client another address, and what belongs to that."""
    for client, path in paths.items():
        suffix = "/anthropic" if client == "claude-code" else "/v1"
        edit(path, (f"https://one.example{suffix}", ELSEWHERE), ('"one-large"', '"theirs"'))


def test_what_is_adopted_stands_and_the_next_switch_builds_on_it(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    written = everything(tmp_path)
    led_elsewhere(paths)
    before = {name: path.read_bytes() for name, path in paths.items()}
    assert all(status_of(site, name).drift for name in EVERY)
    done = adopt(site)
    assert [entry.kind for entry, _ in done.entries] == ["adopt"]
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    assert not any(status_of(site, name).drift for name in EVERY)
    assert not site.journal.read().open
    assert adopt(site) == Adoption(()) and restore_in(site).plans == ()
    for name in ("claude-code", "codex"):
        switch_to(site, TWO, name)
    for _ in range(2):  # each switch's undo brings the adopted back
        undo(site)
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    undo(site)
    after = {str(path): path.read_bytes() for path in paths.values()}
    assert after == {path: written[path] for path in after}
    assert not any(status_of(site, name).drift for name in EVERY)


def test_a_timeout_that_was_adopted_is_the_users_own(tmp_path: Path) -> None:
    path = install(tmp_path, claude_code="{}")["claude-code"]
    site = site_in(tmp_path)

    def timeout_with(profile: Profile) -> str:
        switch_to(site, profile, "claude-code", allow_missing_key=True)
        return str(values(path)["env"]["API_TIMEOUT_MS"])

    assert timeout_with(SHIPPED["qwen"]) == "3000000"
    path.write_text(path.read_text().replace("3000000", "900000"))
    adopt(site)
    profiles = (SHIPPED["zai"], ONE, SHIPPED["qwen"], SHIPPED["claude"])
    assert [timeout_with(each) for each in profiles] == ["900000", "30000", "900000", "900000"]
    for _ in range(5):  # the adoption too
        undo(site)
    assert timeout_with(SHIPPED["zai"]) != "900000"


def test_a_switch_before_an_adoption_is_taken_back_after_it(tmp_path: Path) -> None:
    paths = install(tmp_path, claude_code='{"a": 1}')
    site = site_in(tmp_path)
    switched = switch_to(site, ONE, "claude-code").entry
    edit(paths["claude-code"], ("one-small", "mine"))
    [(adoption, _)] = adopt(site).entries
    assert switched is not None
    with pytest.raises(MahavishnuError) as caught:
        undo(site, str(switched.id))
    assert caught.value.code == "ai.undo_order" and adoption.id.hex[-8:] in str(caught.value.hint)
    back = undo(site)
    assert back.switch.id == adoption.id
    [record] = back.entry.files[0].records
    assert (record.before, record.after) == ("mine", "one-small")  # what was given up is told
    undo(site)
    assert paths["claude-code"].read_text() == '{"a": 1}'


@pytest.mark.parametrize("raw", [False, True])
def test_a_restoring_writes_all_of_it_again_and_its_undo_brings_the_edit_back(
    tmp_path: Path, raw: bool
) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, write_key=raw)
    written = {name: path.read_bytes() for name, path in paths.items()}
    led_elsewhere(paths)
    edited = {name: path.read_bytes() for name, path in paths.items()}
    dry = plan_restore(site, find_in(PROFILES), SwitchOptions())
    assert {file.name for plan in dry for file in plan.files} == set(EVERY)
    assert {name: path.read_bytes() for name, path in paths.items()} == edited
    [(_, entry)] = restore_in(site).plans
    assert entry is not None and entry.kind == "restore" and entry.profile == "one"
    for name, path in paths.items():
        assert values(path) == json_or_toml(written[name], path), name
        assert not status_of(site, name).drift and status_of(site, name).profile == "one"
        assert not raw or path.stat().st_mode & 0o077 == 0
    undo(site)
    for name, path in paths.items():
        assert values(path) == json_or_toml(edited[name], path), name
    assert not any(key in site.journal.path.read_text() for key in KEYS.values())


def json_or_toml(content: bytes, path: Path) -> dict[str, Any]:
    other = path.with_name(f"other{path.suffix}")
    other.write_bytes(content)
    return values(other)


def test_address_key_and_model_are_restored_together(tmp_path: Path) -> None:
    """Also where the model alone would have been no conflict."""
    path = install(tmp_path)["codex"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "codex")
    edit(path, ('"one-large"', '"theirs"'), ("https://one.example/v1", ELSEWHERE))
    restore_in(site, "codex")
    says = values(path)
    assert says["model"] == "one-large"
    assert says["model_providers"]["mahavishnu"]["base_url"] == "https://one.example/v1"


def test_a_deleted_file_is_written_again_and_goes_again(tmp_path: Path) -> None:
    paths = install(tmp_path, codex="# mine\n")
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", "codex")
    written = {name: values(paths[name]) for name in ("claude-code", "codex")}
    paths["claude-code"].unlink()
    paths["codex"].unlink()
    status = status_of(site)
    assert status.drift and status.changed and status.changed.changed_at is None
    restore_in(site)
    assert {name: values(paths[name]) for name in ("claude-code", "codex")} == written
    assert paths["codex"].stat().st_mode & 0o777 == 0o600
    undo(site)
    assert not paths["claude-code"].exists() and not paths["codex"].exists()


def test_a_deleted_file_is_adopted_as_one_without_us(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", write_key=True)
    written = values(paths["claude-code"])
    paths["claude-code"].unlink()
    adopt(site)
    assert not status_of(site).drift
    switch_to(site, TWO, "claude-code")
    undo(site)
    assert not paths["claude-code"].exists()
    undo(site)
    assert values(paths["claude-code"]) == written
    assert paths["claude-code"].stat().st_mode & 0o777 == 0o600
    undo(site)
    assert not paths["claude-code"].exists()


# Keys


def test_a_key_of_the_users_that_was_adopted_is_still_the_users(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    edit(path, ('"ANTHROPIC_AUTH_TOKEN": ""', f'"ANTHROPIC_AUTH_TOKEN": "{FOREIGN}"'))
    adopt(site)
    text = path.read_bytes()
    assert FOREIGN not in site.journal.path.read_text()
    assert refused(site, TWO, "claude-code").code == "ai.plain_key"
    with pytest.raises(MahavishnuError) as caught:
        undo(site)
    assert caught.value.code == "ai.plain_key" and path.read_bytes() == text
    # And once it is gone, nothing can bring it back but the user.
    edit(path, (FOREIGN, ""))
    error = refused_restore(site)
    assert error.code == "ai.key_not_kept" and "ai adopt --client claude-code" in str(error.hint)
    adopt(site)
    switch_to(site, TWO, "claude-code")


def test_a_plain_key_stands_in_the_way_of_a_restoring(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    edit(path, ('"ANTHROPIC_AUTH_TOKEN": ""', f'"ANTHROPIC_AUTH_TOKEN": "{FOREIGN}"'))
    text = path.read_bytes()
    error = refused_restore(site)
    assert error.code == "ai.plain_key" and path.read_bytes() == text
    assert FOREIGN not in f"{error.message}{error.hint}"
    [(_, entry)] = restore_in(site, forget_keys=True).plans
    assert entry is not None and entry.lost == ("env.ANTHROPIC_AUTH_TOKEN",)
    assert not status_of(site).drift
    assert undo(site).lost == entry.lost


def test_a_raw_key_is_sought_anew(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, write_key=True)
    led_elsewhere(paths)
    later = replace(site, environ={**site.environ, "ONE_KEY": "sk-rotated-canary-77"})
    restore_in(later)
    for name, path in paths.items():
        assert "sk-rotated-canary-77" in path.read_text() and not status_of(later, name).drift
    led_elsewhere(paths)
    without = replace(site, environ={**site.environ, "ONE_KEY": ""})
    assert refused_restore(without).code == "secret.missing"


def test_a_raw_key_that_cannot_be_had_is_told_to_be_lost(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", write_key=True)
    edit(path, (KEYS["ONE_KEY"], ""))
    adopt(site)
    without = replace(site, environ={**site.environ, "ONE_KEY": ""})
    assert undo(without).lost == ("env.ANTHROPIC_AUTH_TOKEN",)
    assert values(path)["env"]["ANTHROPIC_AUTH_TOKEN"] == "none"


def test_a_missing_key_is_an_error_of_a_restoring_too(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    led_elsewhere(paths)
    before = everything(tmp_path)
    without = replace(site, environ={**site.environ, "ONE_KEY": ""})
    assert refused_restore(without).code == "secret.missing" and everything(tmp_path) == before
    restore_in(without, allow_missing_key=True)
    assert status_of(site).profile == "one"


# The profile


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "one-huge"},
        {"key": parse_reference("env:TWO_KEY")},
        {"endpoints": TWO.endpoints},
        {"timeout_ms": 5},
        {"clients": frozenset({"codex"})},
    ],
)
def test_a_profile_that_says_something_else_now_is_not_what_was_written(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    for client in EVERY:
        home = tmp_path / client
        home.mkdir()
        path = install(home)[client]
        site = site_in(home)
        switch_to(site, ONE, client)
        edited = replace(ONE, **changes)
        path.unlink()
        kept = ("timeout_ms" in changes and client != "claude-code") or (
            "clients" in changes and client == "codex"
        )
        if kept:  # of no concern to this client
            restore_in(site, client, profiles={"one": edited})
            continue
        error = refused_restore(site, client, profiles={"one": edited})
        assert error.code == "ai.profile_changed", (client, error)
        assert f"mahavishnu ai adopt --client {client}" in str(error.hint)
        assert not path.exists()


def test_a_raw_key_of_another_place_is_another(tmp_path: Path) -> None:
    """In the settings they look alike, as marks."""
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, write_key=True)
    led_elsewhere(paths)
    edited = {"one": replace(ONE, key=parse_reference("env:TWO_KEY"))}
    for client in EVERY:
        assert refused_restore(site, client, profiles=edited).code == "ai.profile_changed", client
    adopt(site, ["codex"])  # which does not make one forget whose key it is
    edit(paths["codex"], ('"theirs"', '"mine"'))
    assert refused_restore(site, "codex", profiles=edited).code == "ai.profile_changed"
    restore_in(site)


def test_a_profile_that_is_gone_is_told(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    edit(paths["claude-code"], ("one-small", "mine"))
    error = refused_restore(site, profiles={})
    assert error.code == "ai.unknown_profile" and "is gone" in error.message
    assert "ai adopt --client claude-code" in str(error.hint) and "switch-llm" in str(error.hint)


def test_a_program_that_was_installed_elsewhere_is_the_same_profile(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    led_elsewhere(paths)
    moved = replace(site, helper=Path("/a b/bin/mahavishnu-key"))
    restore_in(moved)
    assert values(paths["claude-code"])["apiKeyHelper"].startswith("'/a b/bin/mahavishnu-key' ")
    assert not status_of(moved).drift


def test_two_profiles_are_restored_each_with_an_entry(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    switch_to(site, TWO, "codex")
    edit(paths["claude-code"], ("one-small", "mine"))
    edit(paths["codex"], ("https://two.example/v1", ELSEWHERE))
    assert [entry.profile for entry, _ in adopt(site).entries] == ["one", "two"]
    undo(site)
    undo(site)
    edit(paths["claude-code"], ("one-small", "mine"))
    edit(paths["codex"], ("https://two.example/v1", ELSEWHERE))
    done = restore_in(site)
    assert [entry.profile for _, entry in done.plans if entry] == ["one", "two"]
    assert not status_of(site).drift and not status_of(site, "codex").drift


def test_what_was_adopted_is_restored_as_it_was_adopted(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    edit(path, ("one-small", "mine"))
    adopt(site)
    adopted = values(path)
    edit(path, ('"mine"', '"theirs"'), ("https://one.example/anthropic", ELSEWHERE))
    restore_in(site)
    assert values(path) == adopted


def switch_over(site: Site) -> None:
    switch_to(site, CLAUDE, "claude-code", overwrite=True)


def adopt_then_switch(site: Site) -> None:
    adopt(site)
    switch_to(site, CLAUDE, "claude-code")


@pytest.mark.parametrize("back", [restore_in, switch_over, adopt_then_switch])
@pytest.mark.parametrize("first", [False, True])
def test_the_own_sign_in_comes_back_without_what_belonged_to_the_other(
    tmp_path: Path, first: bool, back: Callable[[Site], object]
) -> None:
    """Its model would be asked of the sign-in."""
    path = install(tmp_path, claude_code='{"env": {"ANTHROPIC_MODEL": "opus"}}')["claude-code"]
    site = site_in(tmp_path)
    if not first:
        switch_to(site, ONE, "claude-code")
    switch_to(site, CLAUDE, "claude-code")
    written = values(path)
    path.write_text(
        json.dumps(
            {
                "env": {
                    "ANTHROPIC_BASE_URL": ELSEWHERE,
                    "ANTHROPIC_MODEL": "theirs",
                    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "theirs-small",
                    "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a",
                }
            }
        )
    )
    back(site)
    env = {name: value for name, value in values(path)["env"].items() if value}
    assert env == {name: value for name, value in written["env"].items() if value}
    assert env == {"ANTHROPIC_MODEL": "opus"}
    assert status_of(site).profile == "claude"


def test_codex_on_its_own_sign_in_is_restored_too(tmp_path: Path) -> None:
    path = install(tmp_path, codex='model = "gpt"\n')["codex"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "codex")
    switch_to(site, CODEX, "codex")
    path.write_text(
        'model = "theirs"\nmodel_provider = "custom"\n'
        f'[model_providers.custom]\nname = "custom"\nbase_url = "{ELSEWHERE}"\n'
    )
    assert status_of(site, "codex").drift
    restore_in(site, "codex")
    says = values(path)
    assert says.get("model_provider", "openai") == "openai" and says["model"] == "gpt"
    assert status_of(site, "codex").profile == "codex"


# Elements of lists


def test_an_element_that_was_edited_is_drift_and_comes_back(tmp_path: Path) -> None:
    path = install(tmp_path)["qwen"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "qwen")
    written = values(path)
    edit(path, ("https://one.example/v1", ELSEWHERE))
    edited = values(path)
    [drift] = status_of(site, "qwen").drift
    assert drift.path == ("modelProviders", "openai")
    assert isinstance(drift.now, dict) and drift.now["baseUrl"] == ELSEWHERE
    restore_in(site, "qwen")
    assert values(path) == written
    undo(site)
    assert values(path) == edited
    adopt(site)
    assert not status_of(site, "qwen").drift
    undo(site)
    assert values(path) == written
    path.unlink()
    restore_in(site, "qwen")
    assert values(path) == written


def test_an_element_with_a_key_that_was_adopted_is_no_drift_any_more(tmp_path: Path) -> None:
    path = install(tmp_path)["qwen"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "qwen")
    key = "AbcdEfghIjklMnopQrstUvwx"
    edit(path, ('"envKey":', f'"apiKey": "{key}",\n        "envKey":'))
    assert status_of(site, "qwen").drift and key not in repr(status_of(site, "qwen").drift)
    adopt(site)
    assert not status_of(site, "qwen").drift
    assert key not in site.journal.path.read_text()
    edit(path, (key, "another"))
    assert status_of(site, "qwen").drift


def test_an_element_is_not_exchanged_under_a_running_session(tmp_path: Path) -> None:
    path = install(tmp_path)["qwen"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "qwen")
    edit(path, ("https://one.example/v1", ELSEWHERE))
    session = tmp_path / ".qwen/sessions" / f"{os.getpid()}.json"
    session.parent.mkdir()
    session.write_text("{}")
    text = path.read_bytes()
    assert refused_restore(site, "qwen").code == "ai.session_running"
    assert path.read_bytes() == text


# Who it was


def author_of(site: Site, client: ClientName = "claude-code") -> str | None:
    changed = status_of(site, client).changed
    return None if changed is None else changed.author


def test_what_the_client_writes_is_its_own_doing_and_hinders_no_switch(tmp_path: Path) -> None:
    path = install(tmp_path)["codex"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "codex")
    assert author_of(site, "codex") is None
    edit(path, ('"one-large"', '"one-other"'))
    status = status_of(site, "codex")
    assert author_of(site, "codex") == "client"
    assert [(each.path, each.author) for each in status.drift] == [(("model",), "client")]
    assert status.changed and status.changed.changed_at
    assert abs(status.changed.changed_at.timestamp() - path.stat().st_mtime) < 0.001
    edit(path, ("https://one.example/v1", ELSEWHERE))
    assert {each.author for each in status_of(site, "codex").drift} == {"client", "unknown"}
    assert author_of(site, "codex") == "unknown"
    edit(path, (ELSEWHERE, "https://one.example/v1"))
    switch_to(site, TWO, "codex")


THEIRS = {"env": {"ANTHROPIC_BASE_URL": ELSEWHERE, "ANTHROPIC_AUTH_TOKEN": FOREIGN}}


@pytest.mark.parametrize("client", EVERY)
def test_cc_switch_is_named_where_it_is_installed(tmp_path: Path, client: ClientName) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, client)
    led_elsewhere({client: paths[client]})
    assert author_of(site, client) == "unknown"
    database = tmp_path / ".cc-switch" / "cc-switch.db"
    database.parent.mkdir()
    database.write_bytes(b"not read")
    assert author_of(site, client) == ("unknown" if client == "qwen" else "cc-switch")


# What becomes of the key


@pytest.mark.parametrize("client", EVERY)
@pytest.mark.parametrize("raw", [False, True])
def test_a_key_beside_another_address_is_warned_of(
    tmp_path: Path, client: ClientName, raw: bool
) -> None:
    path = install(tmp_path)[client]
    site = site_in(tmp_path)
    switch_to(site, ONE, client, write_key=raw)
    led_elsewhere({client: path})
    said = status_of(site, client).warning
    assert ELSEWHERE in said
    if raw:
        assert said.startswith("The key that was written goes to ")
    elif client == "qwen":
        assert said.startswith("Qwen Code sends the key in ONE_KEY to ")
    else:
        assert "bound to https://one.example" in said and "mahavishnu-key refuses" in said
    path.write_text(path.read_text().replace(ELSEWHERE, "https://one.example/other"))
    assert status_of(site, client).drift and not status_of(site, client).warning


def test_another_key_at_another_address_is_no_concern_of_ours(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE)
    paths["claude-code"].write_text(json.dumps(THEIRS))
    paths["codex"].write_text(
        'model_provider = "custom"\n[model_providers.custom]\n'
        f'name = "custom"\nbase_url = "{ELSEWHERE}"\nenv_key = "THEIRS"\n'
    )
    for client in ("claude-code", "codex"):
        assert status_of(site, client).drift and not status_of(site, client).warning


def test_without_an_address_the_clients_own_is_asked(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    edit(path, ("https://one.example/anthropic", ""))
    assert "asks https://api.anthropic.com now" in status_of(site).warning


# A project


def test_a_project_is_adopted_and_restored_apart(tmp_path: Path) -> None:
    install(tmp_path, claude_code="{}")
    site = site_in(tmp_path)
    (site.folder / ".git").mkdir(parents=True)
    switch_to(site, ONE, "claude-code", scope="project")
    path = site.folder / ".claude/settings.local.json"
    written = path.read_bytes()
    edit(path, ("one-small", "mine"))
    assert adopt(site) == Adoption(()) and restore_in(site).plans == ()
    [(_, entry)] = restore_in(site, scope="project").plans
    assert entry is not None and entry.scope == "project" and path.read_bytes() == written
    edit(path, ("one-small", "mine"))
    [(entry, _)] = adopt(site, scope="project").entries
    assert entry.scope == "project" and not status_of(site, scope="project").drift
    error = refused_restore(site, "codex", scope="project")
    assert error.code == "ai.no_project_scope"


def test_what_an_undo_put_in_the_place_of_a_lost_key_is_ours(tmp_path: Path) -> None:
    """Adopted, given up by a switch, taken back: the switch before and the next one are not held up."""
    path = install(tmp_path, claude_code='{"a": 1}')["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    text = json.dumps({**values(path), "env": {**values(path)["env"], TOKEN: FOREIGN}})
    path.write_text(text)
    adopt(site)
    for _ in range(2):
        switch_to(site, TWO, "claude-code", forget_keys=True)
        undo(site)
        claude, *_ = look(site, PROFILES, site.journal.read())
        assert values(path)["env"][TOKEN] == "none" and not claude.drift
    undo(site)
    assert values(path)["env"][TOKEN] == ""
    undo(site)
    assert path.read_text() == '{"a": 1}'
