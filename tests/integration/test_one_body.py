"""Commands, HTTP and MCP give one answer to one request, for each operation; of AI clients Python does, too."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from mcp import Client

from mahavishnu import ai
from mahavishnu.app import App, open_app
from mahavishnu.base.errors import MahavishnuError, tell
from mahavishnu.database.target import Target, override_dsn
from mahavishnu.interfaces.cli.root import cli
from mahavishnu.interfaces.mcp.edge import build_server
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import NewExecution
from mahavishnu.operations.memory_table import LOCAL_OPERATIONS
from mahavishnu.operations.operation import Operation
from mahavishnu.operations.table import ENVIRONMENT_OPERATIONS, OPERATIONS
from tests.support.fake_servers import FakeServer, Reply
from tests.support.ingesting import Ingesting, write
from tests.support.mirrored import catch_up
from tests.support.served import Served, serve
from tests.support.switching import install

DOCS = Path(__file__).parents[2] / "docs" / "reference"
EDGES = ("cli", "http", "mcp")
MOMENT = "2026-01-02T03:04:05+00:00"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Case:
    """
    A request as words and as JSON.

    `{p}` becomes a project's name, `{id}` a memory in it, `{gone}` a forgotten one, `{path}` a repository,
    `{mirror}` a target of sync.
    """

    words: Sequence[str]
    values: dict[str, Any] = field(default_factory=dict)
    part: str = ""  # of what the command prints: the list whose only item the others answer
    code: int = 0  # exit code of the command


WHOLE = {"max_tokens": None}  # commands give whole answers
TURN = {"session_id": "{p}", "position": 0, "role": "user", "content": "Hello."}
RUN = {"execution_id": "{p}", "workflow_id": "w", "adapter": "a", "status": "failed", "error": "no",
       "started_at": MOMENT, "result": {"n": 1}, "repositories": ["r"], "project": "{p}"}  # fmt: skip
SAMPLE = {"component": "{p}", "metric_type": "m", "recorded_at": MOMENT, "text": "healthy",
          "metrics": {"ms": 1.5}}  # fmt: skip
CASES: dict[str, Case] = {
    "search": Case(
        ("memory", "search", "kettle", "--project", "{p}", "--explain", "--limit", "3", "--max-tokens",
         "800", "--tier", "all"),
        {"query": "kettle", "projects": ["{p}"], "explain": True, "limit": 3, "max_tokens": 800,
         "tiers": ["all"]},
    ),
    "store_memory": Case(
        ("memory", "store", "New.", "--project", "{p}", "--metadata", "k=v", "--type", "rag"),
        {"content": "New.", "project": "{p}", "metadata": {"k": "v"}, "memory_type": "rag"},
    ),
    # For programs; `memory store` gives the same.
    "store_unified_memory": Case(
        ("memory", "store", "New.", "--project", "{p}"),
        {"content": "New.", "metadata": {"project": "{p}"}},
    ),
    "get_memory": Case(("memory", "show", "{id}"), {"id": "{id}", **WHOLE}),
    "list_memories": Case(
        ("memory", "list", "--limit", "1", "--offset", "1", "--project", "{p}", "--since", "1d"),
        {"limit": 1, "offset": 1, "projects": ["{p}"], "since": "1d", **WHOLE},
    ),
    "supersede_memory": Case(
        ("memory", "supersede", "{id}", "Corrected."), {"id": "{id}", "content": "Corrected."}
    ),
    "forget_memory": Case(("memory", "forget", "{id}"), {"ids": ["{id}"], "confirm": True}),
    "list_forgotten": Case(
        ("memory", "restore", "--list", "--limit", "1"), {"limit": 1, **WHOLE}
    ),
    "restore_memory": Case(("memory", "restore", "{gone}"), {"ids": ["{gone}"], **WHOLE}),
    "prune_memories": Case(("memory", "prune", "--yes"), {"confirm": True}),
    "memory_stats": Case(("memory", "stats"), {**WHOLE}),
    "check_database": Case(("db", "check")),
    "record_turn": Case(
        ("session", "record", "Hello.", "--session", "{p}", "--position", "0", "--role", "user"), TURN
    ),
    "list_sessions": Case(
        ("session", "list", "--project", "{p}"), {"project": "{p}", **WHOLE}
    ),
    "get_session": Case(("session", "show", "{p}"), {"session_id": "{p}", **WHOLE}),
    "record_execution": Case(
        ("workflow", "record", "{p}", "--workflow", "w", "--adapter", "a", "--status", "failed",
         "--error", "no", "--started-at", MOMENT, "--result", '{"n": 1}', "--repo", "r",
         "--project", "{p}"),
        RUN,
    ),
    "search_workflows": Case(
        ("workflow", "search", "kettle", "--project", "{p}", "--since", "2026-01-01", "--with-context"),
        {"query": "kettle", "project": "{p}", "since": "2026-01-01", "with_context": True, **WHOLE},
    ),
    "get_execution": Case(("workflow", "show", "{p}"), {"id": "{p}", **WHOLE}),
    "workflow_stats": Case(("workflow", "stats", "--limit", "2"), {"limit": 2, **WHOLE}),
    "record_metrics": Case(
        ("metrics", "record", "{p}", "m", "--recorded-at", MOMENT, "--text", "healthy", "--figures",
         '{"ms": 1.5}'),
        SAMPLE,
    ),
    "ingest_repository": Case(("repo", "ingest", "shop"), {"repo_path": "{path}"}, "repositories"),
    "query_knowledge_base": Case(
        ("repo", "query", "total", "--repo", "shop", "--limit", "2", "--explain"),
        {"query": "total", "repo_id": "shop", "top_k": 2, "explain": True, **WHOLE},
    ),
    "list_repositories": Case(("repo", "list"), WHOLE),
    "list_insights": Case(
        ("insight", "list", "--project", "{p}", "--kind", "insight", "--limit", "2"),
        {"projects": ["{p}"], "kind": "insight", "limit": 2, **WHOLE},
    ),
    "share_insight": Case(  # shared again it stays as it is, so one does for all
        ("insight", "share", "--session", "cli", "--to", "shop", "--shared"),
        {"session_id": "cli", "to": ["shop"], "visibility": "shared", **WHOLE},
    ),
    "find_insight_patterns": Case(("insight", "patterns"), {**WHOLE}),
    "create_checkpoint": Case(("checkpoint", "{path}"), {"working_directory": "{path}"}),
    "get_quality": Case(("quality", "{path}"), {"working_directory": "{path}"}, code=5),
    "sync_status": Case(("sync", "status")),
    "run_sync": Case(("sync", "run")),
    "list_sync_runs": Case(
        ("sync", "runs", "--target", "{mirror}", "--limit", "1"), {"target": "{mirror}", "limit": 1}
    ),
    "retry_sync": Case(("sync", "retry", "{id}"), {"ids": ["{id}"]}),
    "drop_sync": Case(
        ("sync", "drop", "{mirror}", "{id}", "--yes"),
        {"target": "{mirror}", "ids": ["{id}"], "confirm": True},
    ),
    "create_backup": Case(("backup", "create")),
    "list_backups": Case(("backup", "list"), WHOLE),
    "verify_backup": Case(("backup", "verify", "1"), {"set": "1"}),
    "drill_backup": Case(("backup", "drill"), {"set": "latest"}),
    "prune_backups": Case(("backup", "prune", "--dry-run"), WHOLE),
    "restore_backup": Case(("backup", "restore", "1", "--dry-run"), {"set": "1"}),
    "show_metrics": Case(
        ("metrics", "show", "--component", "workflow_kettle", "--since", "2026-01-01", "--limit", "1"),
        {"component": "workflow_kettle", "since": "2026-01-01", "limit": 1, **WHOLE},
    ),
    "spool_status": Case(("spool", "status")),
    "drain_spool": Case(("spool", "drain"), {"confirm": True}),
    "gateway_status": Case(("gateway", "status")),
    "gateway_routes": Case(("gateway", "routes")),
    "gateway_log": Case(("gateway", "log", "--client", "codex", "--limit", "3"), {"client": "codex", "limit": 3}),
    "gateway_usage": Case(("gateway", "usage", "--since", "2d"), {"since": "2d"}),
    "list_events": Case(("events", "--limit", "3"), {"limit": 3}),
    "pause_automation": Case(("pause",), {}),
    "resume_automation": Case(("resume",), {}),
    "health": Case(("health",), code=8),  # for the dead letters
    "test_alerts": Case(("alert", "test", "hook"), {"channel": "hook"}),
    "service_status": Case(("service", "status", "ollama"), {"names": ["ollama"]}),
    "service_log": Case(("service", "logs", "agentdb", "--lines", "5"), {"name": "agentdb", "lines": 5}),
    # What only a daemon can do is in test_cli_services.
    "start_services": Case(("service", "start", "agentdb"), {"names": ["agentdb"]}),
    "stop_services": Case(("service", "stop", "all", "--dry-run"), {"names": ["all"]}),
    "restart_services": Case(("service", "restart", "all", "--dry-run"), {"names": ["all"]}),
    "restart_ai_services": Case(
        ("service", "restart", "claude", "session-buddy", "agentdb", "--dry-run"), {}
    ),
}  # fmt: skip
# A dead letter for each of the memories.
BURY = (
    "INSERT INTO outbox_dead_letters (target, memory_id, change_no, attempts, error_code, error) "
    "SELECT name, memory_id, change_no, 8, 'tests.odd', 'It is odd.' FROM changes, outbox_targets "
    "WHERE memory_id = ANY ($1::text[]::uuid[]) AND kind = 'stored' AND name LIKE 'mirror@%'"
)
LONG = "x" * 201
SEARCH, STORE = ("memory", "search", "q"), ("memory", "store", "x")
RECORD = ("session", "record", "x", "--session", "s")
A_TURN = {"session_id": "s", "position": 0, "role": "user", "content": "x"}
A_RUN = {"execution_id": "e", "workflow_id": "w", "adapter": "a", "status": "running",
         "started_at": MOMENT}  # fmt: skip
RECORD_RUN = (
    "workflow",
    "record",
    "e",
    "--workflow",
    "w",
    "--adapter",
    "a",
    "--started-at",
    MOMENT,
)
# Requests that no interface can answer: operation, words of the command, values, code.
MISTAKES: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("search", ("memory", "search", ""), {"query": ""}, "search.empty"),
    ("search", ("memory", "search", "q" * 10_001), {"query": "q" * 10_001}, "search.too_long"),
    ("search", (*SEARCH, "--mode", "x"), {"query": "q", "mode": "x"}, "input.mode"),
    ("search", (*SEARCH, "--tier", "x"), {"query": "q", "tiers": ["x"]}, "input.tier"),
    ("search", (*SEARCH, "--limit", "0"), {"query": "q", "limit": 0}, "input.limit"),
    ("search", (*SEARCH, "--threshold", "2"), {"query": "q", "threshold": 2}, "input.threshold"),
    ("search", (*SEARCH, "--type", "x"), {"query": "q", "memory_types": ["x"]}, "input.type"),
    ("search", (*SEARCH, "--project", LONG), {"query": "q", "projects": [LONG]}, "input.length"),
    ("search", (*SEARCH, "--max-tokens", "9"), {"query": "q", "max_tokens": 9}, "input.max_tokens"),
    ("search", (*SEARCH, "--group", LONG), {"query": "q", "group": LONG}, "input.length"),
    ("search", (*SEARCH, "--group", "no"), {"query": "q", "group": "no"}, "repository.unknown"),
    ("store_memory", ("memory", "store", ""), {"content": ""}, "memory.empty"),
    ("store_memory", (*STORE, "--type", "x"), {"content": "x", "memory_type": "x"}, "input.type"),
    ("store_memory", (*STORE, "--source", ""), {"content": "x", "source_system": ""}, "input.length"),
    ("store_memory", (*STORE, "--occurred-at", LONG), {"content": "x", "occurred_at": LONG}, "input.time"),
    ("get_memory", ("memory", "show", "abc"), {"id": "abc"}, "input.id"),
    ("get_memory", ("memory", "show", LONG), {"id": LONG}, "input.id"),
    ("supersede_memory", ("memory", "supersede", "x", "y"), {"id": "x", "content": "y"}, "input.id"),
    ("forget_memory", ("memory", "forget", "x"), {"ids": ["x"]}, "input.id"),
    ("restore_memory", ("memory", "restore", "x"), {"ids": ["x"]}, "input.id"),
    ("restore_memory", ("memory", "restore"), {}, "memory.restore_what"),
    ("restore_memory", ("memory", "restore", "--since", "x"), {"since": "x"}, "input.time"),
    ("restore_memory", ("memory", "restore", "ffffffff"), {"ids": ["ffffffff"]}, "memory.not_forgotten"),
    ("list_forgotten", ("memory", "restore", "--list", "--limit", "0"), {"limit": 0}, "input.limit"),
    ("list_memories", ("memory", "list", "--limit", "1001"), {"limit": 1001}, "input.limit"),
    ("list_memories", ("memory", "list", "--offset", "-1"), {"offset": -1}, "input.offset"),
    ("list_memories", ("memory", "list", "--cursor", LONG), {"cursor": LONG}, "input.cursor"),
    ("list_memories", ("memory", "list", "--agent", LONG), {"agent_id": LONG}, "input.length"),
    ("record_turn", (*RECORD, "--position", "0", "--role", "x"), A_TURN | {"role": "x"}, "input.role"),
    ("record_turn", (*RECORD, "--position", "-1", "--role", "user"), A_TURN | {"position": -1},
     "conversation.position"),
    ("record_turn", (*RECORD, "--position", "0", "--role", "user", "--occurred-at", "x"),
     A_TURN | {"occurred_at": "x"}, "input.time"),
    ("record_execution", (*RECORD_RUN, "--status", "x"), A_RUN | {"status": "x"}, "input.status"),
    ("record_execution", (*RECORD_RUN, "--status", "failed", "--repo", ""),
     A_RUN | {"status": "failed", "repositories": [""]}, "input.length"),
    ("record_metrics", ("metrics", "record", "", "m", "--text", "t", "--recorded-at", MOMENT),
     {"component": "", "metric_type": "m", "text": "t", "recorded_at": MOMENT}, "input.length"),
    ("record_metrics", ("metrics", "record", "c", "m", "--recorded-at", MOMENT),
     {"component": "c", "metric_type": "m", "recorded_at": MOMENT}, "metric.empty"),
    ("query_knowledge_base", ("repo", "query", ""), {"query": ""}, "search.empty"),
    ("query_knowledge_base", ("repo", "query", "q", "--limit", "0"), {"query": "q", "top_k": 0}, "input.limit"),
    ("query_knowledge_base", ("repo", "query", "q", "--group", LONG), {"query": "q", "group": LONG}, "input.length"),
    ("list_repositories", ("repo", "status", "no"), {"names": ["no"]}, "repository.unknown"),
    ("list_repositories", ("repo", "status", "--group", LONG), {"group": LONG}, "input.length"),
    ("list_insights", ("insight", "list", "--limit", "0"), {"limit": 0}, "input.limit"),
    ("list_insights", ("insight", "list", "--group", "no"), {"group": "no"}, "repository.unknown"),
    ("share_insight", ("insight", "share", "--to", "shop"), {"to": ["shop"]}, "insight.share_what"),
    ("share_insight", ("insight", "share", "--session", "s"), {"session_id": "s"}, "insight.share_where"),
    ("share_insight", ("insight", "share", "--session", "no", "--to", "shop"),
     {"session_id": "no", "to": ["shop"]}, "insight.none"),
    ("share_insight", ("insight", "share", "--session", "s", "--to", "no"),
     {"session_id": "s", "to": ["no"]}, "repository.unknown"),
    ("create_checkpoint", ("checkpoint", "/no/such"), {"working_directory": "/no/such"}, "checkpoint.no_folder"),
    ("list_sync_runs", ("sync", "runs", "--limit", "0"), {"limit": 0}, "input.limit"),
    ("retry_sync", ("sync", "retry", "x"), {"ids": ["x"]}, "input.id"),
    ("retry_sync", ("sync", "retry", "ffffffff"), {"ids": ["ffffffff"]}, "sync.not_dead"),
    ("drop_sync", ("sync", "drop", "t", "--yes"), {"target": "t"}, "sync.no_target"),
    ("verify_backup", ("backup", "verify", "7"), {"set": "7"}, "backup.not_found"),
    ("restore_backup", ("backup", "restore", "7", "--undo", "--yes"), {"set": "7", "undo": True}, "backup.undo_set"),
    ("show_metrics", ("metrics", "show", "--since", "x"), {"since": "x"}, "input.time"),
]  # fmt: skip
# What only commands offer, and by which.
LOCAL_COMMANDS = {
    "import_markdown": "memory import markdown",
    "import_git": "memory import git",
    "export_memories": "memory export",
    "import_memories": "memory import jsonl",
    "select_memories": "memory forget",
    "embed_waiting": "memory embed",
    "add_repositories": "repo add",
    "ingest_repositories": "repo ingest",
    "remove_repository": "repo remove",
    "link_project": "project link",
    "split_project": "project split",
}
# What asks an operation that another command shows whole; `workflow run` records as that does.
FURTHER_COMMANDS = {
    "session search": "search",
    "workflow list": "search_workflows",
    "workflow run": "record_execution",
    "repo status": "list_repositories",
    "repo graph": "list_repositories",
}
EVERYWHERE = {each.name: each for each in OPERATIONS if each not in ENVIRONMENT_OPERATIONS}
CONTEXT = click.Context(cli)
# Differ between any two calls, as does who is connected.
CLOCKS = (
    "elapsed_ms", "size_bytes", "at", "failed_at", "seconds", "created_at", "proven_at", "connected",
    "since", "latency_ms", "extracted_at",
)  # fmt: skip


@dataclass(frozen=True)
class Edges:
    """The three over one database; `ids` are those of memories in the project of each, one repository is known."""

    served: Served
    ids: dict[str, dict[str, str]]
    repository: Path

    async def ask(self, edge: str, operation: Operation[Any, Any], project: str) -> Any:
        """Return what one of them answers to the operation's case, asked about a project."""
        case = CASES[operation.name]
        own = {"{p}": project, "{path}": str(self.repository), **self.ids[project]}
        own |= {"{mirror}": (await self.served.app.outbox.status())[-1].name}
        if edge == "cli":
            words = [fill(word, own) for word in case.words]
            body = await asyncio.to_thread(run, words, code=case.code)
            return body[case.part][0] if case.part else body
        return await self.call(edge, operation, fill(case.values, own))

    async def call(self, edge: str, operation: Operation[Any, Any], values: Any) -> Any:
        """Return what HTTP or MCP answers to an operation."""
        if edge == "mcp":
            async with Client(build_server(self.served.app)) as client:
                return (await client.call_tool(operation.name, values)).structured_content
        answer = await self.request(operation, values)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def request(self, operation: Operation[Any, Any], values: dict[str, Any]) -> Any:
        """Return what HTTP answers to an operation."""
        path = operation.path.format(**values)
        rest = {name: each for name, each in values.items() if f"{{{name}}}" not in operation.path}
        query = [(name, word) for name, each in rest.items() for word in spell(each)]
        sent = {"params": query} if operation.method == "GET" else {"json": rest}
        async with self.served.client() as http:
            return await http.request(operation.method, f"/api/v1{path}", **sent)


def fill(value: Any, own: dict[str, str]) -> Any:
    """Return a case with the names and ids that are its own."""
    if isinstance(value, dict):
        return {name: fill(inner, own) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(each, own) for each in value]
    return own.get(value, value) if isinstance(value, str) else value


def spell(value: Any) -> list[str]:
    """Return a value as words of a query."""
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each) for each in values]


def run(words: Sequence[str], *, code: int = 0) -> Any:
    """Run a command in this process and return its JSON without the schema."""
    done = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    body = json.loads(done.stdout_bytes)
    assert next(iter(body)) == "schema" and body.pop("schema") == 1
    return body


def comparable(body: Any, *, made: bool) -> Any:
    """Return a body without what clocks say; where each has `made` something, without the ids too."""
    if isinstance(body, dict):
        return {
            name: None if name in CLOCKS else comparable(inner, made=made)
            for name, inner in body.items()
        }
    if isinstance(body, list):
        return [comparable(each, made=made) for each in body]
    return None if made and isinstance(body, str) and UUID.fullmatch(body) else body


@pytest.fixture
async def edges(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Edges]:
    for name, value in {"HOME": str(tmp_path), "ZAI_API_KEY": "sk-fake"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAHAVISHNU_HOME", str(tmp_path))
    monkeypatch.setenv("MAHAVISHNU_PG_DSN", target.url)
    monkeypatch.setenv("MAHAVISHNU_BACKUP_DSN", override_dsn(target.url, user="postgres"))
    monkeypatch.setenv("MAHAVISHNU_EMBEDDING_PROVIDER", "none")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mahavishnu.yaml").write_text(
        "memory: {retention: {insight: 90d}}\nalerts: {channels: {hook: {url: env:TESTS_HOOK}}}\n"
    )
    monkeypatch.setenv("MAHAVISHNU_SYNC_MIRROR_PATH", str(tmp_path / "mirror.jsonl"))
    async with open_app() as app, serve(app, tmp_path) as served:
        write(tmp_path / "shop", prices_py="def total(prices):\n    return sum(prices)\n")
        repository = await app.repositories.add(tmp_path / "shop")
        await Ingesting(app).ingestion.ingest(repository)
        ids = {edge: await prepare(app, edge) for edge in EDGES}
        await catch_up(app.outbox)
        await app.insights.patterns.find()  # now, so that each edge finds nothing new
        await catch_up(app.outbox)
        await app.database.run(lambda c: c.execute(BURY, [each["{id}"] for each in ids.values()]))
        yield Edges(served, ids, repository.path)


async def prepare(app: App, project: str) -> dict[str, str]:
    stored = await app.memories.store_batch(
        [NewMemory(content=text, project=project, source_system="tests", metadata={"n": [1, None]})
         for text in ("A kettle is red.", "The kettle boils. " + "water " * 2000)]
    )  # fmt: skip
    await app.records.record_execution(
        NewExecution(
            execution_id=project, workflow_id="kettle", adapter="earlier", status="failed",
            started_at=datetime(2026, 1, 1, tzinfo=UTC), finished_at=datetime(2026, 1, 2, tzinfo=UTC),
            error="Traceback\nIt boils.", result={"n": 1}, repositories=(project,), project=project,
        )
    )  # fmt: skip
    said = "Is it?\n★ Insight ─────\nA kettle that boils makes a noise.\n─────"
    turn = NewTurn(session_id=project, position=0, role="user", content=said, project=project)
    await app.conversations.record([turn])
    [gone] = await app.memories.store_batch(
        [NewMemory(content="A kettle of old.", project=project)]
    )
    await app.memories.forget([gone.id])
    return {"{id}": str(stored[0].id), "{gone}": str(gone.id)}


@pytest.mark.postgres
@pytest.mark.parametrize("name", EVERYWHERE)
async def test_commands_http_and_mcp_give_the_same(
    edges: Edges, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = EVERYWHERE[name]
    assert name in CASES, "an operation needs a command that asks it, and a case"
    if name != "create_backup" and "backup" in name:
        await edges.call("http", EVERYWHERE["create_backup"], {})
    made = not operation.read_only  # then each has a project of its own
    async with FakeServer(lambda _: Reply()) as hook:
        monkeypatch.setenv("TESTS_HOOK", f"json://127.0.0.1:{hook.port}")
        bodies = [await edges.ask(edge, operation, edge if made else "cli") for edge in EDGES]
    for body in bodies if name == "create_backup" else []:
        assert body.pop("set").startswith(f"{body.pop('number'):04}-")
    by_command, by_http, by_mcp = (comparable(body, made=made) for body in bodies)
    assert by_command == by_http == by_mcp


# Of AI clients: the words of the command, the values of a request, and the function of Python.
AI_CASES: dict[str, tuple[Sequence[str], dict[str, Any], Callable[..., Any]]] = {
    "list_llms": (("list-llms",), {}, ai.list_llms),
    "llm_status": (("status",), {}, ai.status),
    "switch_llm": (("switch-llm", "zai"), {"name": "zai", "confirm": True}, ai.switch_llm),
    "undo_switch": (("undo", "{id}"), {"id": "{id}", "confirm": True}, ai.undo),
    "auto_status": (("auto", "status"), {}, ai.auto_status),
    "set_auto": (("auto", "off"), {"intent": "off"}, ai.set_auto),
}


@pytest.mark.postgres
async def test_all_interfaces_give_the_same_of_ai_clients(
    edges: Edges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, claude_code='{"theme": "dark"}\n', codex="", qwen="{}\n")
    monkeypatch.chdir(tmp_path)
    told: dict[str, list[Any]] = {operation.name: [] for operation in ENVIRONMENT_OPERATIONS}
    for edge in (*EDGES, "python"):
        own: dict[str, str] = {}
        for operation in ENVIRONMENT_OPERATIONS:
            words, values, function = AI_CASES[operation.name]
            if edge == "cli":
                body = await asyncio.to_thread(run, ["ai", *(own.get(w, w) for w in words)])
            elif edge == "python":
                body = msgspec.to_builtins(await function(**fill(values, own)))
            else:
                body = await edges.call(edge, operation, fill(values, own))
            own["{id}"] = body.get("id", "")
            body.pop("switches", None)  # there are more each time
            told[operation.name].append(comparable(body, made=True))
    for name, bodies in told.items():
        assert len(bodies) == len(EDGES) + 1 and bodies.count(bodies[0]) == len(bodies), name


@pytest.mark.postgres
async def test_commands_http_and_mcp_refuse_the_same_mistake_alike(edges: Edges) -> None:
    async with Client(build_server(edges.served.app)) as client:
        for name, words, values, code in MISTAKES:
            error = (await asyncio.to_thread(CliRunner().invoke, cli, words)).exception
            assert isinstance(error, MahavishnuError), (words, error)
            by_http = (await edges.request(EVERYWHERE[name], values)).json()["error"]
            answer = await client.call_tool(name, values)
            by_mcp = (answer.meta or {})["mahavishnu/error"]
            told = [(each["code"], each["message"]) for each in (tell(error), by_http, by_mcp)]
            assert told == [(code, error.message)] * 3, (name, values)


def test_every_command_asks_an_operation() -> None:
    groups = "memory project repo session workflow metrics insight sync backup".split()
    commands = {words for name in groups for words in leaves(name, cli.get_command(CONTEXT, name))}
    assert LOCAL_COMMANDS.keys() == {each.name for each in LOCAL_OPERATIONS}
    asking = [" ".join(case.words) for case in CASES.values()] + list(LOCAL_COMMANDS.values())
    assert EVERYWHERE.keys() >= {*FURTHER_COMMANDS.values()}
    asking += FURTHER_COMMANDS
    assert [each for each in commands if not any(a.startswith(each) for a in asking)] == []


def test_the_page_names_the_operation_of_each_command() -> None:
    row = re.compile(r"^\| `(.+)` \| `(\w+)` \| \[(.+)\]\(", re.MULTILINE)
    rows = row.findall((DOCS / "json-output.md").read_text("utf-8"))
    assert {operation: title for _, operation, title in rows} == {
        name: each.title for name, each in EVERYWHERE.items() if name != "store_unified_memory"
    }
    for command, operation, _ in rows:
        assert " ".join(CASES[operation].words).startswith(command)


def leaves(name: str, command: click.Command | None) -> Iterator[str]:
    """Yield the commands of a group by their words."""
    if isinstance(command, click.Group):
        for inner in command.list_commands(CONTEXT):
            yield from (leaves(f"{name} {inner}", command.get_command(CONTEXT, inner)))
    else:
        yield name
