"""Edits of any kind in members of ours are adopted and taken back, restored and taken back: nothing is lost."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.drift import adopt
from mahavishnu.ai.switching.restore import restore
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import look_at
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import MahavishnuError
from tests.support.parts import draw_part
from tests.support.scratch import find_room
from tests.support.switching import CLAUDE, CODEX, ONE, TWO, install, site_in, switch_to, values
from tests.support.switching_killed import CODE

TEXTS = {
    "claude-code": '{\n  "permissions": {"allow": ["x"]},\n  "env": {"MINE": "1"}\n}\n',
    "codex": '# mine\napproval_policy = "never"  # so\n',
    "qwen": '{"$version": 4, "env": {"MINE": "1"}}\n',
}
ENV = ("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CODE_USE_VERTEX",
       "API_TIMEOUT_MS", "ONE_KEY")  # fmt: skip
PATHS: dict[ClientName, list[tuple[str, ...]]] = {
    "claude-code": [*(("env", name) for name in ENV if name != "ONE_KEY"), ("apiKeyHelper",)],
    "codex": [
        ("model",), ("model_provider",), ("model_providers", "mahavishnu", "base_url"),
        ("model_providers", "mahavishnu", "auth"), ("model_providers", "mahavishnu"),
    ],
    "qwen": [
        ("env", "ONE_KEY"), ("model", "name"), ("security", "auth", "selectedType"),
        ("modelProviders", "openai"),
    ],
}  # fmt: skip
TEXT = st.sampled_from(["", "x", "https://x.example", "give-token --corp"])
LISTS = st.sampled_from(
    [[], [{"id": "a", "name": "Mahavishnu: one", "baseUrl": "https://x.example"}]]
)
EDITS = st.lists(st.tuples(st.integers(0, 30), st.none() | TEXT, LISTS), min_size=1, max_size=5)


def edited(
    document: Document, client: ClientName, edits: list[tuple[int, str | None, Any]]
) -> Document:
    """Return the document with members set to other texts, or without them."""
    for number, text, elements in edits:
        path = PATHS[client][number % len(PATHS[client])]
        if text is None or path == ("env", "ONE_KEY"):  # another key there would be the user's
            document = document.remove(path)
        elif path == ("modelProviders", "openai"):
            document = document.set(path, elements)
        elif path[-1] == "mahavishnu":
            document = document.set(path, {"name": "x", "base_url": text})
        elif path[-1] == "auth":
            document = document.set(path, {"command": text, "args": []})
        else:
            document = document.set(path, text)
    return document


def is_clean(site: Site, client: ClientName) -> bool:
    return not look_at(site, client, "user", {}, site.journal.read()).drift


@pytest.mark.parametrize("client", PATHS)
def test_whatever_was_edited_is_adopted_or_restored_and_comes_back(client: ClientName) -> None:
    native = {"claude-code": CLAUDE, "codex": CODEX}.get(client, ONE)
    profiles: dict[str, Profile] = {each.name: each for each in (ONE, TWO, CLAUDE, CODEX)}

    @settings(max_examples=draw_part(*CODE).share(150), deadline=None, database=None)
    @given(EDITS, st.sampled_from([ONE, native]), st.booleans(), st.booleans())
    def check(edits: Any, profile: Profile, twice: bool, deleted: bool) -> None:
        with tempfile.TemporaryDirectory(dir=find_room()) as name:
            home = Path(name)
            path = install(home, **{client.replace("-", "_"): TEXTS[client]})[client]
            site = site_in(home)
            if twice:
                switch_to(site, TWO, client)
            switch_to(site, profile, client)
            written = values(path)
            if deleted:
                path.unlink(missing_ok=True)
            try:
                document = edited(site.open(CLIENTS[client], path).read(), client, edits)
            except MahavishnuError:  # an edit that this file cannot take
                return
            path.write_bytes(document.content)
            hand = values(path)
            if is_clean(site, client):
                return
            adopt(site)
            assert is_clean(site, client) and values(path) == hand
            undo(site)
            assert is_clean(site, client)
            assert ours(values(path)) == ours(written) or profile.auth == "native"
            path.write_bytes(document.content)
            restore(site, profiles.__getitem__, SwitchOptions())
            assert is_clean(site, client)
            assert ours(values(path)) == ours(written) or profile.auth == "native"
            undo(site)
            assert values(path) == hand

    check()


def ours(said: dict[str, Any]) -> str:
    """Return what we write; on the own sign-in, much of it is the user's again."""
    kept = {**said, "env": {k: v for k, v in said.get("env", {}).items() if k in ENV and v}}
    for name in ("permissions", "$version", "approval_policy"):
        kept.pop(name, None)
    return json.dumps({k: v for k, v in kept.items() if v}, sort_keys=True)
