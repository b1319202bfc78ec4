"""Behind Debian's PgBouncer in transaction mode: everything works, and nothing leaks to others."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.support.command import Command
from tests.support.external import ExternalServer, demoted, free_port, newest_binaries, served
from tests.support.missing_programs import skip_or_fail
from tests.support.peers.debian import NotFetched, fetch
from tests.support.weights import GRAPH_SHA256, packaged_model

pytestmark = pytest.mark.peer

SERVER_CONNECTIONS = 3  # that the pooler opens; far fewer than its clients want

# A process with a pool of its own: stores and searches many times at once.
WORKER = """
import asyncio, json, sys
from mahavishnu.app import open_app
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.search import SearchRequest

async def main(name):
    async with open_app(pool_size=10) as app:
        async def work(number):
            stored = await app.memories.store(NewMemory(content=f"{name} fact {number}.", project=name))
            await app.search(SearchRequest(query=f"fact {number}", mode="text"))
            found = await app.memories.get(stored.id)
            return found.content
        print(json.dumps(await asyncio.gather(*(work(n) for n in range(60)))))

asyncio.run(main(sys.argv[1]))
"""


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer in front of a server."""

    server: ExternalServer
    port: int

    def dsn(self, database: str) -> str:
        """Return the address through the pooler."""
        return self.server.dsn(database).replace(f":{self.server.port}/", f":{self.port}/")


@pytest.fixture(scope="module")
def pooler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooler]:
    """A server with a PgBouncer in front of it."""
    try:
        program, environment = fetch("pgbouncer", "usr/sbin/pgbouncer")
    except NotFetched as error:
        skip_or_fail(f"PgBouncer is not here: {error}")
    folder = tmp_path_factory.mktemp("pooler")
    with served(ExternalServer(newest_binaries(), folder / "server")) as server:
        port = free_port()
        (folder / "users.txt").write_text(f'"postgres" "{server.secret}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 200
"""
        )
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [program, "pgbouncer.ini"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=demoted(),
            )
        try:
            until = time.monotonic() + 60
            while "process up" not in (folder / "log").read_text():
                assert process.poll() is None and time.monotonic() < until, (
                    folder / "log"
                ).read_text()
                time.sleep(0.02)
            yield Pooler(server, port)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture
async def behind(pooler: Pooler, tmp_path: Path) -> Command:
    """The command, behind the pooler, in a database of the test's own; with real vectors."""
    name = f"d_{os.urandom(5).hex()}"
    await pooler.server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    command = Command(
        tmp_path,
        {
            "MAHAVISHNU_PG_DSN": pooler.dsn(name),
            "MAHAVISHNU_PG_DIRECT_DSN": pooler.server.dsn(name),
        },
    )
    assert command("db", "init", "--json").json["current"]
    return command


async def seen_by_others(dsn: str) -> set[tuple[str, ...]]:
    """Return what other clients of the pooler find on each of its server connections."""

    async def look() -> tuple[str, ...]:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_sleep(0.1)")  # so that each takes another one
                row = await connection.fetchrow(
                    "SELECT current_setting('statement_timeout'), "
                    "current_setting('plan_cache_mode'), "
                    "coalesce(nullif(current_setting('hnsw.ef_search', true), ''), '40'), "
                    "(SELECT count(*)::text FROM pg_prepared_statements WHERE name <> ''), "
                    "(SELECT count(*)::text FROM pg_class WHERE relpersistence = 't')"
                )
                return tuple(row)
        finally:
            await connection.close()

    return set(await asyncio.gather(*(look() for _ in range(SERVER_CONNECTIONS))))


@pytest.mark.verifies("PgBouncer in transaction mode")
async def test_everything_works_through_the_pooler(behind: Command, tmp_path: Path) -> None:
    behind("model", "import", packaged_model(tmp_path / "source"), "--sha256", GRAPH_SHA256)
    one = behind("memory", "store", "The zebra crossed the viaduct.", "--json").json
    assert one["created"] and one["embedded"]
    folder = tmp_path / "documents"
    folder.mkdir()
    sections = (f"# Section {number}\n\nThe pool number {number}." for number in range(200))
    (folder / "a.md").write_text("\n\n".join(sections))
    imported = behind("memory", "import", "markdown", folder, "--project", "p", "--json").json
    assert (imported["stored"], imported["waiting"]) == (200, 0)
    for mode in ("hybrid", "vector", "text"):
        found = behind("memory", "search", "zebra on a viaduct", "--mode", mode, "--json").json
        assert found["degraded"] == [] and found["hits"][0]["id"] == one["id"]
    new = behind("memory", "supersede", one["id"], "The zebra slept.", "--json").json
    assert behind("memory", "forget", new["id"], "--json").json["count"] == 2
    gone = behind("memory", "forget", "--project", "p", "--yes", "--json").json
    assert gone["count"] == 200
    assert behind("memory", "stats", "--json").json["totals"]["live"] == 0
    assert behind("db", "current", "--json").json["current"]
    dsn = behind.environment["MAHAVISHNU_PG_DSN"]
    assert await seen_by_others(dsn) == {("0", "auto", "40", "0", "0")}


async def test_a_pooler_without_the_direct_address_is_named(pooler: Pooler, tmp_path: Path) -> None:
    name = f"d_{os.urandom(5).hex()}"
    await pooler.server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    command = Command(tmp_path, {"MAHAVISHNU_PG_DSN": pooler.dsn(name)})
    for words in (("db", "init"), ("db", "upgrade"), ("memory", "store", "x")):
        refused = command(*words, "--json")
        assert (refused.status, refused.error["code"]) == (2, "database.pooler"), words
        assert "MAHAVISHNU_PG_DIRECT_DSN" in refused.error["hint"]
    # No lock was left in the pooler, on which the right way would wait.
    direct = {"MAHAVISHNU_PG_DIRECT_DSN": pooler.server.dsn(name)}
    assert command("db", "init", "--json", **direct).json["current"]
    wrong = command("db", "upgrade", "--json", MAHAVISHNU_PG_DIRECT_DSN=pooler.dsn(name))
    assert wrong.error["code"] == "database.pooler"


async def test_more_clients_than_server_connections(behind: Command) -> None:
    async def work(name: str) -> None:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WORKER, name),
            env=behind.environ({"MAHAVISHNU_EMBEDDING_PROVIDER": "none"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await worker.communicate()
        assert worker.returncode == 0, err.decode()
        assert json.loads(out) == [f"{name} fact {number}." for number in range(60)]

    await asyncio.gather(work("one"), work("two"))
    totals = behind("memory", "stats", "--json").json["totals"]
    assert totals["live"] == 120
    dsn = behind.environment["MAHAVISHNU_PG_DSN"]
    assert await seen_by_others(dsn) == {("0", "auto", "40", "0", "0")}


async def test_a_statement_that_takes_too_long_is_cut(behind: Command) -> None:
    quick = {"MAHAVISHNU_PG_STATEMENT_TIMEOUT": "3", "MAHAVISHNU_EMBEDDING_PROVIDER": "none"}
    blocking = await asyncpg.connect(behind.environment["MAHAVISHNU_PG_DIRECT_DSN"])
    try:
        async with blocking.transaction():
            await blocking.execute("LOCK TABLE memories IN ACCESS EXCLUSIVE MODE")
            refused = behind("memory", "list", "--json", **quick)
            kept = behind("memory", "store", "x", "--json", **quick).json
    finally:
        await blocking.close()
    assert refused.status == 5 and refused.error["code"] == "database.timeout"
    assert kept["locations"] == ["spool"]
    assert behind("memory", "show", kept["id"], "--json", **quick).json["content"] == "x"


def test_the_password_is_in_no_answer(behind: Command, pooler: Pooler) -> None:
    for words in (("db", "current"), ("db", "url"), ("config", "show"), ("memory", "list")):
        answer = behind("--set", "log_level=debug", *words)
        assert answer.status == 0
        assert pooler.server.secret not in answer.out + answer.err
