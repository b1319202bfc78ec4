"""
Deliver insights to Session-Buddy, and nothing but insights: a target of the outbox.

Session-Buddy has no ids of ours, and nothing there can be changed: a row begins with `[mv:<id>]`, and is looked for
before it is stored. One that is shared with other projects later is a further row, which searches show once.
"""

import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from mahavishnu.base.errors import Conflict, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.memory.models import Memory
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange
from mahavishnu.services.session_buddy.client import FIRST_S, SessionBuddy
from mahavishnu.services.session_buddy.graph import Dependencies, ProjectGraph

_VERSION = 1  # of what is delivered: another one delivers everything again
LOOKED_AT = 50  # rows that have the same id
_log = get_logger(__name__)
_PROCESS = re.compile(r"Process ID: (\d+)")


class SessionBuddyTarget:
    """The Session-Buddy at an address; its methods are those of `SyncTarget`."""

    collections: Sequence[str] | None = ("insight",)

    def __init__(
        self,
        buddy: SessionBuddy,
        read_projects: Callable[[], Awaitable[Dependencies]] | None = None,
    ) -> None:
        """`read_projects` returns what each project depends on, which is kept in the graph there."""
        _, _, place = buddy.address.partition("://")
        self.name = f"session_buddy@{socket.gethostname()}:{place}"
        self._buddy = buddy
        self._read_projects = read_projects
        self._graph = ProjectGraph(buddy)

    async def open(self) -> str:
        """Return what tells its data; that of a server which loses rows is other data after each restart."""
        abilities = await self._buddy.warm()
        if not abilities.tools >= {"store_reflection", "fingerprint_search"}:
            raise Unavailable(
                f"Session-Buddy at {self._buddy.address} cannot take insights.",
                hint="Let Mahavishnu run it: session_buddy.python",
                code="session_buddy.refused",
            )
        data = abilities.data_id or await self._find_process()
        if abilities.has_graph and self._read_projects is not None:
            try:
                await self._graph.keep(await self._read_projects(), data)
            except Conflict as error:  # which is in the way of no insight
                _log.warning("graph_not_kept", code=error.code, reason=error.message)
        return f"{_VERSION}:{data}"

    async def _find_process(self) -> str:
        """Return pid and start, to the minute: in a container the pid may be the same each time."""
        found = _PROCESS.search((await self._buddy.call("health_check", {})).text)
        up_s = (await self._buddy.call("get_liveness", {})).structured.get("uptime_seconds", 0.0)
        started = datetime.fromtimestamp(time.time() - up_s, UTC)
        return f"process {found[1] if found else 'unknown'} of {started:%Y-%m-%dT%H:%M}"

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        """Store what is live; what was forgotten stays there, and no search shows it."""
        memories = {each.memory_id: each.memory for each in changes}
        for index, change in enumerate(changes):
            memory = memories.pop(change.memory_id, None)  # once, as it is now
            if memory is None or not is_sent(memory):
                continue
            try:
                await self._store(memory)
            except Conflict as error:
                return DeliveryRefusal(index, error.message, error.code)
        return None

    async def _store(self, memory: Memory) -> None:
        content = row_of(memory)
        asked = {"query": memory.id.hex, "content_type": "reflection", "limit": LOOKED_AT}
        found = await self._buddy.call("fingerprint_search", asked, timeout_s=FIRST_S)
        if any(each.get("content") == content for each in found.structured.get("results", ())):
            return
        stored = {"content": content, "tags": tags_of(memory)}
        await self._buddy.call("store_reflection", stored, timeout_s=FIRST_S)


def is_sent(memory: Memory) -> bool:
    """Tell whether a memory may leave: a live insight that does not expire; no other memory ever does."""
    return (
        memory.memory_type == "insight"
        and memory.superseded_by is None
        and memory.expires_at is None
    )


def row_of(memory: Memory) -> str:
    """Return the text of the row there: id, project and targets first, since a search may show a beginning alone."""
    marks = [f"[mv:{memory.id.hex}]"]
    if memory.project is not None:
        marks.append(f"[project:{memory.project}]")
    if targets := _targets_of(memory):
        marks.append(f"[to:{', '.join(targets)}]")
    return " ".join([*marks, memory.content])


def tags_of(memory: Memory) -> list[str]:
    """Return where an insight comes from and whom it is for, as `name:value`; Session-Buddy takes tags alone."""
    metadata = memory.metadata
    known: dict[str, Any] = {
        "doc_type": metadata.get("doc_type", "insight"),
        "source_system": memory.source_system,
        "extracted_at": metadata.get(
            "extracted_at", memory.stored_at.isoformat(timespec="seconds")
        ),
        "project": memory.project,
        "workflow_id": memory.workflow_id,
        "share_type": metadata.get("share_type"),
    }
    named = [f"{name}:{value}" for name, value in known.items() if value is not None]
    return ["mahavishnu", *named, *(f"target:{each}" for each in _targets_of(memory))]


def _targets_of(memory: Memory) -> list[str]:
    targets = memory.metadata.get("targets")
    return [str(each) for each in targets] if isinstance(targets, list) else []
