"""
Session-Buddy over MCP: calls that say whether they were done, and what the server at an address can do.

Session-Buddy answers most failures as prose in a success. They are errors here. One session is kept; where the server
restarted, or a call failed, the next call begins another.
"""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx

from mahavishnu.base.daemon.client import HELLO
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.masking import mask_secrets

PROTOCOL = str(HELLO["protocolVersion"])
FIRST_S = 30.0  # a first call opens databases
CALL_S = 5.0
MAX_ANSWER_BYTES = 4 * 2**20
MAX_TOLD = 300  # characters of a failure that are shown
# These change the server's working folder and its project, for every client: one at a time.
MOVING = frozenset({"checkpoint", "start", "end", "status"})
GRAPH = frozenset(
    {"create_entity", "add_observation", "create_relation", "get_entity_relationships"}
)
# What our launcher writes into the instructions of the server; see `launcher.KEEPS`.
_KEEPS = re.compile(r"mahavishnu-keeps-data:([0-9a-f]{32})")
_FAILED = re.compile(r"\s*(❌|error\b|failed\b)", re.IGNORECASE)
_GONE = (400, 404)  # of a session that a restart ended


@dataclass(frozen=True)
class Answer:
    """What a tool said, and its structured form where it has one."""

    text: str
    structured: Mapping[str, Any]


@dataclass(frozen=True)
class Abilities:
    """
    What the server at an address can do.

    `data_id` names the data of one that our launcher started, which keeps all rows; None is somebody else's, which
    loses rows at its restart.
    """

    tools: frozenset[str]
    data_id: str | None

    @property
    def keeps_rows(self) -> bool:
        """Whether what it stores is there after its restart."""
        return self.data_id is not None

    @property
    def has_graph(self) -> bool:
        """Whether it has a knowledge graph."""
        return self.tools >= GRAPH

    @property
    def lacking(self) -> tuple[str, ...]:
        """What to know before it is used, a sentence each."""
        told = (
            (self.has_graph, "It has no knowledge graph."),
            (
                "progressive_search" in self.tools,
                "It has no progressive search, and names no ids when it stores.",
            ),
            ("fingerprint_search" in self.tools, "It cannot be searched."),
            (self.keeps_rows, "It was not started by Mahavishnu, and loses rows at its restart."),
        )
        return tuple(sentence for holds, sentence in told if not holds)


class SessionBuddy:
    """The server at an address, such as http://127.0.0.1:8678; closed by `aclose`."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._client: httpx.AsyncClient | None = None
        self._session: str | None = None
        self._abilities: Abilities | None = None
        self._data_id: str | None = None
        self._warm = False
        self._beginning, self._moving = asyncio.Lock(), asyncio.Lock()
        self._numbers = itertools.count(1)

    @property
    def is_warm(self) -> bool:
        """Whether the server that answered last has its databases open."""
        return self._warm

    @property
    def keeps_rows(self) -> bool:
        """Whether the server that answered last says that its rows stay."""
        return self._data_id is not None

    async def call(
        self, tool: str, arguments: Mapping[str, Any], *, timeout_s: float = CALL_S
    ) -> Answer:
        """
        Call a tool; give `working_directory` to each that takes it, or it guesses one.

        Raises:
            Unavailable: it does not answer (`session_buddy.unreachable`), not in time (`session_buddy.slow`), or
                another process has its data open (`session_buddy.locked`).
            Conflict: it answers that it did not do it (`session_buddy.refused`).
        """
        turn = self._moving if tool in MOVING else contextlib.nullcontext()
        params = {"name": tool, "arguments": dict(arguments)}
        async with self._within(timeout_s), turn:
            await self._begin()
            return read_answer(tool, await self._again("tools/call", params))

    async def abilities(self, *, timeout_s: float = CALL_S) -> Abilities:
        """Return what this server can do, asked once for each of its starts; raises as `call`."""
        async with self._within(timeout_s):
            await self._begin()
            if self._abilities is None:
                self._abilities = await self._look()
            return self._abilities

    async def warm(self, *, timeout_s: float = FIRST_S) -> Abilities:
        """Let it open its databases, once for each of its starts: its first call of all takes seconds."""
        async with self._within(timeout_s):
            await self._begin()
            await self._again("ping", {})  # tells whether it restarted
        abilities = await self.abilities(timeout_s=timeout_s)
        if not self._warm and "fingerprint_search" in abilities.tools:
            asked = {"query": "mahavishnu", "content_type": "reflection"}
            await self.call("fingerprint_search", asked, timeout_s=timeout_s)
        self._warm = True
        return abilities

    async def problems(self, *, timeout_s: float = CALL_S) -> tuple[str, ...]:
        """Return what is in the way of using it, or is to be known before; nothing where all is well."""
        try:
            found = await self.abilities(timeout_s=timeout_s)
        except MahavishnuError as error:
            return (error.message,)
        return tuple(f"Session-Buddy at {self.address}: {each}" for each in found.lacking)

    async def aclose(self) -> None:
        """End the session, as far as the server is there."""
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(httpx.HTTPError):
                if self._session is not None:
                    headers = {"mcp-session-id": self._session}
                    await client.delete(f"{self.address}/mcp", headers=headers, timeout=1)
            await client.aclose()
        self._forget()

    async def _begin(self) -> None:
        """Have a session."""
        async with self._beginning:
            if self._session is not None:
                return
            self._forget()
            told, answer = await self._send("initialize", HELLO)
            session = answer.headers.get("mcp-session-id")
            if session is None or "serverInfo" not in told:
                raise Unavailable(
                    f"What listens at {self.address} is not Session-Buddy.",
                    hint="See: mahavishnu settings show session_buddy",
                    code="session_buddy.unreachable",
                )
            kept = _KEEPS.search(str(told.get("instructions")))
            self._data_id = kept and kept[1]
            self._session = session
            await self._send("notifications/initialized", None)

    async def _look(self) -> Abilities:
        listed = await self._again("tools/list", {})
        names, cursor = {each["name"] for each in listed["tools"]}, listed.get("nextCursor")
        while cursor:
            listed = await self._again("tools/list", {"cursor": cursor})
            names |= {each["name"] for each in listed["tools"]}
            cursor = listed.get("nextCursor")
        return Abilities(frozenset(names), self._data_id)

    async def _again(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask, in another session where the server does not know this one any more."""
        session = self._session
        try:
            return (await self._send(method, params))[0]
        except _SessionGone:
            if self._session == session:
                self._session = None
            await self._begin()
            return (await self._send(method, params))[0]

    async def _send(
        self, method: str, params: Mapping[str, Any] | None
    ) -> tuple[Mapping[str, Any], httpx.Response]:
        """Return the result of a request, nothing of a notification; what fails ends the session."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message |= {"id": next(self._numbers), "params": params}
        headers: dict[str, str] = {
            "Accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL,
            **({"mcp-session-id": self._session} if self._session else {}),
        }
        if self._client is None:
            # Without a limit of its own, since each call has one.
            self._client = httpx.AsyncClient(verify=_certificates(), trust_env=False, timeout=None)  # noqa: S113
        try:
            async with self._client.stream(
                "POST", f"{self.address}/mcp", json=message, headers=headers
            ) as answer:
                if answer.status_code in _GONE and self._session:
                    raise _SessionGone
                if answer.status_code >= 400:
                    raise _away(self.address, f"it answers {answer.status_code}")
                if params is None:
                    return {}, answer
                return await read_result(answer, message["id"]), answer
        except (httpx.HTTPError, OSError, ValueError) as error:
            self._forget()
            raise _away(self.address, mask_secrets(str(error)) or type(error).__name__) from error

    @contextlib.asynccontextmanager
    async def _within(self, timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise Unavailable(
                f"Session-Buddy at {self.address} did not answer within {timeout_s:g} s.",
                hint="See: mahavishnu service logs session-buddy",
                code="session_buddy.slow",
            ) from error
        except _SessionGone as error:
            raise _away(self.address, "it ends each session at once") from error

    def _forget(self) -> None:
        self._session = self._abilities = None
        self._data_id = None
        self._warm = False


class _SessionGone(Exception):
    """The server does not know the session."""


@cache
def _certificates() -> SSLContext:
    """Load the authorities once."""
    return httpx.create_ssl_context(trust_env=False)


async def read_result(answer: httpx.Response, number: int) -> Mapping[str, Any]:
    """Return the result that has this number, of a body in JSON or of an event; raises ValueError for another."""
    size = 0
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        async for line in answer.aiter_lines():
            size += len(line)
            if size > MAX_ANSWER_BYTES:
                break
            if line.startswith("data:"):
                told = json.loads(line[5:])
                if isinstance(told, dict) and told.get("id") == number:
                    return _result_of(told)
        raise ValueError("it ended without an answer")
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("its answer is too long")
    return _result_of(json.loads(body))


def _result_of(told: Any) -> Mapping[str, Any]:
    error, result = (told.get("error"), told.get("result")) if isinstance(told, dict) else (None, 0)
    if isinstance(error, dict):
        raise _refusal("", str(error.get("message", "")))
    if not isinstance(result, dict):
        raise ValueError("it does not speak MCP")
    return result


def read_answer(tool: str, result: Mapping[str, Any]) -> Answer:
    """Return what a tool did; raises where it says, in whatever form, that it did not."""
    text = "\n".join(
        str(each.get("text", "")) for each in result.get("content", ()) if isinstance(each, dict)
    )
    structured = result.get("structuredContent")
    if not isinstance(structured, dict):
        structured = {}
    failed = (
        result.get("isError") is True
        or structured.get("success") is False
        or structured.get("status") in ("error", "failed")
        or _FAILED.match(text) is not None
    )
    if failed:
        said = structured.get("error") or structured.get("message") or text
        raise _refusal(tool, str(said))
    return Answer(text, structured)


def _refusal(tool: str, said: str) -> MahavishnuError:
    told = mask_secrets(" ".join(said.split()).removeprefix("❌").strip())[:MAX_TOLD]
    if "could not set lock" in said.lower():
        return Unavailable(
            "Another process has the data of Session-Buddy open.",
            hint="End the other Session-Buddy, then: mahavishnu service restart session-buddy",
            code="session_buddy.locked",
        )
    by = f" {tool}" if tool else ""
    return Conflict(
        f"Session-Buddy did not do{by}: {told or 'it does not say why'}",
        code="session_buddy.refused",
    )


def _away(address: str, why: str) -> Unavailable:
    return Unavailable(
        f"Session-Buddy at {address} cannot be reached: {why}.",
        hint="Start it: mahavishnu service start session-buddy",
        code="session_buddy.unreachable",
    )
