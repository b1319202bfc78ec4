"""Every client, every way to its key, every ordered pair of profiles: the second counts, and both can be undone."""

import contextlib
import itertools
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.status import look_at
from mahavishnu.ai.switching.switch import why_not
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import UsageError
from tests.support.switching import FILES, ONE, TWO, Site, install, site_in, switch_to, values

LOCAL = Profile(
    name="local",
    endpoints={"anthropic": "http://127.0.0.1:9", "openai-responses": "http://127.0.0.1:9/v1",
               "openai-chat": "http://127.0.0.1:9/v1"},
    model="local-model",
)  # fmt: skip
HEADER = replace(ONE, name="header", key_header="x-api-key", model="header-model")
PROFILES: dict[str, Profile] = {
    **SHIPPED, **{each.name: each for each in (ONE, TWO, LOCAL, HEADER)}
}  # fmt: skip
KEYS = {
    each.key.place: f"sk-canary-{name}-0123456789" for name, each in PROFILES.items() if each.key
}
MODES = ("asked", "written")
AT_A_TIME = 40  # then all is taken back, and a new journal begun
TEXTS = {
    "claude_code": '{\n  "permissions": {"allow": ["x"]},\n  "env": {"MINE": "1", "ANTHROPIC_MODEL": "opus"}\n}\n',
    "codex": '# mine\nmodel = "gpt"  # good\n\n[model_providers.azure]\nbase_url = "https://azure.example"\n',
    "qwen": '{"model": {"name": "mine"}, "modelProviders": {"openai": [{"id": "mine"}]}}',
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure would do is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_every_cell_of_the_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for client, mode in itertools.product(FILES, MODES):
        walked = walk(tmp_path / f"{client}-{mode}", client, mode)
        assert len(walked) == len(PROFILES) ** 2
        for outcome in walked.values():
            counts[client, mode, outcome] += 1
    with capsys.disabled():
        print("\nclient x delivery x ordered pair of profiles:")
        for (client, mode, outcome), count in sorted(counts.items()):
            print(f"  {client:12} {mode:8} {outcome:12} {count:5}")
    assert counts.total() == len(FILES) * len(MODES) * len(PROFILES) ** 2 == 3 * 2 * 17**2 == 1734
    assert sum(n for (*_, outcome), n in counts.items() if outcome == "switched") == 2 * 17 * (
        len(fitting("claude-code")) + len(fitting("codex")) + len(fitting("qwen"))
    )
    assert [len(fitting(client)) for client in FILES] == [14, 10, 12]


def fitting(client: ClientName) -> list[str]:
    return [
        name for name, each in PROFILES.items() if why_not(each, CLIENTS[client], "user") is None
    ]


def round_trip() -> list[Profile]:
    """Return profiles in an order in which each follows each, itself too, exactly once."""
    every = list(PROFILES.values())
    order = []
    for place, each in enumerate(every):
        order.append(each)
        for other in every[place + 1 :]:
            order += [each, other]
    return [*order, order[0]]


def walk(home: Path, client: ClientName, mode: str) -> dict[tuple[str, str], str]:
    """Switch from each profile to each, then take all back; return how each pair went."""
    paths = install(home, **TEXTS)
    before = {name: path.read_bytes() for name, path in paths.items()}
    site = site_in(home, environ=KEYS)
    path = paths[client]
    walked = {}
    for number, (first, second) in enumerate(itertools.pairwise(round_trip())):
        if number % AT_A_TIME == 0:
            take_all_back(site)
            assert path.read_bytes() == before[client]
            with contextlib.suppress(UsageError):
                switch_to(site, first, client, write_key=mode == "written")
        text = path.read_bytes()
        try:
            switch_to(site, second, client, write_key=mode == "written")
        except UsageError as error:
            assert error.code == "ai.unsuitable_profile" and path.read_bytes() == text
            walked[first.name, second.name] = "fits not"
            continue
        points_at(site, client, mode, second)
        walked[first.name, second.name] = "switched"
    others = [name for name in paths if name != client]
    assert all(paths[name].read_bytes() == before[name] for name in others)
    take_all_back(site)
    assert path.read_bytes() == before[client]
    return walked


def take_all_back(site: Site) -> None:
    for _ in site.journal.read().in_effect:
        undo(site)
    assert_no_key(site.journal.path, *KEYS.values())
    site.journal.path.unlink(missing_ok=True)


def assert_no_key(path: Path, *keys: str) -> None:
    text = path.read_text() if path.exists() else ""
    assert not [key for key in keys if key in text]


def points_at(site: Site, client: ClientName, mode: str, profile: Profile) -> None:
    """Assert that address, key, model and nothing of another profile is what the client goes by."""
    path = site.path_of(client, "user")
    says = values(path)
    key = KEYS[profile.key.place] if profile.key and profile.auth == "key" else None
    CHECKS[client](says, profile, key if mode == "written" else None)
    found = [key for key in KEYS.values() if key in path.read_text()]
    assert found == ([key] if key and mode == "written" else [])
    status = look_at(site, client, "user", PROFILES, site.journal.read())
    assert status.profile == profile.name and not status.drift


def claude_points_at(says: dict[str, Any], profile: Profile, key: str | None) -> None:
    env, helper = says["env"], says.get("apiKeyHelper", "")
    assert env["MINE"] == "1" and says["permissions"] == {"allow": ["x"]}
    token, api_key = env["ANTHROPIC_AUTH_TOKEN"], env["ANTHROPIC_API_KEY"]
    if profile.auth == "native":
        assert (env["ANTHROPIC_BASE_URL"], token, api_key, helper) == ("", "", "", "")
        assert env["ANTHROPIC_MODEL"] == "opus"
        return
    url = profile.endpoints["anthropic"]
    assert env["ANTHROPIC_BASE_URL"] == url and env["ANTHROPIC_MODEL"] == (profile.model or "")
    assert env["ANTHROPIC_CUSTOM_HEADERS"] == env["CLAUDE_CODE_USE_VERTEX"] == ""
    if profile.key is None:
        assert (token, api_key, helper) == ("none", "", "")
    elif key:
        pair = ("", key) if profile.key_header == "x-api-key" else (key, "")
        assert (token, api_key) == pair and not helper
    else:
        assert token == api_key == "" and str(profile.key) in helper.split()
        assert url.startswith(helper.split()[-1])


def codex_points_at(says: dict[str, Any], profile: Profile, key: str | None) -> None:
    assert says["model_providers"]["azure"] == {"base_url": "https://azure.example"}
    assert says["model"] == (profile.model or "gpt")
    if profile.auth == "native":
        assert says.get("model_provider", "openai") == "openai"
        assert "mahavishnu" not in says["model_providers"]
        return
    provider = says["model_providers"]["mahavishnu"]
    assert says["model_provider"] == "mahavishnu" and provider["wire_api"] == "responses"
    assert provider["base_url"] == profile.endpoints["openai-responses"]
    assert provider.get("experimental_bearer_token") == key
    words = provider.get("auth", {}).get("args", [])
    assert (str(profile.key) in words) == bool(profile.key and not key)
    assert not words or provider["base_url"].startswith(words[2])


def qwen_points_at(says: dict[str, Any], profile: Profile, key: str | None) -> None:
    kind = says["security"]["auth"]["selectedType"]
    protocol = "openai-chat" if kind == "openai" else kind
    elements = says["modelProviders"][kind]
    chosen = next(each for each in elements if each["id"] == says["model"]["name"])
    assert chosen["baseUrl"] == profile.endpoints[protocol] and chosen["id"] == profile.model
    assert says["env"][chosen["envKey"]] == (key or "none")
    ids = [each["id"] for each in elements]
    assert len(set(ids)) == len(ids)
    assert {"id": "mine"} in says["modelProviders"]["openai"]


CHECKS = {"claude-code": claude_points_at, "codex": codex_points_at, "qwen": qwen_points_at}


def test_every_client_has_its_column() -> None:
    assert set(CHECKS) == set(FILES) == set(CLIENTS)
    assert json.loads(TEXTS["qwen"])["model"]["name"] == "mine"
