"""The embedded PostgreSQL with real processes: many users, sudden deaths, bad surroundings."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mahavishnu.app import open_app
from mahavishnu.base.errors import Conflict, Forbidden, MahavishnuError, Unavailable, UsageError
from mahavishnu.base.processes import ProcessIdentity
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.embedded.cluster import VECTOR_RECORD
from mahavishnu.database.embedded.server import KEEPER, EmbeddedServer, Lease, ProgressTimeout
from mahavishnu.database.embedded.server_log import bound_log
from mahavishnu.database.embedded.state import SOCKET, KeeperRecord, Layout, PostmasterFile
from mahavishnu.memory.models import NewMemory

pytestmark = pytest.mark.postgres

ROOT = os.geteuid() == 0
IDLE = timedelta(seconds=0.5)
PACKAGE_ROOT = str(KEEPER.parents[3])
CANARY = "canary-7f3a"

# A user in a process of its own: acquires, says what it reached, and stays until its input ends.
USER = """
import asyncio, json, sys
from datetime import timedelta
from pathlib import Path
import asyncpg
from mahavishnu.database.embedded.server import EmbeddedServer

async def main():
    server = EmbeddedServer(Path(sys.argv[1]), idle_timeout=timedelta(seconds=0.5))
    async with await server.acquire() as lease:
        connection = await asyncpg.connect(
            host=str(lease.socket_folder), port=5432, user="mahavishnu", database="mahavishnu"
        )
        started = await connection.fetchval("SELECT pg_postmaster_start_time()::text")
        print(json.dumps([started, str(lease.socket_folder)]), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await connection.close()

asyncio.run(main())
"""


class Watched:
    """A folder for one server, and every process that was seen to serve it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder)
        self.seen: set[ProcessIdentity] = set()
        self.sockets: set[Path] = set()

    def server(
        self, *options: str, idle: timedelta = IDLE, restarted: Callable[[], None] = lambda: None
    ) -> EmbeddedServer:
        return EmbeddedServer(
            self.folder, idle_timeout=idle, keeper_options=options, restarted=restarted
        )

    @property
    def record(self) -> KeeperRecord:
        found = KeeperRecord.read(self.layout.keeper_lock)
        assert found
        self.seen |= {found.keeper, *([found.postmaster] if found.postmaster else [])}
        return found

    @property
    def postmaster(self) -> ProcessIdentity:
        owned = self.record.postmaster
        assert owned
        if (found := PostmasterFile.read(self.layout.cluster)) is not None:
            self.sockets.add(found.socket_folder)
        return owned

    @property
    def survivors(self) -> list[ProcessIdentity]:
        if self.layout.keeper_lock.exists() and KeeperRecord.read(self.layout.keeper_lock):
            assert self.record
        return [process for process in self.seen if process.alive]


@pytest.fixture
def unmade(tmp_path: Path) -> Iterator[Watched]:
    """A folder to be, whose processes must all end by themselves."""
    watched = Watched(tmp_path / "data/postgres")
    yield watched
    ended = wait_until(lambda: not watched.survivors)
    left = watched.survivors
    for process in left:
        os.kill(process.pid, signal.SIGKILL)
    assert ended, f"left running: {left}"
    assert not [folder for folder in watched.sockets if folder.exists()]


@pytest.fixture
def watched(unmade: Watched, place: Callable[[Path], None]) -> Watched:
    """The same with a cluster that was made before."""
    place(unmade.folder)
    return unmade


@pytest.fixture
async def lease(watched: Watched) -> AsyncIterator[Lease]:
    async with await watched.server().acquire() as lease:
        assert watched.postmaster.alive
        yield lease


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@contextlib.asynccontextmanager
async def connected(lease: Lease, user: str = "mahavishnu") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        host=str(lease.socket_folder), port=5432, user=user, database="mahavishnu"
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=60)


async def store(lease: Lease, text: str) -> None:
    async with connected(lease) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (text text UNIQUE)")
        await connection.execute("INSERT INTO kept VALUES ($1)", text)


async def stored(lease: Lease) -> list[str]:
    async with connected(lease) as connection:
        return [row["text"] for row in await connection.fetch("SELECT text FROM kept")]


class User:
    """A user process; `killed` ends it with -9."""

    def __init__(self, folder: Path, preexec: Callable[[], None] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            env={**os.environ, "PYTHONPATH": PACKAGE_ROOT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=preexec,
        )

    def reached(self) -> list[str]:
        assert self.process.stdout
        found: list[str] = json.loads(self.process.stdout.readline())
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> int:
        self.process.communicate()
        return self.process.returncode


@contextlib.contextmanager
def users(folder: Path, count: int) -> Iterator[list[User]]:
    started = [User(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for user in started:
            user.kill()


@pytest.mark.verifies("embedded PostgreSQL")
async def test_a_new_database_is_ready_for_its_owner_and_for_nobody_else(unmade: Watched) -> None:
    async with await unmade.server().acquire() as lease, connected(lease) as connection:
        assert unmade.postmaster.alive
        facts = await connection.fetchrow(
            """SELECT current_setting('is_superuser') AS superuser,
                      current_setting('data_checksums') AS checksums,
                      current_setting('fsync') AS fsync,
                      current_setting('listen_addresses') AS addresses,
                      (SELECT extname FROM pg_extension WHERE extname = 'vector') AS vector"""
        )
        assert tuple(facts) == ("off", "on", "on", "", "vector")
        await connection.execute("CREATE TABLE v (v halfvec(3))")
        words = await connection.fetchval("SELECT to_tsvector('simple', 'GRÖSSE—now')::text")
        assert words == "'größe':1 'now':2" or words == "'grösse':1 'now':2"
        assert lease.socket_folder.stat().st_mode & 0o777 == 0o700


async def test_one_postmaster_serves_all_who_come_at_once(watched: Watched) -> None:
    with users(watched.folder, 4) as all_of_them:
        reached = [tuple(user.reached()) for user in all_of_them]
        assert len(set(reached)) == 1
        assert watched.postmaster.alive


async def test_users_that_are_killed_leave_no_server(watched: Watched) -> None:
    with users(watched.folder, 3) as three:
        for user in three:
            user.reached()
        for user in three[:2]:
            user.kill()
        await asyncio.sleep(IDLE.total_seconds() + 1)
        assert watched.postmaster.alive
        three[2].kill()
    assert wait_until(lambda: not watched.survivors)


@pytest.mark.parametrize("option", [(), ("--watch",)], ids=["parent-death signal", "watcher"])
async def test_a_killed_keeper_takes_the_server_along(
    watched: Watched, option: tuple[str, ...]
) -> None:
    server = watched.server(*option)
    async with await server.acquire() as lease:
        await store(lease, "kept")
        first = watched.postmaster
        os.kill(watched.record.keeper.pid, signal.SIGKILL)
        assert wait_until(lambda: not first.alive)
        await server.ensure()
        assert watched.postmaster not in {None, first}
        assert await stored(lease) == ["kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the watcher in /proc")
async def test_a_new_keeper_adopts_the_server_of_a_killed_one(watched: Watched) -> None:
    server = watched.server("--watch")
    async with await server.acquire() as lease:
        await store(lease, "kept")
        first, keeper = watched.postmaster, watched.record.keeper
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
        for pid in {*map(int, children)} - {first.pid}:
            os.kill(pid, signal.SIGKILL)
        os.kill(keeper.pid, signal.SIGKILL)
        assert wait_until(lambda: not keeper.alive)
        await server.ensure()
        assert watched.postmaster == first
        assert watched.record.keeper != keeper
        assert await stored(lease) == ["kept"]


async def test_a_killed_postmaster_is_restarted_with_every_acknowledged_row(
    watched: Watched,
) -> None:
    restarts: list[None] = []
    server = watched.server(restarted=lambda: restarts.append(None))
    async with await server.acquire() as lease:
        await store(lease, "first")
        await store(lease, "second")
        await server.ensure()
        assert not restarts, "it runs"
        async with connected(lease) as busy:
            # A server process that does not notice: it would keep the shared memory for long.
            endless = "SELECT count(*) FROM generate_series(1, 100000000000)"
            task = asyncio.create_task(busy.execute(endless))
            await asyncio.sleep(0.2)
            first = watched.postmaster
            os.kill(first.pid, signal.SIGKILL)
            assert wait_until(lambda: not first.alive)
            await asyncio.gather(*(server.ensure() for _ in range(5)))
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await task
        assert watched.postmaster != first
        assert len(restarts) == 1, "it is told once"
        assert await stored(lease) == ["first", "second"]


async def test_a_killed_server_process_takes_the_server_down_and_a_new_one_comes(
    watched: Watched,
) -> None:
    server = watched.server()
    async with await server.acquire() as lease:
        await store(lease, "kept")
        first = watched.postmaster
        async with connected(lease) as busy:
            task = asyncio.create_task(busy.execute("SELECT pg_sleep(1000)"))
            await asyncio.sleep(0.2)
            os.kill(busy.get_server_pid(), signal.SIGKILL)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await task
        assert wait_until(lambda: not first.alive)
        await server.ensure()
        assert watched.postmaster != first
        assert await stored(lease) == ["kept"]


@pytest.mark.parametrize("first_use", [True, False])
@pytest.mark.parametrize("victim", ["postmaster", "keeper"])
async def test_an_application_opens_though_the_server_dies_at_that_moment(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, victim: str, first_use: bool
) -> None:
    class Dying(EmbeddedServer):
        """A server that is killed as soon as it was acquired."""

        async def acquire(self, **options: Any) -> Lease:
            lease = await super().acquire(**options)
            killed = watched.postmaster
            os.kill((watched.record.keeper if victim == "keeper" else killed).pid, signal.SIGKILL)
            assert wait_until(lambda: not killed.alive)
            return lease

    home = {"MAHAVISHNU_HOME": str(watched.folder.parents[1]), "MAHAVISHNU_PG_IDLE_TIMEOUT": "0.5"}
    loaded = load_settings(environ={**home, "MAHAVISHNU_EMBEDDING_PROVIDER": "none"})
    assert loaded.locations.postgres == watched.folder
    if not first_use:
        async with open_app(loaded):
            pass
    monkeypatch.setattr("mahavishnu.app.EmbeddedServer", Dying)
    async with open_app(loaded) as app:
        assert watched.postmaster.alive
        assert (await app.memories.store(NewMemory(content="Kept."))).created


async def test_a_keeper_that_is_told_to_end_stops_the_server_cleanly(watched: Watched) -> None:
    server = watched.server()
    async with await server.acquire() as lease:
        await store(lease, "kept")
        keeper = watched.record.keeper
        os.kill(keeper.pid, signal.SIGTERM)
        await server.ensure()
        assert wait_until(lambda: not keeper.alive)
        await server.ensure()
        assert await stored(lease) == ["kept"]
    assert "not properly shut down" not in watched.layout.server_log.read_text()


async def test_who_comes_while_the_server_stops_gets_a_fresh_one(watched: Watched) -> None:
    server = watched.server(idle=timedelta(seconds=0.3))
    met: set[ProcessIdentity] = set()
    turn = 0
    while turn < 8 or len(met) == 1:  # a busy keeper needs longer to stop it than it is left alone
        async with await server.acquire() as lease, connected(lease) as connection:
            assert await connection.fetchval("SELECT 1") == 1
            met.add(watched.postmaster)
        await asyncio.sleep(0.3 + 0.05 * turn)
        turn += 1


async def test_a_keeper_killed_during_initdb_leaves_nothing_in_the_way(unmade: Watched) -> None:
    server = unmade.server()
    acquiring = asyncio.create_task(server.acquire())
    half: list[Path] = []
    while not half:
        await asyncio.sleep(0.005)
        half = list(unmade.folder.glob("cluster.new-*/base"))
    os.kill(unmade.record.keeper.pid, signal.SIGKILL)
    assert not unmade.layout.cluster.exists()
    async with await acquiring as lease:
        await store(lease, "kept")
        assert unmade.postmaster.alive
        assert await stored(lease) == ["kept"]
    assert not list(unmade.folder.glob("cluster.new-*"))


async def test_a_stale_pid_file_that_names_a_living_process_does_not_deceive(
    watched: Watched,
) -> None:
    server = watched.server()
    async with await server.acquire() as lease:
        await store(lease, "kept")
        first, keeper = watched.postmaster, watched.record.keeper
        pid_file = watched.layout.cluster / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        for process in (keeper, first):
            os.kill(process.pid, signal.SIGKILL)
        assert wait_until(lambda: not first.alive and not keeper.alive)
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        async with await server.acquire() as lease:
            assert watched.postmaster.pid != stranger.pid
            assert await stored(lease) == ["kept"]
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


@pytest.mark.parametrize("plant", ["symlink", "open folder"])
async def test_a_planted_socket_folder_is_refused(
    watched: Watched, tmp_path: Path, plant: str
) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire() as lease:
        folder = lease.socket_folder
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    assert not folder.exists()
    aside = tmp_path / "aside"
    aside.mkdir(mode=0o700)
    try:
        if plant == "symlink":
            folder.symlink_to(aside)
        else:
            folder.mkdir()
            folder.chmod(0o755)
        with pytest.raises(Forbidden) as caught:
            await server.acquire()
    finally:
        folder.unlink() if folder.is_symlink() else folder.rmdir()
    assert caught.value.code == "database.socket_folder"
    assert str(folder) in caught.value.message
    assert not list(aside.iterdir())
    async with await server.acquire():  # a failure is not held against the next start
        assert watched.postmaster.alive


@pytest.mark.parametrize("killed", ["keeper", "keeper and postmaster"])
async def test_the_next_keeper_removes_the_socket_folder_of_a_killed_one(
    watched: Watched, tmp_path: Path, killed: str
) -> None:
    async with await watched.server().acquire() as lease:
        left, first, keeper = lease.socket_folder, watched.postmaster, watched.record.keeper
    os.kill(keeper.pid, signal.SIGKILL)
    if killed != "keeper":
        os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: not first.alive)
    assert left.exists()  # nobody is left to remove it
    elsewhere = Watched(tmp_path / "elsewhere")
    async with await elsewhere.server(idle=timedelta(0)).acquire() as lease:
        assert elsewhere.postmaster.alive and lease.socket_folder.exists()
        assert not left.exists()
    assert wait_until(lambda: not elsewhere.survivors)


def clean_tmp(folder: Path, what: str) -> None:
    """Do what a cleaner of /tmp may do."""
    shutil.rmtree(folder) if what == "folder" else (folder / SOCKET).unlink()


@pytest.mark.parametrize("what", ["folder", "socket"])
async def test_a_server_whose_socket_was_removed_is_reachable_again(
    watched: Watched, what: str
) -> None:
    server = watched.server()
    async with await server.acquire() as lease:
        await store(lease, "kept")
        first = watched.postmaster
        clean_tmp(lease.socket_folder, what)
        async with await watched.server().acquire() as another:
            assert await stored(another) == ["kept"]
        assert watched.postmaster != first
        clean_tmp(lease.socket_folder, what)
        await server.ensure()
        assert await stored(lease) == ["kept"]
    assert "not properly shut down" not in watched.layout.server_log.read_text()


async def test_an_open_application_survives_a_cleaning_of_tmp(watched: Watched) -> None:
    home = {"MAHAVISHNU_HOME": str(watched.folder.parents[1]), "MAHAVISHNU_PG_IDLE_TIMEOUT": "0.5"}
    loaded = load_settings(environ={**home, "MAHAVISHNU_EMBEDDING_PROVIDER": "none"})
    async with open_app(loaded) as app:
        assert (await app.memories.store(NewMemory(content="Before."))).created
        first = watched.postmaster
        found = PostmasterFile.read(watched.layout.cluster)
        assert found
        shutil.rmtree(found.socket_folder)
        assert wait_until(lambda: not first.alive)
        assert (await app.memories.store(NewMemory(content="After."))).created
        assert watched.postmaster != first


async def test_a_folder_that_another_made_in_the_place_of_a_removed_one_is_refused(
    watched: Watched,
) -> None:
    async with await watched.server().acquire() as lease:
        first = watched.postmaster
        folder = lease.socket_folder
        shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
        try:
            assert wait_until(lambda: not watched.record.keeper.alive)
            assert not first.alive
            assert "database.socket_folder" in watched.layout.failure.read_text()
            assert not list(folder.iterdir())
        finally:
            folder.rmdir()


async def test_a_socket_that_only_others_can_see_is_named(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await watched.server().acquire():
        assert watched.postmaster.alive
        monkeypatch.setattr("mahavishnu.database.embedded.server.UNSEEN", timedelta(seconds=0.5))
        monkeypatch.setattr(PostmasterFile, "has_socket", False)
        with pytest.raises(Unavailable) as caught:
            await watched.server().acquire()
    assert caught.value.code == "database.socket_missing"


@pytest.mark.parametrize(
    "garbage",
    [b"garbage", b"", b"x" * 4096, b"[" * 200_000, b'{"keeper": ["a", 1], "postmaster": null}'],
    ids=["short", "empty", "long", "deep", "of another shape"],
)
async def test_a_damaged_record_is_written_again(watched: Watched, garbage: bytes) -> None:
    async with await watched.server().acquire() as lease:
        await store(lease, "kept")
        first, keeper = watched.postmaster, watched.record.keeper
        watched.layout.keeper_lock.write_bytes(garbage)
        async with await watched.server().acquire() as another:
            assert await stored(another) == ["kept"]
        assert (watched.postmaster, watched.record.keeper) == (first, keeper)


@pytest.mark.parametrize("what", ["removed", "replaced"])
async def test_a_lost_lock_file_leaves_one_keeper(watched: Watched, what: str) -> None:
    server = watched.server()
    async with await server.acquire() as lease:
        await store(lease, "kept")
        keeper, lock = watched.record.keeper, watched.layout.keeper_lock
        lock.rename(lock.with_name("aside"))
        if what == "replaced":
            lock.write_bytes(b"garbage")
        await server.ensure()
        assert wait_until(lambda: not keeper.alive)
        await server.ensure()
        assert watched.postmaster.alive
        assert await stored(lease) == ["kept"]


@pytest.mark.skipif(not ROOT, reason="only root changes its user")
@pytest.mark.verifies("Linux, root through a user namespace", "Linux, root through a capability")
async def test_root_can_run_the_server_with_one_capability_and_go_back(watched: Watched) -> None:
    cluster = watched.layout.cluster
    for mode, owner in (("capability", 65534), ("userns", 0)):
        server = watched.server("--privileges", mode, idle=timedelta(0))
        async with await server.acquire() as lease:
            await store(lease, mode)
            assert watched.postmaster.alive
            assert cluster.stat().st_uid == (cluster / "PG_VERSION").stat().st_uid == owner
            assert lease.socket_folder.stat().st_uid == watched.folder.stat().st_uid == 0
            assert Path(f"/proc/{watched.postmaster.pid}/stat").stat().st_uid in {0, 65534}
        assert wait_until(lambda: not watched.survivors)
    async with await watched.server().acquire() as lease:
        assert watched.postmaster.alive
        assert await stored(lease) == ["capability", "userns"]


@pytest.mark.skipif(not ROOT, reason="only root could take them")
async def test_root_does_not_take_the_files_of_a_user(watched: Watched) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire():
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    files = [watched.layout.cluster, *watched.layout.cluster.rglob("*")]
    for path in files:
        os.chown(path, 1500, 1500)
    with pytest.raises(Forbidden) as caught:
        await server.acquire()
    assert caught.value.code == "database.not_writable"
    assert {path.stat().st_uid for path in files if path.exists()} == {1500}


@pytest.mark.verifies("Linux, ordinary user")
async def test_an_ordinary_user_can_run_the_server() -> None:
    with tempfile.TemporaryDirectory(prefix="mahavishnu-test-") as home:
        folder = Path(home) / "postgres"
        user = User(folder, preexec=become_ordinary(Path(home)) if ROOT else None)
        watched = Watched(folder)
        assert user.reached()
        assert watched.postmaster.alive
        assert user.end() == 0
        assert wait_until(lambda: not watched.survivors)


def become_ordinary(home: Path) -> Callable[[], None]:
    """Return how a child of root becomes another user; in a namespace, if it could not read us."""
    nobody = 65534
    try:
        subprocess.run(
            [sys.executable, "-c", "import asyncpg, mahavishnu"],
            env={"PYTHONPATH": PACKAGE_ROOT},
            user=nobody,
            group=nobody,
            extra_groups=[],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        os.chown(home, nobody, nobody)
        readable = True
    except (PermissionError, subprocess.CalledProcessError):
        readable = False

    def leave_root() -> None:
        if readable:
            os.setgroups([])
            os.setgid(nobody)
            os.setuid(nobody)
        else:
            os.unshare(os.CLONE_NEWUSER)
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", "1000 0 1"),
                ("gid_map", "1000 0 1"),
            ):
                Path(f"/proc/self/{name}").write_text(text)

    return leave_root


async def test_a_cluster_of_another_major_version_is_left_alone(watched: Watched) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire():
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    (watched.layout.cluster / "PG_VERSION").write_text("14\n")
    with pytest.raises(Conflict) as caught:
        await server.acquire()
    assert caught.value.code == "database.cluster_version"
    assert "PostgreSQL 14" in caught.value.message
    assert caught.value.hint


async def test_newer_programs_bring_a_newer_extension(watched: Watched) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire():
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    recorded = watched.layout.cluster / VECTOR_RECORD
    current = recorded.read_text()
    recorded.write_text("0.0.1\n")
    async with await server.acquire() as lease, connected(lease, "postgres") as connection:
        assert watched.postmaster.alive
        query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        assert await connection.fetchval(query) == current.strip()
    assert recorded.read_text() == current


async def test_ten_programs_have_room_whatever_the_cluster_was_made_with(watched: Watched) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire():
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    with (watched.layout.cluster / "postgresql.conf").open("a") as stream:
        stream.write("max_connections = 20\n")  # the command line of a start outranks the file
    async with await server.acquire() as lease, contextlib.AsyncExitStack() as stack:
        assert watched.postmaster.alive
        for _ in range(110):  # ten pools of ten, and commands beside them
            await stack.enter_async_context(connected(lease))


@contextlib.contextmanager
def small_disk(watched: Watched, size_mb: int = 24) -> Iterator[None]:
    """Let little fit into the folder: a small file system, or else a limit on files."""
    folder = watched.folder
    folder.mkdir(parents=True)
    if not ROOT:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        wait_until(lambda: not watched.survivors)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_named_and_nothing_half_is_left(unmade: Watched) -> None:
    with small_disk(unmade):
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await unmade.server().acquire()
            assert caught.value.code == "database.disk_full"
            assert not list(unmade.folder.glob("cluster*"))
        if ROOT:
            room = os.statvfs(unmade.folder)
            with (unmade.folder / "ballast").open("wb") as ballast:
                with contextlib.suppress(OSError):
                    ballast.write(bytes(room.f_bavail * room.f_frsize))
                    ballast.flush()
                with pytest.raises(Unavailable) as caught:  # no room even for the reason
                    await unmade.server().acquire()
            assert caught.value.code == "database.disk_full"


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
async def test_a_server_that_died_is_started_again_with_little_room(
    unmade: Watched, place: Callable[[Path], None]
) -> None:
    with small_disk(unmade, 160):
        place(unmade.folder)
        server = unmade.server()
        async with await server.acquire() as lease:
            await store(lease, "kept")
            first = unmade.postmaster
            room = os.statvfs(unmade.folder)
            size = room.f_bavail * room.f_frsize - 2 * 1024 * 1024
            with (unmade.folder / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, size)
            os.kill(first.pid, signal.SIGKILL)
            assert wait_until(lambda: not first.alive)
            await server.ensure()
            assert unmade.postmaster != first
            assert await stored(lease) == ["kept"]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MahavishnuError) as caught:
        await EmbeddedServer(tmp_path / "file" / "postgres").acquire()
    assert caught.value.code == "settings.not_a_folder"


async def test_a_folder_that_postgresql_cannot_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        await EmbeddedServer(tmp_path / "two\nlines").acquire()
    assert caught.value.code == "database.folder_name" and caught.value.hint
    assert not list(tmp_path.iterdir())


async def test_a_server_that_never_starts_says_why(watched: Watched) -> None:
    server = watched.server(idle=timedelta(0))
    async with await server.acquire():
        assert watched.postmaster.alive
    assert wait_until(lambda: not watched.survivors)
    settings = watched.layout.cluster / "postgresql.conf"
    sound = settings.read_text()
    settings.write_text(f"{sound}no_such_setting = on\n")
    with pytest.raises(Unavailable) as caught:
        await watched.server().acquire()
    assert caught.value.code == "database.start_failed"
    assert "contains errors" in caught.value.message
    assert "postgres.log" in (caught.value.hint or "")
    settings.write_text(sound)
    (watched.layout.cluster / "global/pg_control").unlink()
    with pytest.raises(Unavailable) as caught:  # another cause now; the log still holds that one
        await watched.server().acquire()
    assert "pg_control" in caught.value.message and "errors" not in caught.value.message


async def test_the_log_holds_no_text_of_users(watched: Watched, lease: Lease) -> None:
    await store(lease, CANARY)
    async with connected(lease) as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO kept VALUES ($1)", CANARY)
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.execute(f"SELECT '{CANARY}'::integer")
        with pytest.raises(asyncpg.RaiseError):
            await connection.execute(f"DO $$BEGIN RAISE '{CANARY}'; END$$")
        await connection.execute(f"DO $$BEGIN RAISE WARNING '{CANARY}'; END$$")
    log = watched.layout.server_log.read_text()
    assert "ready to accept connections" in log
    assert CANARY not in log
    assert CANARY not in watched.layout.keeper_log.read_text()


async def test_everything_is_private(unmade: Watched) -> None:
    async with await unmade.server().acquire():
        for path in (unmade.folder, *unmade.folder.iterdir()):
            assert path.stat().st_mode & 0o077 == 0, path
        environment = Path(f"/proc/{unmade.record.keeper.pid}/environ")
        if environment.exists():
            assert b"PYTEST_CURRENT_TEST" not in environment.read_bytes()


async def test_a_running_server_is_reached_without_delay(watched: Watched, lease: Lease) -> None:
    at_once = 0
    for _ in range(50):
        acquiring = watched.server().acquire()
        try:
            acquiring.send(None)
            acquiring.close()  # it waits: the keeper looks at this moment whether anybody has a lease
        except StopIteration as done:
            done.value.close()
            done.value.close()
            at_once += 1
    assert at_once > 25


async def test_ensure_needs_a_lease(watched: Watched) -> None:
    with pytest.raises(UsageError):
        await watched.server().ensure()


def test_logs_are_bounded(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    with log.open("ab") as writer:
        writer.write(b"x" * 100)
        writer.flush()
        bound_log(log, limit_bytes=100)
        assert log.stat().st_size == 100
        bound_log(log, limit_bytes=99)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "postgres.log.1").stat().st_size == 100


def test_the_keeper_imports_no_installed_package() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); import mahavishnu.database.embedded.keeper; "
        "tops = {name.partition('.')[0] for name in sys.modules}; "
        "print(*tops - sys.stdlib_module_names - {'__main__'})"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, PACKAGE_ROOT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "mahavishnu"


def test_patience_lasts_as_long_as_something_happens() -> None:
    steps = iter([0, *range(20), *([20] * 1000)])
    patience = ProgressTimeout(timedelta(seconds=0.05), lambda: next(steps))
    for _ in range(20):
        time.sleep(0.01)
        patience.spend()
    with pytest.raises(Unavailable) as caught:
        for _ in range(20):
            time.sleep(0.01)
            patience.spend()
    assert caught.value.code == "database.start_timeout"


@pytest.mark.postgres
async def test_a_dump_of_the_embedded_database_can_be_restored(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", idle_timeout=timedelta(seconds=0.5))
    async with await server.acquire() as lease:
        at = ["-h", str(lease.socket_folder), "-U", "postgres"]
        binaries = find_binaries(None)
        dump = subprocess.run(
            [binaries.require("pg_dump"), *at, "mahavishnu"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "CREATE EXTENSION IF NOT EXISTS vector" in dump
        connection = await asyncpg.connect(
            host=str(lease.socket_folder), user="mahavishnu", database="mahavishnu"
        )
        assert (
            await connection.fetchval("SELECT oid FROM pg_extension WHERE extname = 'vector'")
            >= 16384
        )
        assert (
            await connection.fetchval("SELECT oid FROM pg_roles WHERE rolname = 'mahavishnu'")
            >= 16384
        )
        await connection.close()
