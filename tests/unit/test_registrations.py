"""Our server in the settings of Codex and Qwen Code: put in, brought up to date, and taken out."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.ai.clients.codex.mcp import MCP as CODEX
from mahavishnu.ai.clients.mcp import NAME, RegisteredServer
from mahavishnu.ai.clients.mcp_setup import describe_setup
from mahavishnu.ai.clients.qwen.mcp import MCP as QWEN
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.merge import Change, merge

URL = "http://127.0.0.1:8680/mcp"
OPEN: dict[str, Callable[[bytes], Document]] = {
    "codex": TomlDocument.parse,
    "qwen": JsonDocument.parse,
}
READ: dict[str, Callable[[str], Any]] = {"codex": tomllib.loads, "qwen": json.loads}
MCP = {"codex": CODEX, "qwen": QWEN}
TABLES = {"codex": "mcp_servers", "qwen": "mcpServers"}
FILES = {
    "codex": ["", 'model = "x" # mine\n', "[mcp_servers.other]\ncommand = 'x'\n\n[tui]\na = 1\n",
              "[mcp_servers]\n", 'mcp_servers = { other = { command = "x" } }\n', "a = 1",
              "# all mine\r\n\r\n[projects.'/x y']\r\ntrust_level = \"trusted\"\r\n"],
    "qwen": ["", "{}", '{"model": {"name": "x"}}', '{\n\t"mcpServers" : { "other": {} },\n\t"x": 1.0 }\n',
             '{"mcpServers": {"other": {"command": "x"}}}'],
}  # fmt: skip
CASES = [(client, text) for client, texts in FILES.items() for text in texts]


def entry_of(client: str, url: str | None, home: str = "/a home") -> Mapping[str, Any]:
    return describe_setup(client, url=url, places={"MAHAVISHNU_HOME": home}).entry


def changed(document: Document, changes: list[Change]) -> Document:
    return merge(document, changes, {})[0]


@pytest.mark.parametrize(("client", "text"), CASES)
@pytest.mark.parametrize("url", [None, URL])
def test_it_is_put_in_once_and_taken_out_to_the_byte(
    client: str, text: str, url: str | None
) -> None:
    start = OPEN[client](text.encode())
    wanted = entry_of(client, url)
    added = changed(start, MCP[client].add(start, wanted))
    assert READ[client](added.content.decode())[TABLES[client]][NAME] == wanted
    again = OPEN[client](added.content)
    assert changed(again, MCP[client].add(again, wanted)).content == added.content
    assert "mv-" not in added.content.decode()
    gone = changed(again, MCP[client].remove(again)).content
    # A table that was there and empty goes too: nobody can tell whose it was.
    assert gone == (b"" if text == "[mcp_servers]\n" else start.content)


@pytest.mark.parametrize("client", OPEN)
@given(homes=st.lists(st.text(min_size=1), min_size=2, max_size=2), over_http=st.booleans())
@example(homes=["/a", "/b"], over_http=False)
def test_what_was_there_is_brought_up_to_date_and_what_the_user_added_stays(
    client: str, homes: list[str], over_http: bool
) -> None:
    document = OPEN[client](b"")
    document = changed(document, MCP[client].add(document, entry_of(client, None, homes[0])))
    mine = (TABLES[client], NAME, "startup_timeout_sec")
    document = document.set(mine, 20)
    wanted = entry_of(client, URL if over_http else None, homes[1])
    document = changed(document, MCP[client].add(document, wanted))
    assert READ[client](document.content.decode())[TABLES[client]][NAME] == {
        **wanted, "startup_timeout_sec": 20,
    }  # fmt: skip


@pytest.mark.parametrize("client", OPEN)
def test_where_it_is_not_there_is_nothing_to_take_out(client: str) -> None:
    for text in FILES[client]:
        assert MCP[client].remove(OPEN[client](text.encode())) == []


def test_what_is_registered_is_compared_by_how_it_is_reached() -> None:
    stdio, http = entry_of("claude-code", None), entry_of("claude-code", URL)
    kept = RegisteredServer(Path("x"), {"type": "stdio", **stdio, "timeout": 5, "headers": {}})
    assert kept.says(stdio) and not kept.says(http) and kept.transport == "stdio"
    assert not kept.says(entry_of("claude-code", None, "/another"))
    assert (
        RegisteredServer(Path("x"), http).says(http)
        and RegisteredServer(Path("x"), http).transport == "http"
    )
    assert not RegisteredServer(Path("x"), {**http, "headers": {"A": "b"}}).says(http)
