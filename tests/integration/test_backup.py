"""Backup sets of a real database: one snapshot, every kind of damage, drills, restores and their undoing."""

import asyncio
import math
import os
import re
import resource
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon import background
from mahavishnu.daemon.jobs import scheduled_jobs
from mahavishnu.daemon.report import report_daemon
from mahavishnu.database.backup.manifest import MANIFEST
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.verify import ProvenSet
from mahavishnu.database.migrate import HEAD
from mahavishnu.database.target import Target, place_of
from mahavishnu.doctor.database import look_at_backup
from mahavishnu.doctor.findings import Examination
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import Metric
from tests.conftest import Cluster, OpenWorld, World
from tests.support.backups import DAMAGE, FILES, Bench, bench_of, flipped, server_in
from tests.support.missing_programs import skip_or_fail
from tests.support.served import app_of, serve

pytestmark = pytest.mark.postgres
FIXTURES = Path(__file__).parent.parent / "fixtures"
COUNT = 12


@pytest.fixture
async def bench(
    cluster: Cluster,
    admin: asyncpg.Connection,
    database_name: str,
    world: World,
    tmp_path: Path,
) -> AsyncIterator[Bench]:
    """The backups of the test's database, which has memories with words and vectors."""
    await store(world, *(f"Memory {n} of deploying cluster {n}." for n in range(COUNT)))
    made = bench_of(world.database, server_in(cluster, database_name), tmp_path)
    yield replace(
        made, backups=replace(made.backups, replaced=(world.space.forget, world.scopes.forget))
    )
    for name in await others(made, admin):
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def store(world: World, *texts: str) -> None:
    for text in texts:
        await world.memories.store(NewMemory(content=text))
    await world.memories.embed_waiting()


async def contents(bench: Bench) -> list[str]:
    async with bench.server.connect(bench.server.database) as connection:
        rows = await connection.fetch("SELECT content FROM memories ORDER BY memory_no")
    return [row["content"] for row in rows]


async def others(bench: Bench, admin: asyncpg.Connection) -> list[str]:
    """Return the databases beside the configured one."""
    known = "SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1"
    return [row["datname"] for row in await admin.fetch(known, f"{bench.server.database}_")]


async def test_a_drill_proves_a_set_and_leaves_no_database(
    bench: Bench, admin: asyncpg.Connection
) -> None:
    stored = await bench.create()
    manifest = await bench.verify(stored)
    assert manifest.memories == COUNT and manifest.revision == HEAD
    assert [model.dimensions for model in manifest.models] == [64]
    names = {table.name for table in manifest.tables}
    assert {"public.memories", "public.embeddings_1_note", "public.alembic_version"} <= names
    assert await bench.backups.newest_proven() is None and bench.look(stored).proven_at is None
    proof = (await bench.drill(stored)).proof
    assert proof and (proof.text_searches, proof.vector_searches) == (5, 5)
    assert bench.look(stored).proof == proof
    proven = await bench.backups.newest_proven()
    assert proven == ProvenSet(manifest.created_at, proof.at) and not proven.was_older
    assert await others(bench, admin) == []


async def test_the_daemon_shows_when_a_backup_was_proven(
    bench: Bench, world: World, tmp_path: Path
) -> None:
    app = replace(app_of(world, tmp_path), backups=bench.backups)
    gauge = "mahavishnu_proven_backup_age_seconds"
    async with serve(app, tmp_path) as served, served.client() as http:
        assert "proven_backup_at" not in (await http.get("/api/v1/status")).json()
        assert f"\n{gauge} +Inf\n" in (await http.get("/metrics")).text
        proof = (await bench.drill(made := await bench.create())).proof
        assert proof
        at = (await http.get("/api/v1/status")).json()["proven_backup_at"]
        assert datetime.fromisoformat(at) == proof.at
        [line] = re.findall(rf"^{gauge} (.+)$", (await http.get("/metrics")).text, re.MULTILINE)
        assert 0 <= float(line) < math.inf
    storage = bench.backups.storage()
    assert isinstance(storage, LocalFolder)
    assert report_daemon(app.loaded.locations, storage.root).proven_backup_at == proof.at
    async with AsyncExitStack() as stack:
        examination = Examination({}, {}, True, stack, app=app)
        assert (await look_at_backup(examination)).status == "ok"
        # Proven again now, the set is as old as it is.
        old = datetime.now(UTC).replace(microsecond=0) - timedelta(days=31)
        bench.forge(made, lambda manifest: msgspec.structs.replace(manifest, created_at=old))
        await bench.drill(made)
        renewed = replace(app, backups=replace(bench.backups))
        found = await look_at_backup(replace(examination, app=renewed))
        assert found.status == "warning"
        assert found.summary.startswith("The newest proven backup is 31 days old. A drill proved")
        assert found.summary.endswith(f"; the set is of {old:%Y-%m-%d %H:%M} UTC.")


async def test_the_daemon_makes_and_proves_a_backup_at_its_time(
    bench: Bench, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LOOK_AT_CLOCK_S", 0.01)
    app = replace(app_of(world, tmp_path), backups=bench.backups)
    given, flags = app.loaded.environ, {"backup.schedule": "0 3 * * *"}
    [job] = scheduled_jobs(load_settings(environ=given, folder=tmp_path, flags=flags))
    with job.times.claim(datetime.now().astimezone() - timedelta(days=2)):
        pass
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(background.run_scheduled(app, job))
        while not app.events.read(limit=9):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.05)
        task.cancel()
    [event] = app.events.read(limit=9)
    assert (event.what, event.result) == ("backup.create", "done"), event
    assert event.after is not None and bench.newest().name in event.after
    assert await bench.backups.newest_proven()
    with job.times.claim(datetime.now().astimezone()) as due:
        assert not due


async def test_dump_and_checksums_are_of_one_snapshot(bench: Bench, world: World) -> None:
    wrote, done = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        n = 0
        while not done.is_set():
            n += 1
            await world.memories.store(NewMemory(content=f"While the dump is made: {n}"))
            wrote.set()

    sets = []
    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(3):
            wrote.clear()
            await wrote.wait()
            sets.append(await bench.create())
        done.set()
    counts = [manifest.memories for each in sets if (manifest := bench.look(each).manifest)]
    assert COUNT < counts[0] < counts[1] < counts[2]
    for stored in sets:
        await bench.drill(stored)


async def test_a_table_that_is_added_later_is_covered(bench: Bench) -> None:
    odd = """
        CREATE TABLE "An odd one" (a text, b halfvec(3), c text[], d double precision, e jsonb);
        INSERT INTO "An odd one" VALUES ('x', '[1,2,3]', '{a,b}', 'NaN', '{"k": 1}');
        INSERT INTO "An odd one" DEFAULT VALUES;
        CREATE TABLE empty ();
    """
    async with bench.server.connect(bench.server.database) as connection:
        await connection.execute("SET ROLE mahavishnu")
        await connection.execute(odd)
    first = await bench.create()
    await bench.drill(first)
    async with bench.server.connect(bench.server.database) as connection:
        await connection.execute("""UPDATE "An odd one" SET d = 1 WHERE a = 'x'""")
    before, after = (bench.look(each).manifest for each in (first, await bench.create()))
    assert before and after
    pairs = zip(before.tables, after.tables, strict=True)
    assert {one.name for one, two in pairs if one != two} == {'public."An odd one"'}


async def test_damage_is_caught_and_nothing_is_replaced(
    bench: Bench, admin: asyncpg.Connection
) -> None:
    stored = await bench.create()
    before, whole = await contents(bench), bench.storage.root.with_name("whole")
    shutil.copytree(bench.path(stored).parent, whole)
    for what, (name, spoil, code) in DAMAGE.items():
        path = bench.path(stored, name)
        spoiled = spoil(path.read_bytes())
        path.unlink() if spoiled is None else path.write_bytes(spoiled)
        for act in (bench.verify, bench.drill, bench.restore):
            with pytest.raises(MahavishnuError) as caught:
                await act(stored)
            assert caught.value.code == code, what
        assert bench.look(stored).proven_at is None, what
        shutil.rmtree(bench.path(stored).parent)
        shutil.copytree(whole, bench.path(stored).parent)
    assert await contents(bench) == before and await others(bench, admin) == []
    await bench.drill(stored)


async def test_other_rows_under_a_right_looking_manifest_are_caught(
    bench: Bench, admin: asyncpg.Connection
) -> None:
    other = await bench.create()
    async with bench.server.connect(bench.server.database) as connection:
        # As many rows as before, one of which says something else.
        await connection.execute(
            "UPDATE memories SET context = 'x' WHERE memory_no = (SELECT min(memory_no) FROM memories)"
        )
    stored = await bench.create()
    shutil.copy(bench.path(other), bench.path(stored))
    bench.forge(stored)
    await bench.verify(stored)  # every digest fits: only what it restores to differs
    before = await contents(bench)
    for act in (bench.drill, bench.restore):
        with pytest.raises(MahavishnuError) as caught:
            await act(stored)
        assert caught.value.code == "backup.content_differs"
        assert "public.memories has other rows" in caught.value.message
    proof = bench.look(stored).proof
    assert proof and not proof.proven and proof.code == "backup.content_differs"
    assert await contents(bench) == before and await others(bench, admin) == []


async def test_a_lost_policy_or_index_is_caught(bench: Bench) -> None:
    whole = await bench.create()
    async with bench.server.connect(bench.server.database) as connection:
        await connection.execute(
            "DROP POLICY follows_scope_see ON postings; DROP INDEX postings_memory"
        )
    shutil.copy(bench.path(await bench.create()), bench.path(whole))
    bench.forge(whole)
    with pytest.raises(MahavishnuError) as caught:
        await bench.drill(whole)
    assert caught.value.code == "backup.content_differs"
    assert "follows_scope_see" in caught.value.message and "postings_memory" in caught.value.message


async def test_a_dump_that_is_no_archive_is_caught(bench: Bench) -> None:
    stored = await bench.create()
    os.truncate(bench.path(stored), bench.path(stored).stat().st_size - 1000)
    bench.forge(stored)
    with pytest.raises(MahavishnuError) as caught:
        await bench.verify(stored)
    assert caught.value.code == "backup.unreadable"
    with pytest.raises(MahavishnuError) as failed:
        await bench.drill(stored)
    assert failed.value.code in {"backup.load_failed", "backup.content_differs"}


async def test_an_encrypted_set_needs_its_key(bench: Bench) -> None:
    try:
        import pyrage
    except ImportError:
        skip_or_fail("pyrage is missing")
    identity, stranger = (pyrage.x25519.Identity.generate() for _ in range(2))
    encrypting = replace(bench.backups, recipients=(str(identity.to_public()),))
    stored = (await encrypting.create(FILES, Progress())).stored
    for path in bench.path(stored).parent.iterdir():
        assert path.name == MANIFEST or path.suffix == ".age"
        assert b"deploying" not in path.read_bytes() and b"PGDMP" not in path.read_bytes()
    await bench.verify(stored)  # compares only
    key = bench.backups.identity
    for text, code in (
        ("", "backup.wrong_key"),
        (str(stranger), "backup.wrong_key"),
        (None, "backup.no_key"),
    ):
        key.write_text(text) if text is not None else key.unlink()
        with pytest.raises(MahavishnuError) as caught:
            await bench.drill(stored)
        assert caught.value.code == code
        assert bench.look(stored).proof is None  # it says nothing of the set
    key.write_text(f"# made by a test\n{identity}\n")
    await bench.verify(stored)
    await bench.drill(stored)
    await bench.restore(stored)
    assert len(await contents(bench)) == COUNT
    sealed = bench.path(stored, "database.dump.age")
    sealed.write_bytes(flipped(sealed.read_bytes()))
    with pytest.raises(MahavishnuError) as damaged:
        await bench.drill(stored)
    assert damaged.value.code == "backup.part_changed"


async def test_a_restore_keeps_what_it_replaced_and_can_be_undone(
    bench: Bench, world: World, admin: asyncpg.Connection
) -> None:
    stored = await bench.create()
    before = await contents(bench)
    await store(world, "Since the backup.")
    later = await contents(bench)
    plan = await bench.backups.plan(stored.name)
    assert (plan.present.memories, plan.present.since, plan.manifest.memories) == (
        COUNT + 1,
        1,
        COUNT,
    )
    assert (plan.sessions, plan.proven, plan.drops_kept, plan.migrates_to) == (
        (),
        False,
        False,
        None,
    )
    await bench.restore(stored)
    assert await contents(bench) == before
    assert await others(bench, admin) == [bench.server.kept]
    for expected in (later, before, later):  # and an undoing is undone
        await bench.backups.undo()
        assert await contents(bench) == expected
    # The application works on what was brought back: rows come in, words and vectors find them.
    await store(world, "After it all.")
    assert (await contents(bench))[-1] == "After it all."
    assert (await bench.backups.plan(stored.name)).drops_kept
    await bench.restore(stored)
    assert await others(bench, admin) == [bench.server.kept]  # the last one, not one for each
    for confirm in (False, True):
        assert (await bench.backups.prune(replaced=True, confirm=confirm)).drops_replaced
    assert await others(bench, admin) == []
    assert not (await bench.backups.prune(replaced=True, confirm=True)).drops_replaced
    with pytest.raises(MahavishnuError) as caught:
        await bench.backups.undo()
    assert caught.value.code == "backup.nothing_to_undo"


async def test_prune_keeps_the_newest_proven_set_and_counts_no_damaged_one(bench: Bench) -> None:
    proven, used, last, damaged = [await bench.create() for _ in range(4)]
    await bench.drill(proven)
    bench.path(damaged).unlink()
    with bench.storage.use(used):
        for confirm in (False, True):
            pruned = await bench.backups.prune(replaced=False, confirm=confirm)
            assert {each.listed.stored: each.stays for each in pruned.judged} == {
                proven: "the newest proven one", used: None, last: "one of the last 1",
                damaged: "damaged, but no newer set is proven",
            }  # fmt: skip
            assert bench.storage.find() == [proven, used, last, damaged]
    assert pruned.in_use == {used}
    await bench.drill(newest := await bench.create())
    await bench.backups.prune(replaced=False, confirm=True)
    assert bench.storage.find() == [newest]


@pytest.mark.parametrize("finder", ["verify", "drill"])
async def test_a_set_found_damaged_is_not_proven_any_more_and_counts_for_nothing(
    bench: Bench, finder: str
) -> None:
    good, rotten = [await bench.create() for _ in range(2)]
    for each in (good, rotten):
        await bench.drill(each)
    assert (newest := await bench.backups.newest_proven())
    assert newest.proven_at == bench.look(rotten).proven_at
    path = bench.path(rotten)
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(MahavishnuError, match="was changed"):
        await getattr(bench, finder)(rotten)
    assert bench.look(rotten).proven_at is None
    assert (newest := await bench.backups.newest_proven())
    assert newest.proven_at == bench.look(good).proven_at
    pruned = await bench.backups.prune(replaced=False, confirm=True)
    assert {each.listed.stored: each.stays for each in pruned.judged} == {
        good: "one of the last 1", rotten: "damaged, but no newer set is proven",
    }  # fmt: skip
    assert bench.storage.find() == [good, rotten]


async def test_consumers_of_changes_go_on_after_a_restore(bench: Bench, world: World) -> None:
    async with bench.server.connect(bench.server.database) as connection:
        # As the numbers of an older, longer cluster would be.
        await connection.execute("UPDATE changes SET xid = '9000000000'::xid8")
    await bench.restore(await bench.create())
    await store(world, "After.")
    async with bench.server.connect(bench.server.database) as connection:
        rows = await connection.fetch(
            "SELECT change_no FROM changes WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY change_no"
        )
    assert len(rows) == COUNT + 1


@pytest.mark.parametrize("revision", sorted(path.stem for path in FIXTURES.glob("*.sql")))
async def test_an_older_set_is_migrated(
    cluster: Cluster, admin: asyncpg.Connection, tmp_path: Path, revision: str, database_name: str,
    world: World,
) -> None:  # fmt: skip
    name = f"{database_name}_old"
    await admin.execute(f"CREATE DATABASE {name} OWNER mahavishnu")
    try:
        bench = bench_of(world.database, server_in(cluster, name), tmp_path)
        async with bench.server.connect(name) as connection:
            await connection.execute("CREATE EXTENSION vector")
            await connection.execute((FIXTURES / f"{revision}.sql").read_text(encoding="utf-8"))
        stored = await bench.create()
        proof = (await bench.drill(stored)).proof
        assert proof and proof.text_searches > 0 and proof.vector_searches > 0
        plan = await bench.backups.plan(stored.name)
        assert plan.manifest.revision == revision
        assert plan.migrates_to == (HEAD if revision < HEAD else None)
        await bench.at(replace(bench.server, disk=None)).restore(stored)  # as on another server
        async with bench.server.connect(name) as connection:
            assert await connection.fetchval("SELECT version_num FROM alembic_version") == HEAD
            owners = await connection.fetch(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            )
        assert [row["tableowner"] for row in owners] == ["mahavishnu"]
    finally:
        for each in (name, f"{name}_undo"):
            await admin.execute(f"DROP DATABASE IF EXISTS {each} WITH (FORCE)")


async def test_a_newer_set_is_refused(bench: Bench) -> None:
    stored = await bench.create()
    bench.forge(stored, lambda manifest: msgspec.structs.replace(manifest, revision="9999"))
    for act in (bench.drill, bench.restore):
        with pytest.raises(Conflict) as caught:
            await act(stored)
        assert caught.value.code == "backup.newer"


async def test_who_is_connected_is_named_and_left_alone(bench: Bench, cluster: Cluster) -> None:
    stored = await bench.create()
    daemon = await asyncpg.connect(
        cluster.dsn(bench.server.database), server_settings={"application_name": "a daemon"}
    )
    try:
        sessions = (await bench.backups.plan(stored.name)).sessions
        assert [each.application for each in sessions] == ["a daemon"]
        with pytest.raises(Conflict) as caught:
            await bench.restore(stored)
        assert caught.value.code == "backup.connected" and "a daemon" in caught.value.message
        assert await daemon.fetchval("SELECT 1") == 1
    finally:
        await daemon.close()


async def store_memory(world: World) -> None:
    await store(world, "Meanwhile.")


async def record_metric(world: World) -> None:
    await world.records.record_metric(Metric(source="tests", name="quality", value=0.5, unit="1"))


class Interrupted(Progress):
    """Lets another program write something, and end, before a step is taken for the first time."""

    def __init__(self, before: str, write: Callable[[], Coroutine[None, None, None]]) -> None:
        object.__setattr__(self, "_left", {before: write})
        super().__init__()

    def __setattr__(self, name: str, value: object) -> None:
        if write := self._left.pop(value, None):
            with ThreadPoolExecutor(1) as threads:
                threads.submit(asyncio.run, write()).result()
        super().__setattr__(name, value)


@pytest.mark.parametrize(
    ("write_one", "before"),
    [
        (store_memory, "Comparing"),  # the restored rows, long before the end
        (record_metric, "Comparing"),  # no search and no target of sync follows it
        (record_metric, "Replacing"),  # after the last look at the present database
    ],
)
async def test_what_is_stored_meanwhile_is_not_lost(
    bench: Bench,
    open_world: OpenWorld,
    admin: asyncpg.Connection,
    write_one: Callable[[World], Awaitable[None]],
    before: str,
) -> None:
    stored = await bench.create()

    async def write() -> None:
        async with open_world() as other:
            await write_one(other)

    with pytest.raises(Conflict) as caught:
        await bench.backups.restore(stored.name, Interrupted(before, write))
    assert caught.value.code == "backup.changed"
    async with bench.server.connect(bench.server.database) as connection:
        kept = await connection.fetchval(
            "SELECT (SELECT count(*) FROM memories) + (SELECT count(*) FROM performance_metrics)"
        )
    assert kept > COUNT
    assert await others(bench, admin) == []


async def test_what_the_server_itself_writes_is_no_change(bench: Bench) -> None:
    stored = await bench.create()

    async def analyze() -> None:
        async with bench.server.connect(bench.server.database) as connection:
            await connection.execute("ANALYZE")  # as autovacuum does, at any time

    await bench.backups.restore(stored.name, Interrupted("Replacing", analyze))
    assert len(await contents(bench)) == COUNT


async def test_two_restores_at_once(bench: Bench, admin: asyncpg.Connection) -> None:
    stored = await bench.create()
    done = await asyncio.gather(
        bench.drill(stored), bench.drill(stored), bench.restore(stored), return_exceptions=True
    )
    refused = [each for each in done if isinstance(each, BaseException)]
    assert len(refused) < 3
    assert {getattr(each, "code", each) for each in refused} <= {
        "backup.restoring",
        "backup.connected",
    }
    assert len(await contents(bench)) == COUNT
    assert set(await others(bench, admin)) <= {bench.server.kept}


async def test_roles_that_may_and_may_not_make_backups(
    bench: Bench, admin: asyncpg.Connection, cluster: Cluster, bob: Target
) -> None:
    database = bench.server.database

    def by(role: str) -> Bench:
        parameters = {"dsn": cluster.dsn(database, role)}
        return bench.at(replace(bench.server, admin=parameters, everyday=parameters, disk=None))

    with pytest.raises(MahavishnuError) as caught:
        await by("mahavishnu").create()
    assert caught.value.code == "backup.rights" and "backup.dsn" in (caught.value.hint or "")
    role = f"keeper_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN BYPASSRLS")
    async with bench.server.connect(database) as connection:
        await connection.execute(
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )
    try:
        stored = await by(role).create()
        assert (await bench.verify(stored)).members == (place_of(bob.url).partition("@")[0],)
        with pytest.raises(MahavishnuError) as refused:
            await by(role).drill(stored)
        assert refused.value.code == "backup.create_rights"
        await admin.execute(f"ALTER ROLE {role} CREATEDB")
        await admin.execute(f"GRANT mahavishnu TO {role}")
        with pytest.raises(MahavishnuError) as refused:
            await by(role).drill(stored)
        assert refused.value.code == "database.extension_rights"
        assert "trusted" in (refused.value.hint or "")
        await bench.restore(stored)
        connection = await asyncpg.connect(**bob.direct)
        # He has his rights again, and none of the memories is his.
        assert await connection.fetchval("SELECT count(*) FROM memories") == 0
        async with asyncpg.create_pool(cluster.dsn(database), min_size=1) as owner:
            await owner.execute(
                "CREATE TABLE later AS SELECT 1"
            )  # as for the vectors of a new model
        assert await connection.fetchval("SELECT count(*) FROM later") == 1
        await connection.close()
        await bench.backups.undo()
        await bench.backups.prune(replaced=True, confirm=True)
    finally:
        async with bench.server.connect(database) as connection:
            await connection.execute(f"DROP OWNED BY {role}")
        await admin.execute(f"DROP ROLE {role}")


async def test_a_full_disk_leaves_nothing_of_a_set(bench: Bench) -> None:
    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, bound[1]))
    try:
        with pytest.raises(MahavishnuError) as caught:
            await bench.create()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
    assert caught.value.code == "backup.disk_full"
    assert [path.name for path in bench.storage.root.iterdir()] == ["lock"]
    await bench.drill(await bench.create())
