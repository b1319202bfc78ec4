"""Switches through the gateway: one delivery for all profiles, and a route that a later switch changes alone."""

import errno
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.routes import translated
from mahavishnu.ai.routes.change import change_routes
from mahavishnu.ai.routes.intent import intent_in, write_intent
from mahavishnu.ai.routes.routes import Link, read_routes
from mahavishnu.ai.routes.tokens import read_tokens
from mahavishnu.ai.switching.drift import adopt
from mahavishnu.ai.switching.restore import restore
from mahavishnu.ai.switching.status import ClientStatus, look_at
from mahavishnu.ai.switching.switch import SwitchOptions, plan_switch, why_not
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.gateway.places import PARTING_S
from mahavishnu.operations.ai.gateway_unit import find_gateway
from tests.support.ai_files import at_step
from tests.support.switching import (
    CLAUDE,
    FILES,
    KEYS,
    ONE,
    TWO,
    Site,
    everything,
    install,
    refused,
    site_in,
    switch_to,
    values,
)

PROFILES = {each.name: each for each in (ONE, TWO, CLAUDE)}
THREE = replace(
    ONE, name="three", endpoints={"anthropic": "https://three.example"}, model="three-large"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure would do is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def settings(home: Path) -> dict[str, bytes]:
    """Return what the clients read."""
    return {name: (home / file).read_bytes() for name, file in FILES.items()}


def kept(home: Path) -> dict[str, bytes]:
    """Return all but the journal, the tokens, and a list without routes, which stay."""
    return {
        path: content
        for path, content in everything(home).items()
        if "/tokens/" not in path and "/state/ai/" not in path and content != b"{}\n"
    }


def status(site: Site, client: ClientName) -> ClientStatus:
    return look_at(site, client, "user", PROFILES, site.journal.read())


def test_clients_get_the_gateway_and_a_token_and_no_key(tmp_path: Path) -> None:
    paths = install(tmp_path, claude_code='{"env": {"MINE": "1"}}\n')
    site = site_in(tmp_path)
    done = switch_to(site, ONE, via="gateway")
    assert not any(
        key in text.decode() for key in KEYS.values() for text in everything(tmp_path).values()
    )
    claude = values(paths["claude-code"])
    assert claude["env"]["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8681/anthropic"
    assert claude["env"]["MINE"] == "1" and claude["env"]["ANTHROPIC_MODEL"] == ""
    assert (
        f"gateway:{site.tokens}/claude-code --for http://127.0.0.1:8681" in claude["apiKeyHelper"]
    )
    codex = values(paths["codex"])["model_providers"]["mahavishnu"]
    assert codex["base_url"] == "http://127.0.0.1:8681/openai"
    assert f"gateway:{site.tokens}/codex" in codex["auth"]["args"]
    qwen = values(paths["qwen"])
    [element] = qwen["modelProviders"]["openai"]
    assert element["baseUrl"] == "http://127.0.0.1:8681/openai"
    assert read_tokens(site.tokens)[qwen["env"][element["envKey"]]] == "qwen"
    assert paths["qwen"].stat().st_mode & 0o777 == site.routes.stat().st_mode & 0o777 == 0o600
    assert {name: each.names for name, each in read_routes(site.routes).items()} == dict.fromkeys(
        FILES, ("one",)
    )
    assert any("ONE_KEY as it was when it was started" in note for note in done.plan.notes)


def test_the_service_has_the_time_that_its_requests_get(tmp_path: Path) -> None:
    """Else they are killed while they end."""
    loaded = load_settings(environ={"MAHAVISHNU_HOME": str(tmp_path)}, folder=tmp_path)
    assert find_gateway(loaded).grace_s > loaded.settings.gateway.drain_timeout + PARTING_S


def test_a_later_switch_changes_the_route_and_no_file_of_a_client(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    before = kept(tmp_path)
    switch_to(site, ONE, via="gateway")
    joined = settings(tmp_path)
    done = switch_to(site, TWO)
    assert settings(tmp_path) == joined and done.entry is not None
    assert {file.path for file in done.entry.files} == {str(site.routes)}
    assert all(status(site, name).profile == "two" for name in FILES)
    assert all("none has to be restarted" in note for note in done.plan.notes[:3])
    assert switch_to(site, TWO).entry is None
    undo(site)
    assert all(status(site, name).profile == "one" for name in FILES)
    undo(site)
    assert kept(tmp_path) == before


def test_a_client_gets_what_is_translated_for_it_by_the_gateway_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translated, "find_spec", lambda name: name == "litellm")
    install(tmp_path)
    site = site_in(tmp_path)
    chat = replace(ONE, name="chat", endpoints={"openai-chat": "https://one.example/v1"})
    claude: ClientName = "claude-code"
    assert "--via gateway" in refused(site, chat, claude).message
    assert "no model" in refused(site, replace(chat, model=None), claude, via="gateway").message
    switch_to(site, TWO, claude, via="gateway")
    joined = (tmp_path / FILES[claude]).read_bytes()
    switch_to(site, chat, claude)  # it goes through the gateway already
    assert (tmp_path / FILES[claude]).read_bytes() == joined
    assert read_routes(site.routes)[claude].names == ("chat",)
    undo(site)
    assert status(site, claude).profile == "two"
    monkeypatch.setattr(translated, "find_spec", lambda _: None)
    assert "the extra translate" in refused(site, chat, claude, via="gateway").message


def test_undoing_one_clients_route_waits_for_no_other_client(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, via="gateway")
    first = switch_to(site, TWO, "codex").entry
    switch_to(site, TWO, "qwen")
    assert first is not None
    undo(site, first.id.hex)
    assert [status(site, name).profile for name in FILES] == ["one", "one", "two"]
    # The chain is the user's to change besides: a switch and an undo put theirs in its place.
    change_routes(site.routes, site.locks, chains={"qwen": [Link("other")]})
    undo(site)
    assert status(site, "qwen").profile == "one"


@pytest.mark.parametrize("client", FILES)
def test_every_pair_of_ways_leads_where_it_says_and_back(
    tmp_path: Path, client: ClientName
) -> None:
    """A sample of the matrix: through the gateway, straight, and a sign-in of the client's own, each after each."""
    ways = [("one", "gateway"), ("two", None), ("two", "direct"), ("one", None), ("claude", None)]
    ways = [
        (name, via)
        for name, via in ways
        if why_not(PROFILES[name], CLIENTS[client], "user") is None
    ]
    for number, (one, other) in enumerate(itertools.product(ways, repeat=2)):
        home = tmp_path / str(number)
        install(home)
        site = site_in(home)
        before = kept(home)
        entries, by_gateway = 0, False
        for name, via in (one, other):
            entries += switch_to(site, PROFILES[name], client, via=via).entry is not None
            by_gateway = name != "claude" and (via == "gateway" or (via is None and by_gateway))
            found = status(site, client)
            assert (found.profile, bool(found.route)) == (name, by_gateway), (one, other)
            assert not found.drift
        for _ in range(entries):
            undo(site)
        assert kept(home) == before, (one, other)


def test_who_leaves_the_gateway_is_told_and_its_old_sessions_keep_their_route(
    tmp_path: Path,
) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, via="gateway")
    done = switch_to(site, CLAUDE, "claude-code")
    assert any("no longer goes through the gateway" in note for note in done.plan.notes)
    assert status(site, "claude-code").profile == "claude"
    assert read_routes(site.routes)["claude-code"].profile == "one"


@pytest.mark.parametrize(
    ("profile", "wishes", "code"),
    [
        (CLAUDE, {}, "ai.unsuitable_profile"),
        (THREE, {"clients": ("codex",)}, "ai.unsuitable_profile"),
        (ONE, {"write_key": True}, "ai.gateway_option"),
        (ONE, {"scope": "project"}, "ai.gateway_option"),
    ],
)
def test_what_the_gateway_cannot_do_is_refused(
    tmp_path: Path, profile: object, wishes: dict[str, object], code: str
) -> None:
    install(tmp_path)
    clients = wishes.pop("clients", ("claude-code",))
    error = refused(site_in(tmp_path), profile, *clients, via="gateway", **wishes)  # type: ignore[arg-type, misc]
    assert error.code == code and not (tmp_path / "state" / "gateway").exists()


def test_a_plan_makes_no_token(tmp_path: Path) -> None:
    install(tmp_path)
    before = everything(tmp_path)
    plan = plan_switch(site_in(tmp_path), ONE, SwitchOptions(via="gateway"))
    assert len(plan.files) == 6 and everything(tmp_path) == before


def test_fallbacks_follow_the_chosen_profile_where_they_speak_its_protocol(tmp_path: Path) -> None:
    install(tmp_path)
    site = replace(site_in(tmp_path), fallback=lambda: (CLAUDE, THREE, ONE, TWO))
    switch_to(site, TWO, via="gateway")
    routes = read_routes(site.routes)
    assert routes["claude-code"].names == ("two", "three", "one")
    assert routes["codex"].names == ("two", "one") and all(each.pinned for each in routes.values())
    write_intent(intent_in(site.state), "on")
    change_routes(site.routes, site.locks, pinned=False)
    switch_to(site, ONE)
    undo(site)  # what the user wants of failover is not taken back with it
    assert not any(each.pinned for each in read_routes(site.routes).values())


def test_settings_that_others_changed_are_led_to_the_gateway_again(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, via="gateway")
    joined = settings(tmp_path)
    switch_to(site, TWO)
    said = values(paths["claude-code"])
    said["env"]["ANTHROPIC_BASE_URL"] = "https://elsewhere.example"
    paths["claude-code"].write_text(json.dumps(said))
    assert status(site, "claude-code").use == "other" and status(site, "claude-code").drift
    assert refused(site, ONE).code == "ai.changed_meanwhile"
    restore(site, PROFILES.__getitem__, SwitchOptions())
    assert values(paths["claude-code"]) == json.loads(joined["claude-code"])
    assert status(site, "claude-code").profile == "two"
    paths["claude-code"].write_text(json.dumps(said))
    adopt(site)
    assert switch_to(site, ONE, "claude-code").entry is not None
    assert status(site, "claude-code").route == ("one",)


@pytest.mark.parametrize("joined", [False, True])
def test_whatever_step_fails_files_and_routes_are_old_or_new(tmp_path: Path, joined: bool) -> None:
    """Steps are sampled: all of them are failed for the other deliveries."""

    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    outcomes = set()
    for step in range(1, 2000, 23):
        home = tmp_path / str(step)
        install(home)
        site = site_in(home)
        if joined:
            switch_to(site, TWO, via="gateway")
        old = kept(home)
        done = True
        with at_step(step, fail) as steps:
            try:
                switch_to(site, ONE, via="gateway")
            except (MahavishnuError, OSError):
                done = False
        assert kept(home) == old or done, step
        assert not done or {status(site, name).profile for name in FILES} == {"one"}, step
        outcomes.add(done)
        if steps[0] < step:
            break
    assert outcomes == {True, False}
