"""The HTTP API in one process: every route, what it refuses and how, batches, metrics, the page."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from mahavishnu.ai.secrets.table import SCHEMES
from mahavishnu.base.errors import Unavailable
from mahavishnu.database.target import Target
from mahavishnu.interfaces.http import batch
from mahavishnu.interfaces.http.openapi import describe_api
from mahavishnu.interfaces.http.own_operations import API_OPERATIONS
from mahavishnu.interfaces.http.page import render_page
from mahavishnu.memory.models import NewMemory, Stored
from mahavishnu.memory.spool import writes
from tests.conftest import OpenWorld, World
from tests.support import fifth_store
from tests.support.served import ROOMY, Served, app_of, captured_logs, serve

pytestmark = pytest.mark.postgres
API = "/api/v1"
JSONL = {"content-type": "application/jsonl"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def served(world: World, tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(app_of(world, tmp_path), tmp_path) as opened:
        yield opened


@pytest.fixture
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the one shape of errors; returns the error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body: dict[str, Any] = answer.json()
    assert list(body) == ["error"] and set(body["error"]) == {"code", "message", "hint"}
    assert body["error"]["code"] == code, body
    told: dict[str, Any] = body["error"]
    return told


async def store(http: httpx.AsyncClient, content: str, **fields: Any) -> str:
    answer = await http.post(f"{API}/memories", json={"content": content, **fields})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


async def test_every_route_answers_as_documented(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = describe_api()
    seen = set()

    async def ask(method: str, template: str, status: int, **given: Any) -> Any:
        path = template.format(**given.pop("path", {}))
        answer = await http.request(method, f"{API}{path}", **given)
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        described = document["paths"][f"{API}{template}"][method.lower()]["responses"][str(status)]
        [(kind, content)] = described["content"].items()
        assert answer.headers["content-type"] == kind
        jsonschema.validate(
            answer.json(), {**content["schema"], "components": document["components"]},
            format_checker=jsonschema.FormatChecker(),
        )  # fmt: skip
        seen.add((method, template))
        return answer.json()

    made = await ask(
        "POST", "/memories", 201, json={"content": "Deploys run at nine.", "project": "shop"}
    )
    again = await ask(
        "POST", "/memories", 200, json={"content": "Deploys run at nine.", "project": "shop"}
    )
    assert (made["created"], again["created"], again["id"]) == (True, False, made["id"])
    await ask(
        "POST", "/unified-memories", 201, json={"content": "x", "metadata": {"agent_id": "a"}}
    )
    found = await ask("POST", "/search", 200, json={"query": "deploys", "explain": True})
    assert found["hits"][0]["id"] == made["id"]
    got = await ask(
        "GET", "/memories/{id}", 200, path={"id": made["id"][-8:]}, params={"start": "7"}
    )
    assert got["content"] == " run at nine."
    listed = await ask("GET", "/memories", 200, params=[("projects", "shop"), ("limit", "1")])
    assert [memory["id"] for memory in listed["memories"]] == [made["id"]]
    body = {"content": "Deploys run at ten."}
    new = await ask("POST", "/memories/{id}/supersede", 201, path={"id": made["id"]}, json=body)
    again = await ask("POST", "/memories/{id}/supersede", 200, path={"id": made["id"]}, json=body)
    assert again["id"] == new["id"]
    await ask("POST", "/memories/forget", 200, json={"ids": [new["id"]], "confirm": True})
    assert (await ask("GET", "/memories/forgotten", 200))["memories"][0]["id"] == new["id"]
    assert (await ask("POST", "/memories/restore", 200, json={"since": "1h"}))["count"] == 2
    await ask("POST", "/memories/prune", 200, json={"confirm": True})
    (tmp_path / "empty").mkdir()
    await ask("POST", "/repositories/ingest", 200, json={"repo_path": str(tmp_path / "empty")})
    await ask("POST", "/repositories/query", 200, json={"query": "deploys"})
    await ask("GET", "/repositories", 200)
    [ran] = (await ask("POST", "/sync/run", 200, json={}))["runs"]
    assert ran["ending"] == "done"
    assert [each["name"] for each in (await ask("GET", "/sync", 200))["targets"]] == [ran["target"]]
    [run] = (await ask("GET", "/sync/runs", 200, params={"limit": "1"}))["runs"]
    assert (run["target"], run["why"]) == (ran["target"], "manual")
    folder = {"working_directory": str(tmp_path / "empty")}
    made = await ask("POST", "/checkpoints", 200, json=folder)
    judged = await ask("GET", "/quality", 200, params=folder)
    assert made["quality"] == judged and judged["degraded"][0]["part"] == "session_buddy"
    assert (await ask("POST", "/sync/retry", 200, json={}))["runs"] == []
    await ask("POST", "/sync/drop", 200, json={"target": ran["target"]})
    assert (await ask("GET", "/events", 200))["events"] == []
    assert (await ask("GET", "/gateway", 200))["profiles"] == []
    assert (await ask("GET", "/gateway/routes", 200))["routes"] == []
    assert (await ask("GET", "/gateway/log", 200))["requests"] == []
    assert (await ask("GET", "/gateway/usage", 200))["days"] == []
    paused = await ask("POST", "/automation/pause", 200, json={"duration": "2h"})
    assert paused["paused"]["until"] and not paused["paused"]["dry_run"]
    assert (await ask("POST", "/automation/resume", 200, json={}))["paused"] is None
    assert (await ask("GET", "/insights", 200))["insights"] == []
    shared = {"session_id": "s", "to": ["nowhere"]}
    assert (await ask("POST", "/insights/share", 404, json=shared))["error"]["code"]
    assert (await ask("POST", "/insights/patterns", 200, json={}))["insights"] == []
    no_channel = await ask("POST", "/alerts/test", 404, json={})
    assert no_channel["error"]["code"] == "alerts.no_channel"
    found = (await ask("GET", "/services", 200))["services"]
    assert {
        "name": "agentdb",
        "state": "not_configured",
        "why": "Set services.agentdb.command.",
    } in found
    await ask("GET", "/services/{name}/log", 200, path={"name": "agentdb"})
    for act in ("start", "stop", "restart"):
        done = await ask("POST", f"/services/{act}", 200, json={"names": ["agentdb"]})
        assert done["services"][0]["outcome"] == "left"
    assert len((await ask("POST", "/services/restart-ai", 200, json={}))["services"]) == 3
    stats = await ask("GET", "/stats", 200)
    assert stats["totals"]["live"] == 3  # a checkpoint is one
    turn = {"session_id": "s", "position": 0, "role": "user", "content": "Hello."}
    await ask("POST", "/turns", 201, json=turn)
    await ask("POST", "/turns", 200, json=turn)
    assert (await ask("GET", "/sessions", 200))["sessions"][0]["session_id"] == "s"
    said = (await ask("GET", "/turns", 200, params={"session_id": "s"}))["turns"]
    assert [each["content"] for each in said] == ["Hello."]
    run = {"execution_id": "e", "workflow_id": "w", "adapter": "a", "status": "running"}
    await ask("POST", "/executions", 200, json={**run, "started_at": "2026-01-02"})
    [listed_run] = (await ask("POST", "/executions/search", 200, json={}))["executions"]
    await ask("GET", "/executions/{id}", 200, path={"id": listed_run["id"]})
    [counts] = (await ask("GET", "/workflows", 200, params={"since": "2026-01-01"}))["workflows"]
    assert counts["running"] == 1
    sample = {"component": "c", "metric_type": "m", "text": "healthy"}
    await ask("POST", "/metrics", 200, json={**sample, "recorded_at": "2026-01-02"})
    [measured] = (await ask("GET", "/metrics", 200, params={"since": "2026-01-01"}))["components"]
    assert (measured["component"], measured["state"]) == ("c", "healthy")
    state = await ask("GET", "/status", 200)
    assert state["database"]["reachable"] and state["model"] == "fake" and state["waiting"] == 0
    assert (await ask("GET", "/database/check", 200))["sound"]
    embedded = await ask("POST", "/embeddings", 200, json={"texts": ["one", "two"]})
    assert len(embedded["vectors"]) == 2 and embedded["model"]["name"] == "fake"
    question = await ask("POST", "/embeddings", 200, json={"texts": ["one"], "kind": "query"})
    assert question["vectors"] == embedded["vectors"][:1]
    assert (await ask("POST", "/embeddings", 200, json={}))["vectors"] == []
    monkeypatch.setitem(SCHEMES, "fifth", "tests.support.fifth_store")
    monkeypatch.setitem(fifth_store.KEPT, "name", "sk-fake")
    secret = {"reference": "fifth:name"}
    assert await ask("POST", "/secrets/resolve", 200, json=secret) == {"key": "sk-fake"}
    (tmp_path / ".claude").mkdir(mode=0o700)
    assert len((await ask("GET", "/llms", 200))["profiles"]) > 3
    wanted = {"name": "zai", "confirm": True}
    await ask("POST", "/llms/switch", 404, json=wanted)  # its key is not here
    switched = await ask("POST", "/llms/switch", 200, json={**wanted, "allow_missing_key": True})
    assert [each["client"] for each in switched["clients"]] == ["claude-code"]
    assert (await ask("GET", "/llms/auto", 200))["intent"] == "off"
    assert (await ask("POST", "/llms/auto", 200, json={"intent": "pinned"}))["intent"] == "pinned"
    [known] = (await ask("GET", "/llms/status", 200))["switches"]
    assert known["id"] == switched["id"]
    undone = await ask("POST", "/llms/undo", 200, json={"id": known["id"], "confirm": True})
    assert undone["clients"] == ["claude-code"]
    assert (await ask("GET", "/backups", 200))["sets"] == []
    await ask("POST", "/backups", 403, json={})  # a role that row-level security binds
    for action in ("verify", "drill", "restore"):
        await ask("POST", f"/backups/{action}", 404, json={})
    await ask("POST", "/backups/prune", 200, json={})
    assert (await ask("GET", "/health", 200))["answered_by"] == "process"
    assert (await ask("GET", "/spool", 200))["waiting"] == []
    assert (await ask("POST", "/spool/drain", 200, json={"confirm": True}))["stored"] == 0
    everything = {
        (method.upper(), path.removeprefix(API))
        for path, methods in document["paths"].items() for method in methods
    }  # fmt: skip
    assert everything - seen == {("POST", "/memories/batch")}  # its own tests are below


REFUSED: list[tuple[str, str, Any, int, str]] = [
        ("GET", "/memories/deadbeef", None, 404, "memory.not_found"),
        ("GET", "/memories/01a1fdc4-4692-7f50-8242-ad5415561330", None, 404, "memory.not_found"),
        ("GET", "/memories/nonsense", None, 400, "input.id"),
        ("GET", "/memories/abc", None, 400, "input.id"),
        ("GET", "/memories/abcd%00", None, 400, "input.id"),
        ("POST", "/search", {"query": " "}, 400, "search.empty"),
        ("POST", "/search", {"query": "q", "projects": ["nowhere"]}, 404, "project.not_found"),
        ("POST", "/search", {"query": "q", "max_tokens": 10}, 400, "input.max_tokens"),
        ("POST", "/memories", {"content": "x", "expires_at": "2001-01-01"}, 400, "input.time"),
        ("POST", "/memories", {}, 400, "input.invalid"),
        ("POST", "/memories", [], 400, "input.invalid"),
        ("POST", "/memories", {"content": "x", "embedding": [1]}, 400, "input.invalid"),
        ("POST", "/unified-memories", {"content": "x", "embedding": [1.0], "embedding_model": "m"}, 409,
         "embedding.other_model"),
        ("POST", "/memories/deadbeef/supersede", {"content": "x"}, 404, "memory.not_found"),
        ("POST", "/memories/deadbeef/supersede", {"content": "x", "id": "0123abcd"}, 400, "input.invalid"),
        ("POST", "/memories/forget", {"ids": []}, 400, "input.invalid"),
        ("POST", "/embeddings", {"texts": [" "]}, 400, "embedding.blank_text"),
        ("GET", "/memories?limit=0", None, 400, "input.limit"),
        ("GET", "/memories?limit=1001", None, 400, "input.limit"),
        ("GET", "/memories?limit=1&limit=2", None, 400, "input.invalid"),
        ("GET", "/memories?limit=" + "9" * 400, None, 400, "input.limit"),
        ("GET", "/memories?limit=1.5", None, 400, "input.invalid"),
        ("GET", "/memories?limit=", None, 400, "input.invalid"),
        ("GET", "/memories?limit=null", None, 400, "input.invalid"),
        ("GET", "/memories?unknown=1", None, 400, "input.invalid"),
        ("GET", "/memories?memory_types=nothing", None, 400, "input.type"),
        ("GET", "/memories?cursor=nothing", None, 400, "input.cursor"),
        ("GET", "/memories?since=lately", None, 400, "input.time"),
        ("GET", "/memories?metadata=nothing", None, 400, "input.invalid"),
        ("GET", "/memories?metadata=[]", None, 400, "input.invalid"),
        ("GET", "/memories?agent_id=%00", None, 400, "input.nul"),
        ("GET", "/memories?metadata=" + "[" * 30_000, None, 400, "input.invalid"),
        ("GET", "/stats?x=1", None, 400, "input.invalid"),
        ("GET", "/nothing", None, 404, "http.not_found"),
        ("GET", "/memories/", None, 404, "http.not_found"),
        ("GET", "/memories/..%2f", None, 404, "http.not_found"),
        ("GET", "/memories/..%2f..%2f..%2fhealth", None, 404, "http.not_found"),
        ("GET", "/memories/%2e%2e", None, 400, "input.id"),
        ("GET", "//memories", None, 404, "http.not_found"),
        ("GET", "/Memories", None, 404, "http.not_found"),
        ("DELETE", "/memories/deadbeef", None, 405, "http.method"),
        ("PUT", "/memories", None, 405, "http.method"),
        ("OPTIONS", "/memories", None, 405, "http.method"),
        ("GET", "/search", None, 405, "http.method"),
        ("GET", "/memories/forget", None, 405, "http.method"),
        ("GET", "/memories/batch", None, 405, "http.method"),
        ("POST", "/stats", {}, 405, "http.method"),
        ("POST", "/docs", {}, 405, "http.method"),
]  # fmt: skip


async def test_what_is_wrong_is_told_by_status_and_code(http: httpx.AsyncClient) -> None:
    for method, path, body, status, code in REFUSED:
        given = {} if body is None else {"json": body}
        answer = await http.request(method, f"{API}{path}", **given)
        error = refused(answer, status, code)
        assert error["message"] and "Traceback" not in error["message"]
    answer = await http.put(f"{API}/memories")
    assert answer.headers["allow"] == "GET, HEAD, POST"


DEEP = b'{"content": "x", "metadata": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"


NO_REQUESTS = [
        (b"", "input.invalid"), (b"{", "input.invalid"), (b"nothing", "input.invalid"),
        (b'"text"', "input.invalid"), (b"null", "input.invalid"), (b'{"content": "x"} x', "input.invalid"),
        (b'{"content": "\xff\xfe"}', "input.invalid"), (b'{"content": "\xed\xa0\x80"}', "input.invalid"),
        (b'{"content": "\\ud800"}', "input.invalid"), (b'{"content": "a\\u0000b"}', "input.nul"),
        (b'\xef\xbb\xbf{"content": "x"}', "input.invalid"), (b"[" * 100_000, "input.invalid"),
        (DEEP, "input.invalid"), (b'{"content": "x", "metadata": {"n": 1e999}}', "input.invalid"),
        (b'{"content": "x", "metadata": {"n": NaN}}', "input.invalid"),
        (b'{"content": 1}', "input.invalid"), (b'{"content": null}', "input.invalid"),
        (b'{"content": "x", "metadata": {"a": "\\u0000"}}', "input.nul"),
        (b'{"content": "x", "metadata": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}", "input.metadata"),
]  # fmt: skip


async def test_a_body_that_is_no_request_stores_nothing(
    http: httpx.AsyncClient, world: World
) -> None:
    for body, code in NO_REQUESTS:
        refused(await http.post(f"{API}/memories", content=body, headers=JSON), 400, code)
        batch_of_one = await http.post(f"{API}/memories/batch", content=body or b"{", headers=JSONL)
        [line, last] = lines_of(batch_of_one)
        assert line["error"]["code"] == code and last == {
            "complete": True,
            "stored": 0,
            "failed": 1,
        }
    assert (await world.memories.stats())[1]["live"] == 0


async def test_a_field_that_stands_twice_counts_once(http: httpx.AsyncClient) -> None:
    body = b'{"content": "first", "content": "second"}'
    made = (await http.post(f"{API}/memories", content=body, headers=JSON)).json()
    assert (await http.get(f"{API}/memories/{made['id']}")).json()["content"] == "second"


async def test_the_type_of_a_body_must_be_named(http: httpx.AsyncClient) -> None:
    for kind, good in (
        ("application/json; charset=utf-8", True), ("Application/JSON", True), ("text/plain", False),
        ("application/jsonl", False), ("application/x-www-form-urlencoded", False), ("", False),
    ):  # fmt: skip
        headers = {"content-type": kind}
        answer = await http.post(f"{API}/memories", content=b'{"content": "x"}', headers=headers)
        if good:
            assert answer.status_code in (200, 201)
        else:
            refused(answer, 415, "http.content_type")


async def test_each_kind_of_query_parameter(http: httpx.AsyncClient) -> None:
    stored = await store(
        http, "Deploys.", project="shop", agent_id="null", metadata={"a": {"b": [1]}}
    )
    await store(http, "Other.", memory_type="rag", project="cart")
    for given in (
        [("projects", "shop")], [("projects", "shop"), ("memory_types", "agent")], [("agent_id", "null")] ,
        [("metadata", '{"a": {"b": [1]}}')], [("since", "1d"), ("projects", "shop")],
        [("max_tokens", "null"), ("collections", "note")], [("limit", "1"), ("memory_types", "agent")],
    ):  # fmt: skip
        answer = await http.get(f"{API}/memories", params=given)
        assert [memory["id"] for memory in answer.json()["memories"]] == [stored], (
            given,
            answer.text,
        )
    both = await http.get(f"{API}/memories", params=[("projects", "shop"), ("projects", "cart")])
    assert len(both.json()["memories"]) == 2
    assert (await http.get(f"{API}/memories?until=1d")).json()["memories"] == []
    first = (await http.get(f"{API}/memories?limit=1")).json()
    rest = (await http.get(f"{API}/memories", params={"cursor": first["next_cursor"]})).json()
    assert [memory["id"] for memory in rest["memories"]] == [stored]


async def test_a_fault_is_masked_and_logged(
    served: Served, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_given: Any, **_named: Any) -> None:
        raise RuntimeError("secret dsn=postgres://u:p@h")

    monkeypatch.setattr(served.app.memories, "get", fail)
    monkeypatch.setattr(served.app.memories, "store_batch", fail)
    with captured_logs() as logged:
        answer = await http.get(f"{API}/memories/01a1fdc4-4692-7f50-8242-ad5415561330")
        assert "secret" not in answer.text
        refused(answer, 500, "internal")
        with pytest.raises(RuntimeError):  # the connection breaks: the answer had begun
            await http.post(f"{API}/memories/batch", content=b'{"content": "x"}', headers=JSONL)
    assert len([line for line in logged if "secret dsn" in str(line.get("exception"))]) == 2


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/jsonl", (
        answer.text
    )
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_batch_tells_each_line_in_order(http: httpx.AsyncClient, world: World) -> None:
    rows: list[Any] = [{"content": f"Line {n}.", "project": "shop"} for n in range(10_000)]
    rows[17], rows[4_000], rows[9_999] = (
        {"content": " "},
        {"content": "Line 3.", "project": "shop"},
        [],
    )
    rows[9_998] = {"content": "x", "memory_type": "x"}
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.space, "make_chunks", _no_chunks)  # a fake would need a minute
        *told, last = lines_of(
            await http.post(f"{API}/memories/batch", content=body, headers=JSONL)
        )
    assert last == {"complete": True, "stored": 9_997, "failed": 3}
    by_line = {line["line"]: line for line in told}
    assert list(by_line) == sorted(by_line) or set(by_line) == set(range(1, 10_001))
    assert len(told) == 10_000 and by_line[1]["created"]
    assert by_line[18]["error"]["code"] == "memory.empty"
    assert by_line[10_000]["error"]["code"] == "input.invalid"
    assert by_line[9_999]["error"]["code"] == "input.type"
    assert (by_line[4_001]["id"], by_line[4_001]["created"]) == (by_line[4]["id"], False)
    assert (await world.memories.stats())[1]["live"] == 9_996


async def _no_chunks(news: Sequence[NewMemory], *, embed: bool) -> tuple[list[list[Any]], None]:
    return [[] for _ in news], None


async def test_a_batch_ends_with_its_totals(http: httpx.AsyncClient) -> None:
    for body, stored, failed in (
        (b"", 0, 0), (b"\n\n", 0, 0), (b'{"content": "a"}', 1, 0), (b'\n{"content": "a"}\r\n\n', 1, 0),
        (b'{"content": "a"}\n{"content": "b"}', 2, 0), (b'{"content": "a"}{"content": "b"}', 0, 1),
    ):  # fmt: skip
        *told, last = lines_of(
            await http.post(f"{API}/memories/batch", content=body, headers=JSONL)
        )
        assert last == {"complete": True, "stored": stored, "failed": failed}
        assert len(told) == stored + failed
    assert (await http.get(f"{API}/stats")).json()["totals"]["live"] == 2


async def test_a_batch_of_another_type_is_refused(http: httpx.AsyncClient) -> None:
    refused(
        await http.post(f"{API}/memories/batch", json={"content": "x"}), 415, "http.content_type"
    )


class Wire:
    """One request as a server hands it on, piece by piece, and what is answered."""

    def __init__(self, served: Served, path: str) -> None:
        self.pieces: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answer = b""
        self.status = 0
        self.ended = False
        headers = {**JSONL, "host": "localhost", "authorization": f"Bearer {served.token}"}
        self.scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "http_version": "1.1", "scheme": "http", "root_path": "", "client": None, "server": None,
        }  # fmt: skip
        self.work = asyncio.create_task(self.run(served))

    async def run(self, served: Served) -> None:
        await served.guard(self.scope, self.pieces.get, self.send)

    async def send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.answer += message.get("body", b"")
        self.ended = message["type"] == "http.response.body" and not message.get("more_body")

    def put(self, body: bytes, more: bool = True) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def until(self, text: str) -> None:
        async with asyncio.timeout(60):
            while text not in self.answer.decode():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answer.decode().splitlines()]


class Deaf(Wire):
    """One that does not read what is answered."""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()


def row(content: str) -> bytes:
    return json.dumps({"content": content}).encode() + b"\n"


async def test_answers_flow_while_lines_still_come(served: Served) -> None:
    wire = Wire(served, f"{API}/memories/batch")
    wire.put(row("One.") + b'{"content":')
    await wire.until('"line":1')
    wire.put(b' "Two."}\n')
    await wire.until('"line":2')
    assert not wire.ended
    wire.put(b"", more=False)
    await wire.work
    assert wire.lines()[-1] == {"complete": True, "stored": 2, "failed": 0}


async def test_a_client_that_goes_in_the_middle_keeps_what_was_stored(
    served: Served, world: World
) -> None:
    wire = Wire(served, f"{API}/memories/batch")
    wire.put(row("One.") + row("Two.") + b'{"content": "cut')
    await wire.until('"line":2')
    wire.pieces.put_nowait({"type": "http.disconnect"})
    await wire.work
    assert wire.lines()[-1] == {"complete": False, "stored": 2, "failed": 1}
    assert (await world.memories.stats())[1]["live"] == 2


async def test_a_line_without_end_ends_the_batch_and_is_named(
    served: Served, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_LINE", 1_000)
    wire = Wire(served, f"{API}/memories/batch")
    wire.put(row("One.") + row("Two.") + b'{"content": "' + b"x" * 1_000)
    await wire.until('"line":3')
    assert not wire.ended  # it would not hear the answer while it still sends
    wire.put(b"x" * 1_000)
    wire.put(row("Three."), more=False)
    await wire.work
    one, two, three, last = wire.lines()
    assert one["created"] and two["created"]
    assert (three["line"], three["error"]["code"]) == (3, "http.line")
    assert last == {"complete": False, "stored": 2, "failed": 1}
    assert (await world.memories.stats())[1]["live"] == 2


async def test_a_batch_that_is_too_large_in_all_ends_and_says_so(
    world: World, tmp_path: Path
) -> None:
    async with serve(app_of(world, tmp_path), tmp_path, replace(ROOMY, max_body=1_000)) as served:
        wire = Wire(served, f"{API}/memories/batch")
        for n in range(400):
            wire.put(row(f"Line number {n} of many."))
        wire.put(b"", more=False)
        await wire.work
        *_, refusal, last = wire.lines()
        assert (
            refusal["error"]["code"] == "http.too_large" and refusal["line"] == last["stored"] + 1
        )
        assert not last["complete"] and 0 < last["stored"] < 400


@pytest.fixture
def third_store_fails(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database go away for the third transaction alone."""
    real, calls = served.app.memories.store_batch, 0

    async def store_batch(news: Sequence[NewMemory], **named: Any) -> list[Stored]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Unavailable("The database does not answer.", code="database.unreachable")
        return await real(news, **named)

    monkeypatch.setattr(served.app.memories, "store_batch", store_batch)
    monkeypatch.setattr(writes, "PAUSE_S", 0.0)


@pytest.mark.usefixtures("third_store_fails")
async def test_lines_wait_where_the_database_goes_away_in_the_middle(
    http: httpx.AsyncClient,
) -> None:
    body = b"".join(row(f"Line {n}.") for n in range(500))
    *told, last = lines_of(await http.post(f"{API}/memories/batch", content=body, headers=JSONL))
    assert last == {"complete": True, "stored": 500, "failed": 0}
    waited = [line["line"] for line in told if line["locations"] == ["spool"]]
    assert waited == list(range(129, 193)), "who came next stored what waited"
    assert (await http.get(f"{API}/stats")).json()["totals"]["live"] == 500


@pytest.mark.usefixtures("third_store_fails")
async def test_a_batch_that_neither_database_nor_spool_takes_is_given_up(
    served: Served, http: httpx.AsyncClient
) -> None:
    served.app.writes.spool.path.mkdir(parents=True)
    body = b"".join(row(f"Line {n}.") for n in range(500))
    *told, last = lines_of(await http.post(f"{API}/memories/batch", content=body, headers=JSONL))
    assert last == {"complete": False, "stored": 128, "failed": 64} and len(told) == 192
    assert {line["error"]["code"] for line in told[128:]} == {"database.unreachable"}
    assert (await http.get(f"{API}/stats")).json()["totals"]["live"] == 128
    again = lines_of(await http.post(f"{API}/memories/batch", content=body, headers=JSONL))
    assert again[-1] == {"complete": True, "stored": 500, "failed": 0}
    assert sum(line["created"] for line in again[:-1]) == 372


async def test_a_reader_that_does_not_read_is_given_up_and_counted(
    world: World, tmp_path: Path
) -> None:
    async with serve(
        app_of(world, tmp_path), tmp_path, replace(ROOMY, request_timeout=1.0)
    ) as served:
        wire = Deaf(served, f"{API}/memories/batch")
        wire.put(row("One."), more=False)
        await wire.work  # ends without an answer's end, and so the connection is closed
        assert b"mahavishnu_stalled_readers_total 1.0" in served.metrics.render()


async def test_metrics_are_well_formed_and_bounded(served: Served, http: httpx.AsyncClient) -> None:
    await store(http, "Counted.")
    for n in range(30):
        await http.get(f"{API}/memories/{n:08x}")
        await http.get(f"/made/up/{n}")
        await http.request(f"M{n}", f"{API}/stats?{n}")
    await http.get(f"{API}/status")
    answer = await http.get("/metrics")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    assert answer.headers["content-type"].startswith("text/plain; version=")
    routes = {s.labels["route"] for s in families["mahavishnu_requests"].samples}
    assert routes <= {operation.name for operation in API_OPERATIONS} | {"other", "/metrics"}
    assert {"store_memory", "get_memory", "daemon_status", "other"} <= routes
    labels = {name for f in families.values() for s in f.samples for name in s.labels}
    assert labels <= {"route", "status", "le", "version"}
    counted = {(s.labels["route"], s.labels["status"]): s.value
               for s in families["mahavishnu_requests"].samples if s.name.endswith("_total")}  # fmt: skip
    assert counted["get_memory", "404"] == 30 and counted["store_memory", "201"] == 1
    assert families["mahavishnu_active_requests"].samples[0].value == 1  # this one
    assert families["mahavishnu_database_connections"].samples[0].value >= 1
    refused(await http.post("/metrics"), 405, "http.method")


async def test_health_is_open_and_says_nothing_private(served: Served) -> None:
    async with served.client(authorization="") as http:
        answer = await http.get("/health")
        assert answer.status_code == 200 and answer.json() == {"name": "mahavishnu", "status": "ok"}
        refused(await http.post("/health"), 405, "http.method")
        for path in (
            f"{API}/stats",
            f"{API}/docs",
            f"{API}/openapi.json",
            "/metrics",
            "/nothing",
            "/mcp",
        ):
            refused(await http.get(path), 401, "http.unauthorized")


async def test_the_document_names_the_address_that_was_asked(http: httpx.AsyncClient) -> None:
    for host in ("127.0.0.1:8680", "localhost:41234"):
        document = (await http.get(f"{API}/openapi.json", headers={"host": host})).json()
        assert document["servers"] == [{"url": f"http://{host}"}]


async def test_health_says_when_the_database_does_not_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone() -> None:
        raise Unavailable("no answer at /private/path", code="database.unreachable")

    monkeypatch.setattr(type(served.app), "health", lambda _app: gone())
    async with served.client(authorization="") as http:
        answer = await http.get("/health")
    assert answer.status_code == 503 and answer.json() == {
        "name": "mahavishnu",
        "status": "unavailable",
    }
    async with served.client() as http:
        state = (await http.get(f"{API}/status")).json()
        assert state["database"] == {"reachable": False, "reason": "no answer at /private/path"}
        assert (await http.get("/metrics")).status_code == 200


async def test_another_person_sees_nothing_private_on_any_route(
    http: httpx.AsyncClient, open_world: OpenWorld, bob: Target, tmp_path: Path
) -> None:
    secret = await store(
        http, "The walrus password is in the cellar.", project="hidden", agent_id="a1"
    )
    async with (
        open_world(at=bob) as world,
        serve(app_of(world, tmp_path), tmp_path / "bob") as theirs,
        theirs.client() as other,
    ):
        answers = [
            await other.post(
                f"{API}/search", json={"query": "walrus password cellar", "mode": mode}
            )
            for mode in ("hybrid", "text", "vector")
        ]
        answers += [await other.get(f"{API}/memories{rest}") for rest in
                    ("", f"/{secret}", f"/{secret[-8:]}", "?projects=hidden", "?agent_id=a1")]  # fmt: skip
        answers += [
            await other.post(f"{API}/memories/{secret}/supersede", json={"content": "Mine."}),
            await other.post(f"{API}/memories/forget", json={"ids": [secret], "confirm": True}),
            await other.get(f"{API}/stats"), await other.get(f"{API}/status"), await other.get("/metrics"),
        ]  # fmt: skip
        told = lines_of(await other.post(
            f"{API}/memories/batch", headers=JSONL,
            content=row("The walrus password is in the cellar."),
        ))  # fmt: skip
        assert told[0]["created"] and told[0]["id"] != secret
        for answer in answers:
            assert "cellar" not in answer.text.replace("walrus password cellar", ""), answer.text
            assert "hidden" not in answer.text or answer.status_code == 404
        assert [a.status_code for a in answers[4:7]] == [404, 404, 404]
        assert (
            answers[9].json()["not_found"] == [secret] and answers[10].json()["totals"]["live"] == 0
        )
    assert (await http.get(f"{API}/memories/{secret}")).status_code == 200


class Page(HTMLParser):
    """What stands in a page: tags, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


async def test_the_page_has_every_route_and_field_and_nothing_foreign(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get(f"{API}/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    document = (await http.get(f"{API}/openapi.json")).json()
    page = read_page(answer.text)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {value for name, value in page.attributes if name == "href"}
    assert links <= {f"#{each}" for each in ids}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            assert f"{method.upper()} {path}" in page.text
            assert described["operationId"] in ids and described["description"] in page.text
            for parameter in described.get("parameters", []):
                assert parameter["name"] in page.text
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema["properties"].items():
            assert field in page.text, (name, field)
            assert described.get("description", "") in page.text, (name, field)
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [
        value
        for name, value in page.attributes
        if name in ("src", "action") or name.startswith("on")
    ]
    assert not re.search(
        r"https?:|url\(|@import|//", re.sub(r"http://127\.0\.0\.1:\d+", "", answer.text)
    )


def test_the_page_escapes_whatever_is_in_the_document() -> None:
    evil = '<script>alert("1")</script>&'
    document = describe_api()
    text = json.dumps(document)
    for part in (
        "Search memories",
        "What you look for, in your words.",
        "Find what was remembered",
    ):
        assert part in text
        text = text.replace(part, json.dumps(evil)[1:-1])
    page = read_page(render_page(json.loads(text)))
    assert page.tags == read_page(render_page(document)).tags and page.text.count(evil) >= 3
