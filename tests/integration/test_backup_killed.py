"""Commands on backups that are killed: the database is the old or the new one, and no set is half there."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from mahavishnu.base.errors import Conflict
from mahavishnu.database.backup.verify import list_sets
from mahavishnu.memory.models import NewMemory
from tests.conftest import Cluster, World
from tests.support.backups import Bench, bench_of, server_in

pytestmark = pytest.mark.postgres
SEED = 28
KILLS = 6  # of each command; a restore takes half a second
PATIENCE_S = 120.0


@asynccontextmanager
async def killer(
    cluster: Cluster, database: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield the program that runs commands and kills them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.backup_killed", str(cluster.socket_folder), database, str(folder),
        cwd=Path(__file__).parents[2], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": ""},
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, action: str, step: int) -> list[str]:
    assert process.stdin and process.stdout
    process.stdin.write(f"{action} {step}\n".encode())
    return (await process.stdout.readline()).decode().split()


async def drill_when_free(bench: Bench) -> None:
    """Prove the first set, as soon as the server has noticed the end of a killed command."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bench.drill(bench.storage.find()[0])
                return
            except Conflict as error:
                if error.code != "backup.restoring":
                    raise


async def test_a_killed_command_leaves_the_old_or_the_new(
    cluster: Cluster, database_name: str, admin: asyncpg.Connection, world: World, tmp_path: Path
) -> None:
    bench = bench_of(world.database, server_in(cluster, database_name), tmp_path)
    await world.memories.store(NewMemory(content="In the backup."))
    await bench.create()
    await world.memories.store(NewMemory(content="After it."))
    known = "SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1"

    async def count() -> int:
        async with bench.server.connect(database_name) as connection:
            return int(await connection.fetchval("SELECT count(*) FROM memories"))

    async with killer(cluster, database_name, tmp_path) as process, world.database.disconnected():
        chosen = random.Random(SEED)
        for action in ("create", "restore"):
            how, steps = await ask(process, action, 0)
            assert how == "ended"
            for step in sorted(chosen.sample(range(1, int(steps) + 1), KILLS)):
                assert await ask(process, action, step) == ["killed"], (action, step)
                assert await count() in (1, 2), (action, step)
                assert all(each.problem is None for each in list_sets(bench.storage)), (
                    action,
                    step,
                )
                assert not any(each.active for each in bench.storage.find_unfinished())
        await drill_when_free(bench)
        left = [row["datname"] for row in await admin.fetch(known, f"{database_name}_")]
        assert left == [bench.server.kept]  # the restores of which none was lost
        assert {await count(), await kept_count(bench)} <= {1, 2}
    bench.storage.clean()
    assert {path.name for path in bench.storage.root.iterdir()} == {
        "lock", *(each.name for each in bench.storage.find()),
    }  # fmt: skip
    await admin.execute(f'DROP DATABASE "{bench.server.kept}" WITH (FORCE)')


async def kept_count(bench: Bench) -> int:
    async with bench.server.connect(bench.server.kept) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM memories"))
