"""The public API: open the application, use it, lose the server under it, close it."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from mahavishnu import open_app
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable, UsageError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.migrate import HEAD
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.target import Target
from mahavishnu.memory.models import NewMemory
from tests.conftest import OpenWorld
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres


def settings(home: Path, **environment: str) -> object:
    environ = {
        "MAHAVISHNU_HOME": str(home), "HOME": str(home), "MAHAVISHNU_PG_IDLE_TIMEOUT": "0.5",
        "MAHAVISHNU_EMBEDDING_PROVIDER": "none", **environment,
    }  # fmt: skip
    return load_settings(environ=environ, folder=home)


async def test_open_store_search_and_sql_with_transactions(tmp_path: Path) -> None:
    async with open_app(settings(tmp_path)) as app:  # type: ignore[arg-type]
        stored = await app.memories.store(NewMemory(content="The daemon listens on port 8680."))
        result = await app.search("which port")
        assert result.hits[0].memory.id == stored.id
        assert result.degraded[0].part == "vector"
        async with app.connection() as connection:
            with pytest.raises(RuntimeError):
                async with connection.transaction():
                    await connection.execute("DELETE FROM memories")
                    raise RuntimeError("roll back")
            assert await connection.fetchval("SELECT count(*) FROM memories") == 1
        assert (await app.health()).revision is not None


async def test_two_applications_in_one_process(tmp_path: Path) -> None:
    async def use(text: str) -> None:
        async with open_app(settings(tmp_path)) as app:  # type: ignore[arg-type]
            await app.memories.store(NewMemory(content=text))

    await asyncio.gather(*(use(f"Text {n}.") for n in range(3)))
    async with open_app(settings(tmp_path)) as app:  # type: ignore[arg-type]
        assert (await app.memories.stats())[1]["live"] == 3


async def test_the_postmaster_dies_under_a_running_application(tmp_path: Path) -> None:
    async with open_app(settings(tmp_path)) as app:  # type: ignore[arg-type]
        stored = await app.memories.store(NewMemory(content="Acknowledged before the crash."))
        [found] = tmp_path.glob("data/postgres/**/postmaster.pid")
        postmaster = int(found.read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        assert (await app.memories.get(stored.id)).content.startswith("Acknowledged")
        assert (await app.memories.store(NewMemory(content="After it."))).created


async def test_a_call_that_cannot_be_is_refused_by_type(tmp_path: Path) -> None:
    for size in (0, -3):
        with pytest.raises(UsageError) as caught:
            async with open_app(settings(tmp_path), pool_size=size):  # type: ignore[arg-type]
                pass
        assert caught.value.code == "input.pool_size"
    assert not (tmp_path / "data").exists()
    loaded = load_settings(environ={"HOME": str(tmp_path), "MAHAVISHNU_HOME": str(tmp_path)},
                           folder=str(tmp_path))  # fmt: skip
    async with open_app(loaded, embedder=FakeEmbedder()) as app:
        await app.memories.store(NewMemory(content="Kept."))
    for late in (lambda: app.search("kept"), app.health, app.memories.count_waiting):
        with pytest.raises(UsageError) as caught:
            await late()  # type: ignore[operator]
        assert caught.value.code == "usage.closed" and "async with" in (caught.value.hint or "")


async def test_a_switched_off_memory_says_so(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mahavishnu.yaml").write_text("memory_service: {enabled: false}\n")
    with pytest.raises(Unavailable) as caught:
        async with open_app(settings(tmp_path)):  # type: ignore[arg-type]
            pass
    assert caught.value.code == "database.disabled"


async def test_an_uninitialised_server_of_ones_own_is_refused(
    tmp_path: Path, target: Target, admin: asyncpg.Connection
) -> None:
    bare = target.url.replace("/test_", "/bare_test_")
    name = bare.partition("@/")[2].partition("?")[0]
    await admin.execute(f"CREATE DATABASE {name} OWNER mahavishnu")
    try:
        with pytest.raises(Conflict) as caught:
            async with open_app(settings(tmp_path, MAHAVISHNU_PG_DSN=bare)):  # type: ignore[arg-type]
                pass
        assert caught.value.code == "database.not_initialised"
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_slow_statement_is_cut(target: Target) -> None:
    async with Database(target, size=1, statement_timeout=timedelta(seconds=1)) as database:
        with pytest.raises(Unavailable) as caught:
            await database.run(lambda c: c.fetchval("SELECT pg_sleep(600)"))
        assert caught.value.code == "database.timeout"
        assert await database.run(lambda c: c.fetchval("SELECT 1")) == 1


async def test_a_server_that_hangs_is_not_waited_for_without_an_end(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mahavishnu.database.pool.SILENCE_S", 0.3)

    async def hang(connection: Connection) -> None:
        await connection.execute("SET statement_timeout = 0")  # the server itself cuts nothing
        await connection.execute("SELECT pg_sleep(600)")

    async with Database(target, size=1, statement_timeout=timedelta(seconds=1)) as database:
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable) as caught:
                await database.run(hang)
        assert caught.value.code == "database.timeout"
        assert await database.run(lambda c: c.fetchval("SELECT 1")) == 1


async def test_session_settings_of_a_borrower_do_not_leak(target: Target) -> None:
    async with Database(target, size=1, statement_timeout=timedelta(seconds=30)) as database:
        async with database.connection() as connection:
            await connection.execute("SET statement_timeout = '123ms'")
        async with database.connection() as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "30s"


async def test_every_driver_error_leaves_as_ours(target: Target) -> None:
    async with Database(target, size=1, statement_timeout=timedelta(seconds=5)) as database:
        for statement in ("SELEC 1", "SELECT 1/0", "SELECT * FROM nowhere", "SELECT 'x'::int"):
            with pytest.raises(MahavishnuError):
                await database.run(lambda c, sql=statement: c.fetch(sql))  # type: ignore[misc]


async def test_a_thousand_outstanding_calls_share_the_pool(open_world: OpenWorld) -> None:
    async with open_world(size=5) as world:
        stored = await world.memories.store_batch(
            [NewMemory(content=f"Fact {n} about item{n}.") for n in range(50)]
        )
        answers = await asyncio.gather(
            *(world.retriever.search(_text(f"item{n % 50}")) for n in range(1000))
        )
        for n, answer in enumerate(answers):
            assert answer.hits[0].memory.id == stored[n % 50].id


def test_the_guard_catches_a_test_that_reaches_for_the_real_home(tmp_path: Path) -> None:
    probe = tmp_path / "test_probe.py"
    probe.write_text(
        "import os, pwd, pytest\n"
        "from tests.conftest import RealHomeTouched\n"
        "def test_it():\n"
        "    home = pwd.getpwuid(os.getuid()).pw_dir\n"
        "    with pytest.raises(RealHomeTouched):\n"
        "        open(os.path.join(home, '.codex', 'auth.json'))\n"
        "    with pytest.raises(RealHomeTouched):\n"
        "        os.listdir(os.path.join(home, '.claude'))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c",
         str(root / "pyproject.toml"), "--rootdir", str(root), "--confcutdir", str(root),
         "-p", "tests.conftest", str(probe)],
        cwd=root, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def _text(query: str) -> object:
    from mahavishnu.memory.search import SearchRequest

    return SearchRequest(query=query, mode="text", limit=1)


async def test_a_borrowers_own_errors_are_left_alone(target: Target) -> None:
    async with Database(target, size=1, statement_timeout=timedelta(seconds=5)) as database:
        for error in (FileNotFoundError("theirs"), TimeoutError("theirs"), ValueError("theirs")):
            with pytest.raises(type(error), match="theirs"):
                async with database.connection():
                    raise error
        with pytest.raises(MahavishnuError) as caught:
            async with database.connection() as connection:
                await connection.execute("SELEC 1")
        assert caught.value.code == "database.statement"
        assert await database.run(lambda c: c.fetchval("SELECT 1")) == 1


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM nowhere", "database.statement"),
        ("SELECT nothing FROM memories", "database.statement"),
        ("SELECT NULL::nothing", "database.statement"),
        ("CREATE TABLE memories ()", "database.statement"),
        (f"INSERT INTO alembic_version VALUES ('{HEAD}')", "database.error"),
    ],
)
async def test_what_a_borrowers_sql_lacks_is_not_our_schema(
    target: Target, statement: str, code: str
) -> None:
    async with Database(target, size=1, statement_timeout=timedelta(seconds=5)) as database:
        with pytest.raises(MahavishnuError) as caught:
            async with database.connection() as connection:
                await connection.execute(statement)
        assert caught.value.code == code and "__cause__" in (caught.value.hint or "")
        with pytest.raises(Conflict) as own:
            await database.run(lambda c: c.fetch("SELECT * FROM nowhere"))
        assert own.value.code == "database.not_initialised"
