"""Commands on backups that are killed: the database is the old or the new one, and no set is half there."""

import asyncio
import contextlib
import os
import random
import select
import signal
import subprocess
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


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux kills what a killed process started"
)
def test_the_programs_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    program = tmp_path / "pg_restore"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    run = (
        "import sys, pathlib; from mahavishnu.database.backup.programs import Programs\n"
        "with Programs(pathlib.Path(sys.argv[1]), 17).read_archive() as running:\n"
        "    print(running.process.pid, flush=True); running.process.wait()"
    )
    words = [sys.executable, "-c", run, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        started = int(command.stdout.readline())
        watched = os.pidfd_open(started)
        try:
            command.kill()
            ended, _, _ = select.select([watched], [], [], PATIENCE_S)
            assert ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(watched, signal.SIGKILL)
            os.close(watched)


async def kept_count(bench: Bench) -> int:
    async with bench.server.connect(bench.server.kept) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM memories"))
