"""What Session-Buddy is started with, and how its answers are read: these are recorded ones of 0.23.0."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mahavishnu.base.errors import Forbidden, MahavishnuError, UsageError
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.base.settings.trust import trust
from mahavishnu.factories import session_buddy_of
from mahavishnu.services.session_buddy.client import GRAPH, Abilities, read_answer, read_result
from mahavishnu.services.session_buddy.unit import session_buddy_unit


def test_data_of_the_user_is_copied_unless_it_is_to_be_written_in_place() -> None:
    def words(*, in_place: bool) -> tuple[str, ...]:
        home, data = Path("/data/session-buddy"), Path("/home/user/.claude/data")
        unit = session_buddy_unit("python", home=home, port=8679, data_dir=data, in_place=in_place)
        return unit.command[-2:]

    assert words(in_place=False) == ("--copy", "/home/user/.claude/data")
    assert words(in_place=True) == ("--data", "/home/user/.claude/data")


def test_a_project_does_not_say_where_insights_go(tmp_path: Path) -> None:
    (tmp_path / "project/settings").mkdir(parents=True)
    away = {"MAHAVISHNU_HOME": str(tmp_path / "m"), "HOME": "/nowhere"}

    def loaded(**environ: str) -> Loaded:
        return load_settings(environ=away | environ, folder=tmp_path / "project")

    text = "session_buddy: {address: 'https://elsewhere.example'}"
    (tmp_path / "project/settings/mahavishnu.yaml").write_text(text)
    assert session_buddy_of(loaded()) is None  # since it is not trusted
    trust(tmp_path / "project", loaded().locations)
    with pytest.raises(Forbidden) as caught:
        session_buddy_of(loaded())
    assert caught.value.code == "session_buddy.of_project"


@pytest.mark.parametrize(("said", "address"), [
    ("{}", None), ("{port: 9}", None), ("{python: /x}", "http://127.0.0.1:8678"), ("{command: [x], port: 9}", "http://127.0.0.1:9"),
    ("{address: 'http://[::1]:7/'}", "http://[::1]:7"), ("{address: 'http://localhost', enabled: false}", None),
])  # fmt: skip
def test_the_settings_say_which_one_is_used(tmp_path: Path, said: str, address: str | None) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mahavishnu.yaml").write_text(f"session_buddy: {said}")
    environ = {"MAHAVISHNU_HOME": str(tmp_path), "HOME": "/nowhere"}
    buddy = session_buddy_of(load_settings(environ=environ, folder=tmp_path))
    assert (buddy and buddy.address) == address


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1:8678", "https://me:key@host", "ftp://127.0.0.1"]
)
def test_insights_go_in_clear_to_this_machine_alone(tmp_path: Path, address: str) -> None:
    flags = {"session_buddy.address": address}
    with pytest.raises(UsageError, match="session_buddy"):
        load_settings(environ={"HOME": str(tmp_path)}, folder=tmp_path, flags=flags)


def said(text: str, *, is_error: bool = False, **structured: Any) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured or {"result": text},
        "isError": is_error,
    }


STORED = "\u2705 Reflection stored successfully with ID: 01M87Z2ZVWZ7DE15SER8D48SMM (tags: a)"
LOCKED = 'Could not set lock on file "/data/reflection.duckdb": Conflicting lock is held in python (PID 7)'


def test_what_was_done_is_an_answer() -> None:
    assert read_answer("store_reflection", said(STORED)).text == STORED
    found = read_answer("fingerprint_search", said("{}", success=True, results=[{"id": "1"}]))
    assert found.structured["results"] == [{"id": "1"}]
    told = "\U0001f4be Reflection stored successfully!\n\U0001f4dd Content: error handling failed"
    assert read_answer("store_reflection", said(told)).text == told


@pytest.mark.parametrize(("result", "code"), [
    (said("\u274c Validation error: content cannot be empty"), "session_buddy.refused"),
    (said("Error storing reflection: no such table"), "session_buddy.refused"),
    (said("{}", success=False, error="IO Error: disk", query="x"), "session_buddy.refused"),
    (said("Unknown tool: 'nope'", is_error=True), "session_buddy.refused"),
    (said(f"\u274c Store reflection failed: {LOCKED}"), "session_buddy.locked"),
    (said(f"Error storing reflection: IO Error: {LOCKED}"), "session_buddy.locked"),
    (said("{}", success=False, message=f"Error finding duplicates: {LOCKED}"), "session_buddy.locked"),
])  # fmt: skip
def test_a_failure_in_a_success_is_an_error(result: dict[str, Any], code: str) -> None:
    with pytest.raises(MahavishnuError) as raised:
        read_answer("store_reflection", result)
    assert raised.value.code == code and "\u274c" not in raised.value.message


@pytest.mark.parametrize(
    "told", [[], "x", 5, {"error": "Not Found"}, {"error": []}, {"result": []}, {}]
)
async def test_a_stranger_that_answers_is_refused_as_one(told: object) -> None:
    answer = httpx.Response(200, json=told)
    with pytest.raises(ValueError, match="does not speak MCP"):
        await read_result(answer, 1)
    event = httpx.Response(
        200, text=f"data: {json.dumps(told)}\n\n", headers={"content-type": "text/event-stream"}
    )
    with pytest.raises(ValueError, match="without an answer"):
        await read_result(event, 1)


def test_what_a_server_cannot_do_is_told_before_it_is_used() -> None:
    full = Abilities(GRAPH | {"progressive_search", "fingerprint_search"}, "a" * 32)
    assert full.keeps_rows and full.has_graph and full.lacking == ()
    default = Abilities(frozenset({"fingerprint_search", "store_reflection"}), None)
    assert not default.keeps_rows and not default.has_graph
    assert "loses rows at its restart" in default.lacking[-1] and len(default.lacking) == 3
