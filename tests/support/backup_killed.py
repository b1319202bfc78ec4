"""
Make or restore a backup in a process that is killed before its n-th step.

A step is a statement of SQL, a connection, a program that starts, or what is asked of the system about files.
Run as a program, because it forks: reads lines of an action and a step, answers `killed`, or `ended` and how
many steps there were.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from mahavishnu.base.errors import Conflict
from mahavishnu.database.pool import Database
from mahavishnu.database.target import target_of_dsn
from tests.conftest import Cluster
from tests.support.backups import Bench, bench_of, server_in

PATIENCE_S = 120.0
STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock", "socket.connect", "subprocess.Popen"}
)  # fmt: skip


async def act(cluster: Cluster, database: str, folder: Path, action: str) -> None:
    """Make a set, or restore the first one."""
    target, timeout = target_of_dsn(cluster.dsn(database)), timedelta(seconds=30)
    async with Database(target, size=1, statement_timeout=timeout) as opened:
        bench: Bench = bench_of(opened, server_in(cluster, database), folder)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if action == "create":
                        await bench.create()
                    else:
                        await bench.restore(bench.storage.find()[0])
                    return
                except Conflict:  # the server has not noticed yet that the one before was killed
                    await asyncio.sleep(0.1)


def run_child(cluster: Cluster, database: str, folder: Path, action: str, step: int) -> int:
    """Do it, and die before a step; returns how many there were."""
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def execute(self: Any, *words: Any, **options: Any) -> Any:
        count()
        return statement(self, *words, **options)

    statement = asyncpg.Connection.execute
    asyncpg.Connection.execute = execute
    sys.addaudithook(lambda event, _: count() if event in STEPS else None)
    asyncio.run(act(cluster, database, folder, action))
    return done


def main(sockets: str, database: str, folder: str) -> None:
    """Answer each line of stdin."""
    for line in sys.stdin:
        action, step = line.split()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            done = run_child(Cluster(Path(sockets), ""), database, Path(folder), action, int(step))
            os.write(write, str(done).encode())
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        steps = os.read(read, 100).decode()
        os.close(read)
        print("killed" if killed else f"ended {steps}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
