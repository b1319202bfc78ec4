"""The clients: each with its own seed and notes; what was acknowledged goes to the ledger."""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from tests.soak.calls import Refused, call_api, call_mcp
from tests.soak.embedder import MODEL, embed
from tests.soak.home import Home

THINK_S = 0.6  # on average
OPERATOR_S = 6.0
INSIST_S = 150.0
WORDS = "amber birch cedar delta ember fjord grove heron inlet jetty kelp larch maple north ochre pearl".split()
LOOKED_AT = (
    "health",
    "events",
    "services",
    "stats",
    "memories",
    "sessions",
    "workflows",
    "spool",
    "metrics",
)
BEGAN, ENDED = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"

type Answer = dict[str, Any] | None


@dataclass
class Client:
    """One client in turns of thinking and asking."""

    home: Home
    number: int
    seed: int
    http: httpx.AsyncClient
    notes: dict[str, str] = field(default_factory=dict)  # texts of stored memories by id
    forgotten: dict[str, str] = field(default_factory=dict)
    turns: int = 0
    counted: int = 0
    switched: str = ""

    def __post_init__(self) -> None:
        self.draw = random.Random(f"{self.seed}/{self.number}")

    async def live(self) -> None:
        """Ask until the run ends; the first client is the operator."""
        await asyncio.sleep(self.draw.random() * THINK_S)
        acts = OPERATOR if self.number == 0 else ACTS
        think = OPERATOR_S if self.number == 0 else THINK_S
        while not self.home.ending:
            [act] = self.draw.choices(list(acts), list(acts.values()))
            try:
                await act(self)
            except Exception:  # noqa: BLE001 - the hour goes on without this answer
                self.home.wrong.append(f"client {self.number}: {traceback.format_exc()}")
            await asyncio.sleep(min(self.draw.expovariate(1 / think), 5 * think))

    async def ask(
        self, kind: str, send: Callable[[], Awaitable[dict[str, Any]]], *, insist: bool = False
    ) -> Answer:
        """Return the answer, None for a refusal; `insist` repeats what may succeed later."""
        until = time.monotonic() + INSIST_S
        while True:
            began = time.perf_counter()
            try:
                answer = await send()
            except Refused as error:
                self.home.fail(kind, error)
                if not (insist and error.again) or time.monotonic() > until:
                    return None
                await asyncio.sleep(0.5 + self.draw.random())
            else:
                self.home.seconds[kind].append(time.perf_counter() - began)
                return answer

    async def get(self, kind: str, path: str) -> Answer:
        """Read something over HTTP."""
        return await self.ask(f"http {kind}", lambda: call_api(self.http, "GET", path, {}))

    async def post(self, kind: str, path: str, *, insist: bool = True, **body: Any) -> Answer:
        """Ask for something over HTTP."""
        send = partial(call_api, self.http, "POST", path, body)
        return await self.ask(f"http {kind}", send, insist=insist)

    async def write(self, tool: str, path: str, **body: Any) -> Answer:
        """Write by MCP or HTTP, insisting."""
        if self.draw.random() < 0.5:
            send = partial(call_mcp, self.http, tool, body)
            return await self.ask(f"mcp {tool}", send, insist=True)
        return await self.post(tool, path, **body)

    def new(self, kind: str) -> str:
        """Return a text that nobody else writes."""
        self.counted += 1
        words = " ".join(self.draw.sample(WORDS, 4))
        return f"{kind} {self.number}-{self.counted} of the soak: {words}."

    def a_note(self) -> str | None:
        return self.draw.choice(list(self.notes)) if self.notes else None

    async def store(self) -> None:
        text = self.new("Note")
        self.home.ledger.note("unsure", text)
        if self.draw.random() < 0.2:
            answer = await self.write("store_unified_memory", "unified-memories", content=text,
                                      embedding=embed(text), embedding_model=MODEL)  # fmt: skip
        else:
            answer = await self.write("store_memory", "memories", content=text)
        if answer:
            self.home.ledger.note("there", text)
            if answer["locations"] == ["postgresql"]:
                self.notes[answer["id"]] = text
            else:
                self.home.spooled += 1

    async def supersede(self) -> None:
        if old := self.a_note():
            text, before = self.new("Note"), self.notes.pop(old)
            self.home.ledger.note("unsure", text, before)
            path = f"memories/{old}/supersede"
            answer = await self.post("supersede_memory", path, content=text)
            if answer:
                self.home.ledger.note("gone", before)
                self.home.ledger.note("there", text)
                if answer["locations"] == ["postgresql"]:
                    self.notes[answer["id"]] = text

    async def forget(self) -> None:
        if old := self.a_note():
            text = self.notes.pop(old)
            self.home.ledger.note("unsure", text)
            if await self.write("forget_memory", "memories/forget", ids=[old], confirm=True):
                self.home.ledger.note("gone", text)
                self.forgotten[old] = text

    async def restore(self) -> None:
        if self.forgotten:
            old, text = self.forgotten.popitem()
            self.home.ledger.note("unsure", text)
            if await self.write("restore_memory", "memories/restore", ids=[old]):
                self.home.ledger.note("there", text)
                self.notes[old] = text

    async def read(self) -> None:
        if old := self.a_note():
            answer = await self.get("get_memory", f"memories/{old}")
            if answer and answer["content"] != self.notes[old]:
                self.home.wrong.append(f"{old} reads {answer['content']!r}")

    async def search(self) -> None:
        mode = self.draw.choice(("text", "vector", "hybrid"))
        body: dict[str, Any] = {
            "query": " ".join(self.draw.sample(WORDS, 2)),
            "mode": mode,
            "limit": 5,
        }
        kind = f"search {mode}"
        if self.draw.random() < 0.5:
            answer = await self.ask(f"mcp {kind}", lambda: call_mcp(self.http, "search", body))
        else:
            answer = await self.post(kind, "search", insist=False, **body)
        if answer:
            self.home.degraded.update(
                f"{each['part']}: {each['reason']}" for each in answer["degraded"]
            )

    async def turn(self) -> None:
        session, position, text = f"soak-{self.number}", self.turns, self.new("Turn")
        self.turns += 1
        self.home.ledger.note("unsure", text)
        said = {"session_id": session, "position": position, "role": "user", "content": text}
        if await self.write("record_turn", "turns", **said):
            self.home.ledger.note("there", text)

    async def execution(self) -> None:
        run = self.new("Run")
        body = {
            "execution_id": run,
            "workflow_id": "soak",
            "adapter": "script",
            "started_at": BEGAN,
        }
        self.home.ledger.note("unsure", run)
        if await self.write("record_execution", "executions", status="running", **body):
            self.home.ledger.note("there", run)
            ends = {"status": "completed", "finished_at": ENDED}
            ended = f"{run} ended"
            self.home.ledger.note("unsure", ended)
            if await self.write("record_execution", "executions", **body, **ends):
                self.home.ledger.note("there", ended)

    async def metric(self) -> None:
        name = self.new("Metric")
        self.home.ledger.note("unsure", name)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = {"component": name, "metric_type": "soak", "recorded_at": at, "metrics": {"n": 1}}
        if await self.write("record_metrics", "metrics", **body):
            self.home.ledger.note("there", name)

    async def look(self) -> None:
        path = self.draw.choice(LOOKED_AT)
        await self.get(f"look at {path}", path)

    async def restart_service(self) -> None:
        name = self.draw.choice(("embedder", "flaky"))
        body = {"names": [name], "confirm": True}
        answer = await self.post("restart_services", "services/restart", insist=False, **body)
        for each in answer["services"] if answer else ():
            self.home.outcomes.update(
                [f"restart {name}: {each['outcome']} {each.get('code') or ''}"]
            )

    async def change_settings(self) -> None:
        try:
            self.home.write_settings()
        except OSError as error:
            self.home.fail("settings", Refused("settings of our own", str(error), again=True))

    async def switch(self) -> None:
        name = self.draw.choice(("one", "two"))
        self.switched = ""
        answer = await self.post("switch_llm", "llms/switch", name=name, confirm=True)
        self.switched = name if answer else ""

    async def command(self) -> None:
        text = self.new("Note")
        all_words = (("memory", "store", text), ("memory", "search", "amber"), ("status",))
        words = self.draw.choice(all_words)
        storing = words[:2] == ("memory", "store")
        if storing:
            self.home.ledger.note("unsure", text)
        kind = " ".join(("cli", *words[:2]))
        if await self.ask(kind, lambda: self.home.run(*words), insist=storing) and storing:
            self.home.ledger.note("there", text)


type Acts = dict[Callable[[Client], Awaitable[None]], float]
ACTS: Acts = {
    Client.store: 20, Client.search: 26, Client.supersede: 5, Client.forget: 4, Client.restore: 1, Client.read: 6,
    Client.turn: 10, Client.execution: 5, Client.metric: 6, Client.look: 10,
}  # fmt: skip
OPERATOR: Acts = {
    Client.command: 10, Client.restart_service: 1, Client.change_settings: 1, Client.switch: 3, Client.look: 3,
}  # fmt: skip
