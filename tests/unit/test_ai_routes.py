"""Routes of the gateway: what the file keeps, which links are tried, and whose token is whose."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mahavishnu.ai.routes.change import change_routes
from mahavishnu.ai.routes.intent import INTENTS, intent_in, read_intent, write_intent
from mahavishnu.ai.routes.routes import Link, Route, read_routes, routes_in, tokens_in
from mahavishnu.ai.routes.tokens import ensure_token, read_tokens, token_reference
from mahavishnu.ai.secrets.in_gateway import TokenStore
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import Corrupt, MahavishnuError

CHAIN = (Link("fast", models="*haiku*"), Link("work", directory="/w"), Link("one"), Link("two"))


@pytest.mark.parametrize(
    ("model", "folder", "profiles"),
    [
        ("claude-haiku-5", "", ["fast", "one", "two"]),
        ("claude-opus-5", "/w/a", ["work", "one", "two"]),
        ("claude-opus-5", "/wide", ["one", "two"]),
        ("claude-opus-5", "", ["one", "two"]),
    ],
)
def test_the_links_that_fit_are_tried_in_order(
    model: str, folder: str, profiles: list[str]
) -> None:
    route = Route("codex", CHAIN)
    assert [each.profile for each in route.links_for(model, folder)] == profiles
    pinned = route._replace(pinned=True).links_for(model, folder)
    assert [each.profile for each in pinned] == profiles[:1]


def test_a_route_has_one_profile_only_where_it_cannot_become_another() -> None:
    """Pinned is not enough: who unpins it has sessions in the middle of a turn."""
    assert Route("codex", (Link("one", models="a"), Link("one"))).only_profile == "one"
    assert Route("codex", (Link("one"), Link("two")), pinned=True).only_profile == ""


def test_changes_beside_switches_keep_what_they_do_not_name(tmp_path: Path) -> None:
    path = routes_in(tmp_path)
    path.parent.mkdir(parents=True)
    link = {"profile": "one", "models": "*", "directory": ""}
    rows = {name: {"chain": [link], "pinned": False, "url": "u"} for name in ("codex", "qwen")}
    path.write_text(json.dumps(rows))
    pinned = partial(change_routes, path, tmp_path / "locks", pinned=True)
    chains = {"codex": [Link("two", "*mini*", "/w")], "no-such-client": [Link("two")]}
    chained = partial(change_routes, path, tmp_path / "locks", chains=chains)
    with ThreadPoolExecutor(2) as pool:
        for each in (pool.submit(pinned), pool.submit(chained)):
            each.result()
    assert read_routes(path) == {
        "codex": Route("codex", (Link("two", "*mini*", "/w"),), pinned=True, url="u"),
        "qwen": Route("qwen", (Link("one"),), pinned=True, url="u"),
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_users_word_on_failover_is_kept_and_off_without_one(tmp_path: Path) -> None:
    path = intent_in(tmp_path)
    assert read_intent(path) == "off"
    for each in INTENTS:
        write_intent(path, each)
        assert read_intent(path) == each
    path.write_text("perhaps")
    assert read_intent(path) == "off"


@pytest.mark.parametrize(
    "said",
    ["", "[]", '{"codex": {"chain": []}}', '{"codex": {"chain": ["one"]}}', '{"codex": 1}',
     '{"codex": {"chain": [{"profile": "one"}]}}',
     '{"codex": {"chain": [{"profile": 1, "models": "*", "directory": ""}]}}'],
)  # fmt: skip
def test_damaged_routes_are_no_routes_that_are_missing(said: str, tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    assert read_routes(path) == {}
    path.write_text(said)
    with pytest.raises(Corrupt) as caught:
        read_routes(path)
    assert caught.value.code == "ai.routes_damaged"


def test_a_token_says_which_client_asks_and_its_reference_leads_to_it(tmp_path: Path) -> None:
    folder = tokens_in(tmp_path)
    token = ensure_token(folder, "codex")
    assert token.reveal() != ensure_token(folder, "qwen").reveal()
    assert ensure_token(folder, "codex").reveal() == token.reveal()
    assert read_tokens(folder)[token.reveal()] == "codex" and len(read_tokens(folder)) == 2
    assert (folder / "codex").stat().st_mode & 0o777 == 0o600
    reference = parse_reference(str(token_reference(folder, "codex")))
    assert TokenStore().read(reference).reveal() == token.reveal()


def test_what_is_no_token_is_not_read_by_such_a_reference(tmp_path: Path) -> None:
    other = tmp_path / "key"
    other.touch(0o600)
    other.write_text("sk-canary")
    with pytest.raises(MahavishnuError) as caught:
        TokenStore().read(parse_reference(f"gateway:{other}"))
    assert caught.value.code == "secret.missing" and "canary" not in caught.value.message
    ensure_token(tmp_path / "tokens", "codex")
    (tmp_path / "tokens" / "codex").chmod(0o644)
    assert read_tokens(tmp_path / "tokens") == {}
