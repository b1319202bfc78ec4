"""Checks of the database: can it be reached, is it new enough, is the schema current, is memory usable."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from mahavishnu.app import open_app, open_target
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.embedded.cluster import version_key
from mahavishnu.database.embedded.state import Layout
from mahavishnu.database.errors import translated
from mahavishnu.database.migrate import (
    MINIMUM_SERVER,
    MINIMUM_VECTOR,
    read_state,
    require_current,
)
from mahavishnu.database.queries import load_queries
from mahavishnu.database.target import Target
from mahavishnu.doctor.findings import (
    Examination,
    Finding,
    ServerFacts,
    failure,
    worst,
)
from mahavishnu.factories import external_target
from mahavishnu.memory.integrity import look_at_storage as find_damage
from mahavishnu.operations.components import PROVEN_FOR, describe_proven
from mahavishnu.operations.integrity import fix_for

CONNECT_LIMIT_S = 5
CONNECTIONS = 2
# Between machines with synchronised clocks; what is beyond it moves memories in lists by date.
TOLERANCE = timedelta(seconds=5)
INTOLERABLE = timedelta(minutes=5)
_QUERIES = load_queries("doctor")


def look_at_programs(examination: Examination) -> Finding:
    """Check the programs of the embedded PostgreSQL; needs `settings`."""
    postgresql = examination.settings.postgresql
    if external_target(postgresql) is not None:
        return Finding("ok", "A server of your own is used.")
    found = find_binaries(Path(postgresql.binaries) if postgresql.binaries else None)
    return Finding(
        "ok",
        f"PostgreSQL {found.version}, pgvector {found.vector_version}, {found.bin}.",
    )


async def look_at_database(examination: Examination) -> Finding:
    """Reach the database, starting the embedded server where it has its cluster; needs `settings`."""
    assert examination.loaded is not None
    postgresql = examination.settings.postgresql
    if not postgresql.enabled:
        return Finding(
            "info",
            "Memory is switched off by the setting postgresql.enabled.",
            "Set it to true.",
            code="database.disabled",
        )
    external = external_target(postgresql)
    if not examination.with_database:
        return Finding("skipped", "Not opened, as asked by --no-database.")
    layout = Layout(examination.places.postgres)
    if external is None and not layout.cluster.exists():
        return Finding(
            "info",
            "There is none yet; the first memory makes it.",
            "Make it now: mahavishnu db init",
        )
    opened = open_target(examination.loaded)
    target, _ = await examination.stack.enter_async_context(opened)
    facts = examination.server = await ask_server(target)
    kind = "The embedded server" if facts.embedded else "The server"
    return Finding("ok", f"{kind} answers at {facts.shown}.")


async def ask_server(target: Target) -> ServerFacts:
    """Return what the server says; raises as a connection does."""
    with translated():
        connection = await asyncpg.connect(
            **target.direct, timeout=CONNECT_LIMIT_S, statement_cache_size=0
        )
        try:
            before = datetime.now(UTC)
            row = await connection.fetchrow(_QUERIES["describe_server"])
            middle = before + (datetime.now(UTC) - before) / 2
            state = await read_state(connection)
        finally:
            await connection.close()
    said = dict(row)
    ahead = said.pop("now") - middle
    said["sees_all"] = bool(said["sees_all"])
    return ServerFacts(
        embedded=target.embedded, shown=target.shown, ahead=ahead, state=state, **said
    )


def judge_version(facts: ServerFacts) -> Finding:
    """Compare the version of PostgreSQL with the oldest that will do."""
    if facts.major < MINIMUM_SERVER:
        return Finding(
            "error",
            f"PostgreSQL {facts.server} is too old; {MINIMUM_SERVER} or newer is needed.",
            "Use a newer server, or leave the DSN out for the embedded one.",
            code="database.too_old",
        )
    return Finding("ok", f"PostgreSQL {facts.server}.")


def judge_pgvector(facts: ServerFacts) -> Finding:
    """Tell whether pgvector is in the database, or can be put there, and is new enough."""
    installed, offered = facts.vector, facts.offered
    needed = ".".join(map(str, MINIMUM_VECTOR))
    if installed is None and offered is None:
        return Finding(
            "error",
            "The server does not have the pgvector extension.",
            f"Install pgvector {needed} or newer on it (package postgresql-NN-pgvector).",
            code="database.no_pgvector",
        )
    if version_key(installed or offered or "") < MINIMUM_VECTOR:
        return Finding(
            "error",
            f"pgvector {installed or offered} is too old; {needed} or newer is needed.",
            "Upgrade it on the server, then run: ALTER EXTENSION vector UPDATE",
            code="database.pgvector_too_old",
        )
    if installed is None:
        return Finding(
            "info",
            f"pgvector {offered} is on the server, but not in the database.",
            "mahavishnu db init",
        )
    return Finding("ok", f"pgvector {installed}.")


def judge_schema(facts: ServerFacts) -> Finding:
    """Tell whether the schema is current, or becomes so by itself."""
    state = facts.state
    if state.current:
        return Finding("ok", f"Revision {state.revision}, the newest.")
    newer = state.revision is not None and state.revision > state.head
    if facts.embedded and not newer:
        return Finding(
            "info",
            f"Revision {state.revision or 'none'}; the next command brings it to {state.head}.",
            "Do it now: mahavishnu db upgrade",
        )
    try:
        require_current(state)
    except MahavishnuError as error:
        return failure(error)
    raise AssertionError("a schema that is not current is refused")


def judge_visibility(facts: ServerFacts) -> Finding:
    """Tell whether row-level security binds this user."""
    if facts.sees_all:
        return Finding(
            "warning",
            "This database user bypasses row-level security and sees everybody's memories.",
            "Use an ordinary role; its rights come from: mahavishnu db grant ROLE",
        )
    return Finding("ok", "Row-level security binds this database user.")


def judge_clocks(facts: ServerFacts) -> Finding:
    """Tell whether the server's clock agrees with this machine's."""
    seconds = abs(facts.ahead.total_seconds())
    if seconds <= TOLERANCE.total_seconds():
        return Finding("ok", "It agrees with this machine's.")
    return Finding(
        "error" if seconds > INTOLERABLE.total_seconds() else "warning",
        f"It is {seconds:,.0f} s {'ahead of' if facts.ahead > timedelta(0) else 'behind'} this machine's.",
        "Set the one that is wrong, for example with: timedatectl set-ntp true",
    )


async def look_at_memory(examination: Examination) -> Finding:
    """Open the application, as every memory command does; needs `schema` and `pgvector`."""
    opened = open_app(examination.loaded, pool_size=CONNECTIONS, drain=False)
    app = await examination.stack.enter_async_context(opened)
    health = await app.health()
    examination.app = app
    return Finding("ok", f"It can be used; a round trip takes {health.latency_ms:.1f} ms.")


async def look_at_storage(examination: Examination) -> Finding:
    """Look at the model's graph, the indexes and dead rows, which takes no time; needs `memory`."""
    assert examination.app is not None
    async with examination.app.database.snapshot() as connection:
        found = [each async for each in find_damage(connection)]
    if not found:
        return Finding("ok", "Indexes and tables are in order. Rows too? mahavishnu db check")
    return Finding(
        worst(Finding(each.severity, "") for each in found),
        " ".join(each.summary for each in found),
        "\n".join(map(fix_for, found)),
    )


async def look_at_times(examination: Examination) -> Finding:
    """Look for memories from the future; needs `memory`."""
    assert examination.app is not None
    row = await examination.app.database.run(
        lambda connection: connection.fetchrow(_QUERIES["find_future"], TOLERANCE)
    )
    assert row is not None
    if not row["memories"]:
        return Finding("ok", "No memory was stored in the future.")
    return Finding(
        "warning",
        f"{row['memories']:,} memories were stored in the future, up to {row['newest']:%Y-%m-%d %H:%M}"
        " UTC: the clock of the machine that stored them was ahead.",
        "Set that clock; until then they come first in lists: mahavishnu memory list",
    )


async def look_at_backup(examination: Examination) -> Finding:
    """Tell how old the newest proven backup is; needs `memory`."""
    assert examination.app is not None
    proven = await examination.app.backups.newest_proven()
    if proven is None:
        return Finding(
            "info",
            "No backup is proven to restore.",
            "mahavishnu backup create, then: mahavishnu backup drill",
        )
    days = (datetime.now(UTC) - proven.created_at).days
    if days > PROVEN_FOR.days:
        return Finding(
            "warning",
            f"The newest proven backup is {days:,} days old. {describe_proven(proven)}",
            "mahavishnu backup create, then: mahavishnu backup drill",
        )
    return Finding("ok", f"Backup: {describe_proven(proven)}")
