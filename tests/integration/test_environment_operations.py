"""The operations on AI clients, in a home with clients in it; no database is asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import msgspec
import pytest

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, NotFound, Unavailable, UsageError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.operations.ai import switching
from mahavishnu.operations.ai.gateway_health import gateway_answers
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS

BY_NAME = {operation.name: operation for operation in OPERATIONS}
CANARY = "sk-canary-4411"


class Home:
    """A home whose clients are asked by operations, held to their schemas."""

    def __init__(self, folder: Path) -> None:
        self.claude = folder / ".claude/settings.json"
        self.claude.parent.mkdir(mode=0o700)
        self.text = '{\n  "theme": "dark",\n  "env": {"MINE": "1"}\n}\n'
        self.claude.write_text(self.text)
        environ = {
            "HOME": str(folder),
            "MAHAVISHNU_HOME": str(folder / "mahavishnu"),
            "PATH": "",
            "DEEPSEEK_API_KEY": CANARY,
        }
        loaded = load_settings(environ=environ, folder=folder)
        # Of the application only the settings are asked for.
        self.call = Call(cast(App, SimpleNamespace(loaded=loaded)), "tests")

    async def __call__(self, name: str, /, **values: Any) -> Any:
        operation = BY_NAME[name]
        jsonschema.validate(values, operation.input_schema)
        encoded = msgspec.json.encode(await operation.run(self.call, operation.parse(values)))
        assert CANARY.encode() not in encoded
        decoded = msgspec.json.decode(encoded)
        jsonschema.validate(decoded, operation.output_schema)
        return decoded

    @property
    def env(self) -> dict[str, str]:
        env: dict[str, str] = json.loads(self.claude.read_text())["env"]
        return env


class Other(BaseHTTPRequestHandler):
    """A server that answers all with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def refusal(error: type[MahavishnuError], work: Any) -> str:
    with pytest.raises(error) as caught:
        await work
    return caught.value.code


async def test_a_switch_is_asked_for_by_llm_name_as_well(home: Home) -> None:
    assert await home("switch_llm", llm_name="deepseek") == await home(
        "switch_llm", name="deepseek"
    )
    for names in ({}, {"name": "deepseek", "llm_name": "zai"}):
        assert await refusal(UsageError, home("switch_llm", **names)) == "input.profile"


async def test_a_switch_is_asked_for_confirmed_told_and_taken_back(home: Home) -> None:
    asked = await home("switch_llm", name="deepseek")
    assert home.claude.read_text() == home.text
    assert not asked["confirmed"] and asked["id"] is None
    [told] = asked["clients"]
    assert told["client"] == "claude-code" and told["changed"] and told["delivery"] == "helper"
    assert ["apiKeyHelper"] in [member["path"] for member in told["members"]]
    assert {each["client"] for each in asked["unchanged"]} == {"codex", "qwen"}

    done = await home("switch_llm", name="deepseek", confirm=True)
    assert "deepseek" in home.env["ANTHROPIC_BASE_URL"] and home.env["MINE"] == "1"
    assert done["clients"] == asked["clients"]
    profiles = {each["name"]: each for each in (await home("list_llms"))["profiles"]}
    assert profiles["deepseek"]["used_by"] == ["claude-code"]
    assert profiles["deepseek"]["key_state"] == "present"
    state = await home("llm_status")
    assert state["clients"][0]["profile"] == "deepseek"
    assert [each["id"] for each in state["switches"]] == [done["id"]]
    assert not state["clients"][0]["drift"] and state["clients"][0]["changed_at"] is None

    preview = await home("undo_switch", id=done["id"][-8:])
    assert not preview["confirmed"] and "deepseek" in home.env["ANTHROPIC_BASE_URL"]
    for already in (False, True):
        undone = await home("undo_switch", id=done["id"], confirm=True)
        assert undone.get("already", False) == already
        assert home.claude.read_text() == home.text


async def test_what_another_changed_is_told_with_its_likely_author(home: Home) -> None:
    await home("switch_llm", name="deepseek", confirm=True)
    url = home.env["ANTHROPIC_BASE_URL"]
    home.claude.write_text(home.claude.read_text().replace(url, "https://x.example"))
    claude = (await home("llm_status"))["clients"][0]
    assert claude["drift"] == [
        {"path": ["env", "ANTHROPIC_BASE_URL"], "written": url, "now": "https://x.example", "author": "unknown"}
    ]  # fmt: skip
    assert claude["changed_at"].endswith("+00:00") and "mahavishnu-key refuses" in claude["warning"]


async def test_only_true_confirms_and_what_is_wrong_is_refused(home: Home) -> None:
    with pytest.raises(UsageError):
        BY_NAME["switch_llm"].parse({"name": "deepseek", "confirm": "true"}, lenient=True)
    assert await refusal(NotFound, home("switch_llm", name="deepsek")) == "ai.unknown_profile"
    assert await refusal(NotFound, home("undo_switch", id="deadbeef")) == "ai.no_switch"
    work = home("switch_llm", name="deepseek", clients=["codex"], confirm=True)
    assert await refusal(MahavishnuError, work) == "ai.client_missing"
    assert home.claude.read_text() == home.text


@pytest.mark.parametrize("confirm", [False, True])
async def test_a_key_that_is_not_set_here_stops_a_switch(home: Home, confirm: bool) -> None:
    with pytest.raises(NotFound) as caught:
        await home("switch_llm", name="zai", confirm=confirm)
    assert caught.value.code == "secret.missing" and "ZAI_API_KEY" in caught.value.message
    hint = str(caught.value.hint)
    assert "daemon" in hint and "allow_missing_key" in hint
    assert home.claude.read_text() == home.text
    told = await home("switch_llm", name="zai", confirm=confirm, allow_missing_key=True)
    assert any("is not set here" in note for note in told["notes"])
    assert ("api.z.ai" in home.env.get("ANTHROPIC_BASE_URL", "")) == confirm


async def test_a_profile_that_was_just_added_counts(home: Home) -> None:
    settings = home.call.app.loaded.locations.user_settings
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "ai_environments:\n  llm_profiles:\n    mine:\n"
        "      anthropic_base_url: https://mine.example\n      key: env:MINE_KEY\n"
    )
    assert "mine" in [each["name"] for each in (await home("list_llms"))["profiles"]]


async def test_nobody_is_pointed_at_a_gateway_that_does_not_listen(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(switching, "gateway_answers", lambda address: bool(asked.append(address)))
    work = home("switch_llm", name="deepseek", via="gateway", confirm=True)
    assert await refusal(Unavailable, work) == "ai.gateway_down"
    assert home.claude.read_text() == home.text and asked == ["http://127.0.0.1:8681"]
    monkeypatch.setattr(switching, "gateway_answers", lambda _: True)
    done = await home("switch_llm", name="deepseek", via="gateway", confirm=True)
    [client] = done["clients"]
    assert client["route"] == ["deepseek"] and client["restarts"]
    [client] = (await home("switch_llm", name="deepseek", confirm=True))["clients"]
    assert client["route"] == ["deepseek"] and not client["restarts"] and not client["changed"]
    assert CANARY not in home.claude.read_text()


def test_another_listener_is_no_gateway() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request).start()
        assert not gateway_answers(f"http://127.0.0.1:{server.server_port}")


async def test_what_is_wanted_of_failover_is_kept(home: Home) -> None:
    assert (await home("auto_status"))["intent"] == "off"
    for intent in ("on", "pinned"):
        assert (await home("set_auto", intent=intent))["intent"] == intent
        await home("switch_llm", name="deepseek", confirm=True)
        state = await home("auto_status")
        assert state["intent"] == intent and state["clients"][0]["profile"] == "deepseek"
