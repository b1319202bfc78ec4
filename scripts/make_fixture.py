"""
Write `tests/fixtures/<revision>.sql`: a small filled database of the newest revision.

Run once when a revision is new; later revisions must migrate it. Needs no server: it starts the
embedded one in a temporary folder.
"""

import asyncio
import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mahavishnu.base.identifiers import new_id
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.embedded.server import EmbeddedServer
from mahavishnu.database.migrate import HEAD, upgrade
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.target import target_of_socket
from mahavishnu.embedding.choose import Choice
from mahavishnu.memory.conversations import Conversations, NewTurn
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import Metric, NewExecution, Records
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore
from tests.support.fakes import FakeEmbedder

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
MOMENT = datetime(2025, 6, 1, 12, tzinfo=UTC)


async def fill(database: Database) -> None:
    """Store one of everything."""

    async def choose(_: object) -> Choice:
        return Choice(FakeEmbedder(), "The fake one.")

    scopes = Scopes(database)
    memories = MemoryStore(database, EmbeddingSpace(database, choose), scopes)
    old = await memories.store(
        NewMemory(content="Port 8000 is used.", project="alpha", occurred_at=MOMENT)
    )
    await memories.supersede(old.id, "Port 8680 is used.")
    await memories.store(
        NewMemory(content="# Keeper\nIt stops the server.", collection="document", path="README.md")
    )
    await Conversations(database, memories, scopes).record(
        [
            NewTurn(
                session_id="s", position=0, role="user", content="Hello?", occurred_at=MOMENT,
                metadata={"tokens": 2}, branch="main", model="m", profile="p",
            )
        ]
    )  # fmt: skip
    records = Records(database, memories, scopes)
    await records.record_metric(
        Metric(source="tests", name="health", text="healthy", figures={"latency_ms": 1.5},
               recorded_at=MOMENT)
    )  # fmt: skip
    await records.record_metric(
        Metric(source="tests", name="latency", value=1.5, unit="ms", recorded_at=MOMENT)
    )
    await records.record_execution(
        NewExecution(
            execution_id="e", workflow_id="w", adapter="tests", status="completed",
            started_at=MOMENT, finished_at=MOMENT + timedelta(seconds=3), metadata={"host": "here"},
        )
    )  # fmt: skip
    aliases = load_queries("spool")["put_aliases"]
    await database.run(lambda c: c.execute(aliases, [new_id()], [old.id]))
    queries = load_queries("repositories")
    for name in ("alpha", "beta"):
        values = (await scopes.own_project(name), name, f"/srv/{name}", ["src/**"], [])
        await database.run(lambda c, v=values: c.execute(queries["put_repository"], *v))
    alpha = await scopes.own_project("alpha")
    await database.run(lambda c: c.execute(queries["add_groups"], alpha, ["backend"]))
    await database.run(lambda c: c.execute(queries["add_dependencies"], alpha, ["beta"]))
    outbox = load_queries("outbox")
    await database.run(lambda c: c.execute(outbox["add_target"], "mirror"))
    letter = "mirror", old.id, 1, 8, "tests.odd", "It is too odd."
    await database.run(lambda c: c.execute(outbox["bury"], *letter))


async def main() -> None:
    """Start, migrate, fill, dump."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", idle_timeout=timedelta(seconds=1))
        async with await server.acquire() as lease:
            target = target_of_socket(str(lease.socket_folder))
            await upgrade(target)
            async with Database(
                target, size=2, statement_timeout=timedelta(seconds=30)
            ) as database:
                await fill(database)
            dump = subprocess.run(  # noqa: ASYNC221
                [find_binaries(None).require("pg_dump"), "--inserts", "--no-comments",
                 "--exclude-extension=*", "--enable-row-security", "-h", str(lease.socket_folder),
                 "-U", "postgres", "mahavishnu"],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
    kept = [
        line for line in dump.splitlines() if not re.match(r"\\(un)?restrict |-- Dumped ", line)
    ]
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / f"{HEAD}.sql").write_text("\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
