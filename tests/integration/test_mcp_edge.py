"""The MCP edge, asked by the SDK's own client in both eras of the protocol."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from mahavishnu import __version__
from mahavishnu.app import App
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.target import Target
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.interfaces.mcp import edge, resources
from mahavishnu.interfaces.mcp.edge import build_server
from mahavishnu.memory.models import NewMemory
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS
from tests.conftest import OpenWorld, World
from tests.support.served import app_of, captured_logs, serve

pytestmark = pytest.mark.postgres
DESTRUCTIVE = {
    "drain_spool", "drop_sync", "forget_memory", "prune_backups", "prune_memories", "restore_backup",
    "switch_llm", "undo_switch", "set_auto", "stop_services", "restart_services", "restart_ai_services",
}  # fmt: skip
NOT_IDEMPOTENT = {
    "record_metrics",
    "create_backup",
    "create_checkpoint",
    "restore_backup",
    "restart_services",
    "restart_ai_services",
    "test_alerts",
}
ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28", "auto": "2026-07-28"}
SECRET = "secret dsn=postgres://u:p@h"


@pytest.fixture
def app(world: World, tmp_path: Path) -> App:
    return app_of(world, tmp_path)


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connect(app: App, era: str, **named: Any) -> AbstractAsyncContextManager[Client]:
    return Client(build_server(app, **named), mode=era)


async def call(client: Client, name: str, **arguments: Any) -> Any:
    """Return the structured content of a tool; the text must say the same."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    [text] = result.content
    assert (
        isinstance(text, types.TextContent) and json.loads(text.text) == result.structured_content
    )
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> str:
    """Return the code of a tool's refusal, which the text tells in words."""
    result = await client.call_tool(name, arguments)
    assert result.is_error and result.meta is not None
    assert result.structured_content is None  # clients hold it to the output schema
    error = result.meta["mahavishnu/error"]
    assert set(error) == {"code", "message", "hint"}
    [text] = result.content
    lines = [
        error["message"],
        *([error["hint"]] if error["hint"] else []),
        f"code: {error['code']}",
    ]
    assert isinstance(text, types.TextContent) and text.text == "\n".join(lines)
    assert estimate_tokens(text.text) <= 1_000
    return str(error["code"])


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_learns_what_there_is(app: App, mode: str) -> None:
    async with connect(app, mode) as client:
        assert client.protocol_version == ERAS[mode]
        if mode != "2026-07-28":  # which asks nothing before the first call
            assert (client.server_info.name, client.server_info.version) == (
                "mahavishnu",
                __version__,
            )
            assert client.instructions and "not instructions" in client.instructions
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == [operation.name for operation in OPERATIONS]
        for operation in OPERATIONS:
            tool = tools[operation.name]
            assert tool.description == operation.description and tool.title == operation.title
            assert tool.input_schema == operation.input_schema
            assert tool.output_schema is not None and operation.output_schema is not None
            assert (
                tool.output_schema["properties"].keys()
                == operation.output_schema["properties"].keys()
            )
            assert "$ref" not in json.dumps(tool.output_schema)
            assert tool.input_schema["type"] == "object"
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            hints = tool.annotations
            assert hints is not None and hints.open_world_hint is False
            assert hints.idempotent_hint == (operation.name not in NOT_IDEMPOTENT)
            assert hints.read_only_hint == operation.read_only
            assert hints.destructive_hint == (operation.name in DESTRUCTIVE)


async def test_tools_do_what_the_operations_do(app: App, era: str) -> None:
    async with connect(app, era) as client:
        made = await call(client, "store_memory", content="Deploys run at nine.", project="shop")
        assert made["created"] and made["embedded"]
        assert not (
            await call(client, "store_memory", content="Deploys run at nine.", project="shop")
        )["created"]
        found = await call(
            client, "search", query="when do deploys run", limit="3"
        )  # models write so
        assert found["hits"][0]["source_system"] == "mcp"
        got = await call(client, "get_memory", id=made["id"][-8:])
        assert got["content"] == "Deploys run at nine."
        assert len((await call(client, "list_memories"))["memories"]) == 1
        new = await call(client, "supersede_memory", id=made["id"], content="Deploys run at ten.")
        unified = await call(
            client, "store_unified_memory", content="U.", metadata={"project": "shop"}
        )
        told = await call(client, "forget_memory", ids=[new["id"], unified["id"]])
        assert not told["confirmed"]
        assert (await call(client, "memory_stats"))["totals"]["live"] == 2
        told = await call(client, "forget_memory", ids=[new["id"]], confirm=True)
        assert told["count"] == 2 and (await call(client, "memory_stats"))["totals"]["live"] == 1
        turn = {"session_id": "s", "position": 0, "role": "user", "content": "Hello."}
        assert (await call(client, "record_turn", **turn))["created"]
        run = {"execution_id": "e", "workflow_id": "w", "adapter": "a", "status": "running"}
        assert (await call(client, "record_execution", **run, started_at="2026-01-02"))["id"]
        sample = {"component": "c", "metric_type": "m", "metrics": {"latency_ms": 1.5}}
        assert (await call(client, "record_metrics", **sample, recorded_at="2026-01-02"))["id"]


async def test_answers_are_small_unless_asked_otherwise(app: App, era: str) -> None:
    for n in range(20):
        await app.memories.store(NewMemory(content=f"Walrus {n}. " + "tide " * 400))
    async with connect(app, era) as client:
        for name, arguments in (
            ("search", {"query": "walrus", "limit": 20}),
            ("list_memories", {}),
        ):
            result = await client.call_tool(name, arguments)
            [text] = result.content
            assert isinstance(text, types.TextContent) and estimate_tokens(text.text) <= 4_000
        whole = await call(client, "list_memories", max_tokens=None)
        assert len(whole["memories"]) == 20


async def test_what_is_wrong_is_a_result_that_says_so(app: App, era: str) -> None:
    async with connect(app, era) as client:
        for name, arguments, code in (
            ("get_memory", {"id": "deadbeef"}, "memory.not_found"),
            ("get_memory", {"id": "zzzz"}, "input.id"),
            ("get_memory", {}, "input.invalid"),
            ("get_memory", {"id": 5}, "input.invalid"),
            ("search", {"query": "q", "unknown": 1}, "input.invalid"),
            ("search", {"query": "q", "limit": 0}, "input.limit"),
            ("search", {"query": ""}, "search.empty"),
            ("search", {"query": "q", "threshold": "nan"}, "input.threshold"),
            ("search", {"query": "a\0"}, "input.nul"),
            ("search", {"query": "q", "projects": ["nowhere"]}, "project.not_found"),
            ("search", {"query": "q", "embedding": ["nan"], "embedding_model": "fake"}, "embedding.no_model"),
            ("store_memory", {"content": "x", "metadata": {"a": "\ud800"}}, "input.metadata"),
            ("store_memory", {"content": "\ud800"}, "input.encoding"),
            ("list_memories", {"cursor": "nothing"}, "input.cursor"),
        ):  # fmt: skip
            assert await refused(client, name, **arguments) == code, (name, arguments)
        with pytest.raises(MCPError) as caught:
            await client.call_tool("forget_everything", {})
        assert caught.value.code == types.INVALID_PARAMS and "forget_memory" in caught.value.message
        assert (await call(client, "memory_stats"))["totals"]["live"] == 0


async def test_what_is_repeated_of_a_request_is_brief(app: App, era: str) -> None:
    long = "🙂" * 100_000
    async with connect(app, era) as client:
        for name, arguments, code in (
            ("search", {"query": "q", long: 1}, "input.invalid"),
            ("search", {"query": "q", "mode": long}, "input.mode"),
            ("search", {"query": "q", "projects": [long]}, "input.length"),
            ("search", {"query": "q", "projects": ["🙂" * 200]}, "project.not_found"),
            ("search", {"query": "q", "projects": ["a"] * 101}, "input.invalid"),
            ("search", {"query": "q", "since": long}, "input.time"),
            ("search", {"query": "q", "since": "🙂" * 64}, "input.time"),
            ("list_memories", {"until": long}, "input.time"),
            ("list_memories", {"repo_id": long}, "input.length"),
            ("list_memories", {"cursor": long}, "input.cursor"),
            ("get_memory", {"id": long}, "input.id"),
            ("forget_memory", {"ids": [str(new_id())], "confirm": long}, "input.invalid"),
            ("store_memory", {"content": "c", "occurred_at": long}, "input.time"),
            ("store_unified_memory", {"content": "c", "metadata": {"project": long}}, "input.length"),
        ):  # fmt: skip
            assert await refused(client, name, **arguments) == code, (name, list(arguments))
        for work in (
            client.call_tool(long, {}), client.read_resource(f"file://{long}"),
            client.get_prompt(long, {}), client.list_resources(cursor=long),
            client.get_prompt("recall", {"subject": "x", "project": long}),
        ):  # fmt: skip
            with pytest.raises(MCPError) as caught:
                await work
            assert estimate_tokens(caught.value.error.model_dump_json()) <= 1_000


@pytest.mark.parametrize("confirm", [1, 1.0, "true", "1", "yes", None, [True]])
async def test_only_true_confirms(app: App, era: str, confirm: Any) -> None:
    stored = await app.memories.store(NewMemory(content="Stays."))
    async with connect(app, era) as client:
        arguments = {"ids": [str(stored.id)], "confirm": confirm}
        assert await refused(client, "forget_memory", **arguments) == "input.invalid"
    assert (await app.memories.get(stored.id)).content == "Stays."


async def test_hints_speak_of_operations_and_name_what_is_taken(app: App, era: str) -> None:
    async with connect(app, era) as client:
        for name, arguments, hint in (
            ("get_memory", {"id": "deadbeef"}, "List them with: list_memories, or search"),
            ("search", {"query": "q", "mode": "best"}, "Known are: hybrid, vector, text."),
            ("search", {"query": "q", "mode": 5}, "One of: hybrid, text, vector."),
            ("search", {"query": "q", "limit": "x"}, "limit: Most memories of one answer."),
            ("get_memory", {}, "Fields: id (required), start, max_tokens."),
            ("get_memory", {"id": "deadbeef", "x": 1}, "Fields: id (required), start, max_tokens."),
            ("store_unified_memory", {"content": "c", "metadata": {"memory_type": "x"}}, "Known are: agent"),
        ):  # fmt: skip
            result = await client.call_tool(name, arguments)
            assert result.meta is not None and hint in result.meta["mahavishnu/error"]["hint"], name
        with pytest.raises(MCPError) as caught:
            await client.read_resource("memory://deadbeef")
        assert "list_memories" in caught.value.message


async def test_a_list_of_resources_reads_no_whole_texts(app: App) -> None:
    size = 200_000
    for n in range(8):
        await app.memories.store(NewMemory(content=f"Memory {n} " + "word " * (size // 5)))
    async with connect(app, "2026-07-28") as client:
        await client.list_resources()
        tracemalloc.start()
        try:
            page = await client.list_resources()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(page.resources) == 8 and all((each.size or 0) > size for each in page.resources)
    assert peak < 2 * size


async def test_a_fault_is_masked_everywhere_and_logged(
    app: App, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_given: Any, **_named: Any) -> None:
        raise RuntimeError(SECRET)

    for name in ("get", "resolve", "list_heads"):
        monkeypatch.setattr(app.memories, name, fail)
    monkeypatch.setattr(app._retriever, "search", fail)
    with captured_logs() as logged:
        async with connect(app, era) as client:
            result = await client.call_tool("get_memory", {"id": "deadbeef"})
            assert result.is_error and "secret" not in result.model_dump_json()
            assert result.meta is not None
            assert result.meta["mahavishnu/error"]["code"] == "internal"
            for work in (
                client.read_resource("memory://deadbeef"), client.list_resources(),
                client.get_prompt("recall", {"subject": "x"}),
                client.get_prompt("record_decision", {"decision": "x"}),
            ):  # fmt: skip
                with pytest.raises(MCPError) as caught:
                    await work
                assert caught.value.code == types.INTERNAL_ERROR
                assert "secret" not in str(caught.value) + str(caught.value.error)
    shown = [line for line in logged if SECRET in str(line.get("exception"))]
    assert len(shown) == 5, [line["event"] for line in logged]


async def test_progress_grows_and_a_heart_beats_while_nothing_is_said(
    app: App, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "HEARTBEAT_S", 0.02)
    [search] = [operation for operation in OPERATIONS if operation.name == "search"]

    async def slow(given: Call, request: Any) -> Any:
        await two_beats()  # nothing was said yet
        await given.report(0, 2, "Begins")
        await two_beats()
        await given.report(0, 2, "Begins again")
        answer = await search.run(given, request)
        await two_beats()  # and after the last step
        return answer

    told: list[tuple[float, float | None, str | None]] = []
    beats: asyncio.Queue[str] = asyncio.Queue()
    heard = 0

    async def two_beats() -> None:
        for _ in range(2):
            await (asyncio.sleep(0.1) if heard else beats.get())

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))
        if message and message.startswith("Still working"):
            beats.put_nowait(message)

    async with connect(app, era, operations=[replace(search, run=slow)]) as client:
        result = await client.call_tool("search", {"query": "q"}, progress_callback=hear)
        assert not result.is_error
        await asyncio.sleep(0.05)
        heard = len(told)
        await asyncio.sleep(0.1)
        assert len(told) == heard  # the heart stops with the call
        assert not (await client.call_tool("search", {"query": "q"})).is_error
        assert len(told) == heard  # who did not ask hears nothing
    values = [progress for progress, _, _ in told]
    assert values == sorted(set(values)) and values[0] >= 0
    assert all(total is None or progress <= total for progress, total, _ in told)
    steps = [
        message for _, _, message in told if message and not message.startswith("Still working")
    ]
    assert steps == ["Begins", "Begins again", "Searching", "Found 0", "Gives 0"]


async def test_a_call_that_is_given_up_stops(app: App, era: str) -> None:
    [search] = [operation for operation in OPERATIONS if operation.name == "search"]
    stopped = asyncio.Event()

    async def endless(_given: Call, _request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with connect(app, era, operations=[replace(search, run=endless)]) as client:
        with pytest.raises((MCPError, TimeoutError)):
            await client.call_tool("search", {"query": "q"}, read_timeout_seconds=0.1)
        async with asyncio.timeout(60):
            await stopped.wait()


async def test_memories_are_resources_by_pages(
    app: App, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "PAGE", 5)
    stored = await app.memories.store_batch(
        [
            NewMemory(content=f"Memory {n}\n" + "x" * 200 * (n % 2), project="shop")
            for n in range(11)
        ]
    )
    async with connect(app, era) as client:
        seen: list[types.Resource] = []
        cursor = None
        while True:
            page = await client.list_resources(cursor=cursor)
            seen += page.resources
            cursor = page.next_cursor
            if cursor is None:
                break
        assert {str(each.uri) for each in seen} == {f"memory://{each.id}" for each in stored}
        assert len(seen) == 11
        for each in seen:
            [read] = (await client.read_resource(str(each.uri))).contents
            assert isinstance(read, types.TextResourceContents) and read.text.startswith("Memory ")
            assert (
                each.size == len(read.text.encode())
                and read.mime_type == each.mime_type == "text/plain"
            )
            assert each.title and len(each.title) <= 80 and "\n" not in each.title
            assert read.meta is not None and read.meta["mahavishnu/memory"]["project"] == "shop"
        [template] = (await client.list_resource_templates()).resource_templates
        short = template.uri_template.replace("{id}", str(stored[0].id)[-8:])
        [read] = (await client.read_resource(short)).contents
        assert isinstance(read, types.TextResourceContents) and read.text == "Memory 0\n"
        for uri, code in (
            (f"memory://{new_id()}", "memory.not_found"), ("memory://zz", "input.id"),
            ("file:///etc/passwd", "mcp.no_resource"), ("memory://", "mcp.no_resource"),
            ("memory://[", "input.id"), ("memory:", "mcp.no_resource"),
            ("memory://..%2f..%2fetc", "input.id"), ("nothing", "mcp.no_resource"),
        ):  # fmt: skip
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.code == types.INVALID_PARAMS, uri
            assert caught.value.error.data == {"code": code, "uri": uri}, uri
        with pytest.raises(MCPError) as caught:
            await client.list_resources(cursor="nothing")
        assert caught.value.error.data == {"code": "input.cursor"}


async def test_prompts_bring_what_is_remembered(app: App, era: str) -> None:
    stored = await app.memories.store(
        NewMemory(content="We chose {PostgreSQL} %s over files.", project="shop")
    )
    async with connect(app, era) as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert set(prompts) == {"recall", "record_decision"}
        for name, argument in (("recall", "subject"), ("record_decision", "decision")):
            assert [(a.name, bool(a.required)) for a in prompts[name].arguments or []] == [
                (argument, True), ("project", False),
            ]  # fmt: skip
            for project in ({}, {"project": "shop"}, {"project": ""}):
                given = {argument: "chose PostgreSQL {found}", **project}
                got = await client.get_prompt(name, given)
                [message] = got.messages
                assert message.role == "user" and isinstance(message.content, types.TextContent)
                text = message.content.text
                assert f"[{stored.id}]" in text and "We chose {PostgreSQL} %s over files." in text
                assert "chose PostgreSQL {found}" in text
            for wrong, code in (
                ({}, "mcp.argument"), ({argument: " "}, "mcp.argument"),
                ({argument: "x", "project": "nowhere"}, "project.not_found"),
                ({argument: "x" * 10_001}, "search.too_long"),
            ):  # fmt: skip
                with pytest.raises(MCPError) as caught:
                    await client.get_prompt(name, wrong)
                assert caught.value.error.data == {"code": code}
        with pytest.raises(MCPError) as caught:
            await client.get_prompt("nothing", {})
        assert caught.value.code == types.INVALID_PARAMS


async def test_an_empty_memory_is_told_as_such(app: App, era: str) -> None:
    async with connect(app, era) as client:
        got = await client.get_prompt("recall", {"subject": "walrus"})
        assert isinstance(got.messages[0].content, types.TextContent)
        assert "(nothing)" in got.messages[0].content.text
        assert (await client.list_resources()).resources == []
        assert (await call(client, "search", query="walrus"))["hits"] == []


@asynccontextmanager
async def opened(open_world: OpenWorld, at: Target, home: Path) -> AsyncIterator[App]:
    async with open_world(at=at) as world:
        yield app_of(world, home)


async def test_another_person_sees_nothing_private(
    app: App, era: str, open_world: OpenWorld, bob: Target, tmp_path: Path
) -> None:
    words = "The walrus password is in the cellar."
    stored = await app.memories.store(NewMemory(content=words, project="hidden", agent_id="a1"))
    await app.memories.store(NewMemory(content="Walrus: everyone may know.", visibility="shared"))
    identifier = str(stored.id)
    async with opened(open_world, bob, tmp_path) as theirs, connect(theirs, era) as client:
        for mode in ("hybrid", "text", "vector"):
            found = await call(client, "search", query="walrus password", mode=mode)
            assert [hit["content"] for hit in found["hits"]] == ["Walrus: everyone may know."]
        assert len((await call(client, "list_memories"))["memories"]) == 1
        assert (await call(client, "list_memories", agent_id="a1"))["memories"] == []
        for reference in (identifier, identifier[-8:]):
            assert await refused(client, "get_memory", id=reference) == "memory.not_found"
            assert (
                await refused(client, "supersede_memory", id=reference, content="Mine.")
                == "memory.not_found"
            )
            told = await call(client, "forget_memory", ids=[reference], confirm=True)
            assert told["not_found"] == [reference] and told["count"] == 0
            with pytest.raises(MCPError) as caught:
                await client.read_resource(f"memory://{reference}")
            named = {"uri": f"memory://{reference}"}
            assert caught.value.error.data == {"code": "memory.not_found", **named}
        assert (
            await refused(client, "search", query="walrus", projects=["hidden"])
            == "project.not_found"
        )
        stats = await call(client, "memory_stats")
        assert stats["totals"]["live"] == 1 and "hidden" not in json.dumps(stats)
        assert len((await client.list_resources()).resources) == 1
        for prompt, argument in (("recall", "subject"), ("record_decision", "decision")):
            got = await client.get_prompt(prompt, {argument: "walrus password"})
            assert "cellar" not in got.model_dump_json() and "everyone" in got.model_dump_json()
        mine = await call(client, "store_memory", content=words, project="hidden", agent_id="a1")
        assert mine["created"] and mine["id"] != identifier
    assert (await app.memories.get(stored.id)).content == words


async def test_over_http_no_message_is_a_fault(app: App, tmp_path: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 0, "method": "tools/call",
            "params": {"name": "memory_stats", "arguments": {}, "_meta": {"progressToken": 0}}}  # fmt: skip
    deep = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"metadata":'
    bodies: list[bytes] = [
        b"", b"{", b"null", b"[]", b"5", b"\xff\xfe", b"[" * 50_000, deep + b"[" * 50_000,
        deep + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}}}",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"\\ud800"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', b'{"jsonrpc":"2.0","id":1,"method":"nothing"}',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}', b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        json.dumps([call, call]).encode(),
    ]  # fmt: skip
    kind = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    async with serve(app, tmp_path) as served, served.client() as http:
        with captured_logs() as logged:
            for body in bodies:
                for version in ("2025-11-25", "2026-07-28"):
                    headers = {**kind, "mcp-protocol-version": version}
                    answer = await http.post("/mcp", content=body, headers=headers)
                    assert answer.status_code < 500, (body[:80], version, answer.text)
                    assert "Traceback" not in answer.text
        assert not [line for line in logged if line["log_level"] == "error"]
        answer = await http.post("/mcp", json=call, headers=kind)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(
            "text/event-stream"
        )
        [data] = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        told = json.loads(data.removeprefix("data: "))
        assert told["id"] == 0 and told["result"]["structuredContent"]["totals"]["live"] == 0
        assert "mcp-session-id" not in answer.headers  # any daemon may answer the next one
        for method in ("GET", "DELETE"):
            answer = await http.request(method, "/mcp", headers=kind)
            assert (answer.status_code, answer.json()["error"]["code"]) == (405, "http.method")
