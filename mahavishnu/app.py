"""The composition root: from settings to an open application, and back down again. No logic."""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.kept import KeptSecrets
from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.base.logs import set_log_level
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.base.settings.tree import Settings
from mahavishnu.base.telemetry.spans import SpanOrigins, collect_with_process
from mahavishnu.database.backup.backups import Backups
from mahavishnu.database.embedded.server import EmbeddedServer
from mahavishnu.database.late import LateDatabase
from mahavishnu.database.pool import Connection, Database, DatabaseHealth
from mahavishnu.database.target import (
    Target,
    target_of_socket,
)
from mahavishnu.embedding.port import Embedder
from mahavishnu.factories import (
    backups_of,
    chooser,
    database_name,
    external_target,
    forgetting_rules,
    import_engine,
    session_buddy_of,
    store_files_maker,
    targets_of,
)
from mahavishnu.knowledge.identity import Projects
from mahavishnu.knowledge.ingest import Ingestion
from mahavishnu.knowledge.repositories import Repositories
from mahavishnu.knowledge.repository_ingestion import (
    RepositoryIngestion,
    Splitting,
)
from mahavishnu.memory.conversations import Conversations
from mahavishnu.memory.insights.insights import Insights
from mahavishnu.memory.metrics import Retention, Timings
from mahavishnu.memory.models import SearchResult
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.runs import KeptRuns
from mahavishnu.memory.records import Records
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.spool.drain import Destination
from mahavishnu.memory.spool.entries import is_away
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.memory.spool.writes import Writes
from mahavishnu.memory.store import MemoryStore
from mahavishnu.memory.tiers import open_hot, open_tiers
from mahavishnu.memory.tiers.development import DevelopmentTier
from mahavishnu.memory.transfer.transfer import Transfer
from mahavishnu.services.events.journal import EventJournal
from mahavishnu.services.health import ComponentChecks
from mahavishnu.services.schedule.pause import PauseFile
from mahavishnu.services.session_buddy.client import SessionBuddy
from mahavishnu.services.supervision.supervisor import Supervision

if TYPE_CHECKING:
    from mahavishnu.engines.llamaindex.extension_points import LlamaIndexParts
    from mahavishnu.memory.hot.index import HotIndex


@dataclass(frozen=True)
class App:
    """
    An open application; made by `open_app`, valid inside its `async with`.

    `memories` stores and reads back, `search` answers questions, `conversations` keeps turns, `transfer`
    exports and imports, `records` keeps executions and metrics, `writes` takes memories, turns and executions also
    while the database is away, `projects` knows which project a folder is of,
    `repositories` which are ingested, by `repository_ingestion`, `outbox` delivers what happens to memories,
    and `sync_runs` keeps what became of it,
    `insights` lists and shares what was learnt, `backups` makes and restores backup sets, `secrets` remembers
    keys for the daemon, which `supervision` keeps services running for, `components` looks how the parts
    are, `hot` has vectors in memory, `session_buddy` is the one that the settings name.
    """

    memories: MemoryStore
    conversations: Conversations
    transfer: Transfer
    records: Records
    writes: Writes
    projects: Projects
    ingestion: Ingestion
    repositories: Repositories
    repository_ingestion: RepositoryIngestion
    outbox: Outbox
    sync_runs: KeptRuns
    insights: Insights
    space: EmbeddingSpace
    backups: Backups
    database: Database
    loaded: Loaded
    _retriever: Retriever
    hot: "HotIndex | None" = None
    secrets: KeptSecrets = field(default_factory=KeptSecrets)
    components: ComponentChecks = field(default_factory=ComponentChecks)
    supervision: Supervision = field(default_factory=Supervision)
    session_buddy: SessionBuddy | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    @property
    def events(self) -> EventJournal:
        """What was done without anybody asking."""
        return EventJournal(self.loaded.locations.state)

    @property
    def pause(self) -> PauseFile:
        """Whether automatic acts rest."""
        return PauseFile(self.loaded.locations.state)

    @property
    def timings(self) -> tuple[Timings, ...]:
        """How long searches and the embedding took in this process; a server samples them."""
        return self._retriever.timings, self.space.timings

    async def search(self, request: SearchRequest | str) -> SearchResult:
        """Return the best memories for a question; a plain string asks with the defaults."""
        if isinstance(request, str):
            request = SearchRequest(query=request)
        self.database.require_open()  # the embedder would be asked first, and it is closed as well
        return await self._retriever.search(request)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """
        Lend a database connection for SQL of one's own; row-level security applies.

        `async with connection.transaction():` commits at its end or rolls back on an exception.
        """
        async with self.database.connection() as connection:
            yield connection

    def llamaindex(self) -> "LlamaIndexParts":
        """Return what LlamaIndex takes of this application; raises `Unavailable` without the extra."""
        parts = import_engine("mahavishnu.engines.llamaindex.extension_points")
        made: LlamaIndexParts = parts.LlamaIndexParts(self.memories, self.space, self.search)
        return made

    async def health(self) -> DatabaseHealth:
        """Check the database; raises `Unavailable` when it does not answer."""
        return await self.database.check()


@contextlib.asynccontextmanager
async def open_app(
    loaded: Loaded | None = None,
    *,
    pool_size: int | None = None,
    embedder: Embedder | None = None,
    required: bool = True,
    drain: bool = True,
    reach: bool = True,
    hot: bool = False,
) -> AsyncIterator[App]:
    """
    Open the application: start or reach PostgreSQL, check the schema, store what waits, build everything.

    Args:
        loaded: settings from `load_settings`; read from the usual places by default.
        pool_size: most connections, at least 1, bounded by `postgresql.pool_size`.
        embedder: one of the caller's own instead of what the settings choose; it is closed at the end.
        required: whether the database has to be there. Where it need not be, each use tries again to
            reach it, and raises what is in the way; `App.writes` keeps what it is given.
        drain: whether to store what waits in the spool, as far as two seconds allow.
        reach: whether the database is reached here, or at its first use; then `drain` is of no use.
        hot: whether vectors may be kept in memory, which somebody has to `follow` then.

    Raises:
        MahavishnuError: one of its children says what is wrong and what fixes it.
    """
    if pool_size is not None and pool_size < 1:
        raise UsageError(f"pool_size must be at least 1, not {pool_size}.", code="input.pool_size")
    loaded = loaded or load_settings()
    settings = loaded.settings
    set_log_level(settings.log_level)
    collect_with_process()
    size = min(pool_size or settings.postgresql.pool_size, settings.postgresql.pool_size)
    async with LateDatabase(
        lambda: open_target(loaded),
        size=size,
        statement_timeout=timedelta(seconds=settings.postgresql.statement_timeout),
    ) as database:
        try:
            if reach:
                await database.reach()
        except MahavishnuError as error:
            # A full disk is the spool's too, where the embedded server cannot be opened for it.
            if required or not is_away(error) or error.code == "database.disk_full":
                raise
        space = EmbeddingSpace(database, chooser(loaded, embedder))
        scopes = Scopes(database)
        origins = SpanOrigins()
        memories = MemoryStore(database, space, scopes, forgetting_rules(settings.memory), origins)
        projects = Projects(database)
        repositories = Repositories(database, scopes)
        index = open_hot(database, space, max_mb=settings.memory.hot.max_mb) if hot else None
        buddy = session_buddy_of(loaded)
        development = None if buddy is None else DevelopmentTier(buddy, database, scopes)
        retriever = Retriever(open_tiers(database, space, scopes, index, development))
        kept = settings.metrics
        retention = Retention(timedelta(days=kept.raw_days), timedelta(days=kept.keep_days))
        conversations = Conversations(database, memories, scopes)
        records = Records(database, memories, scopes, retention)
        name = database_name(settings.postgresql)
        record = EventJournal(loaded.locations.state).record
        writes = Writes(
            Destination(name, database, memories, conversations, records),
            SpoolFile(loaded.locations.data),
            functools.partial(
                record, "spool.drain", "PostgreSQL can be reached, and writes waited."
            ),
        )
        memories.forgetting.store_waiting = writes.drain_if_any
        targets = targets_of(loaded, database, memories, repositories, buddy)
        outbox = Outbox(database, memories, targets, origins)
        secrets, components = KeptSecrets(), ComponentChecks()
        try:
            if drain:
                await writes.drain_if_any()
            yield App(
                memories=memories,
                conversations=conversations,
                transfer=Transfer(database, space, scopes),
                records=records,
                writes=writes,
                projects=projects,
                ingestion=Ingestion(database, memories, scopes, projects),
                repositories=repositories,
                repository_ingestion=RepositoryIngestion(
                    database,
                    memories,
                    repositories,
                    space,
                    store_files_maker(memories, retriever),
                    Splitting(settings.knowledge.chunk_tokens, settings.knowledge.overlap_tokens),
                    enabled=settings.adapters.llamaindex,
                ),
                outbox=outbox,
                sync_runs=KeptRuns(database, outbox),
                insights=Insights(database, memories, space, scopes),
                space=space,
                backups=backups_of(
                    loaded,
                    database,
                    (space.forget, scopes.forget, *((index.clear,) if index else ())),
                ),
                database=database,
                loaded=loaded,
                _retriever=retriever,
                secrets=secrets,
                components=components,
                hot=index,
                session_buddy=buddy,
            )
        finally:
            if buddy is not None:
                await buddy.aclose()
            await components.aclose()
            await secrets.aclose()
            await space.aclose()


@contextlib.asynccontextmanager
async def open_target(
    loaded: Loaded,
) -> AsyncIterator[tuple[Target, Callable[[], Awaitable[None]] | None]]:
    """
    Yield the configured database, the embedded server running while the block does.

    The second value restarts the embedded server after a crash; None for a server of the user's.
    """
    postgresql = loaded.settings.postgresql
    if not postgresql.enabled:
        raise Unavailable(
            "Memory is switched off by the setting postgresql.enabled.",
            hint="Set it to true.",
            code="database.disabled",
        )
    external = external_target(postgresql)
    if external is not None:
        yield external, None
        return
    server = EmbeddedServer(
        loaded.locations.postgres,
        binaries=Path(postgresql.binaries) if postgresql.binaries else None,
        idle_timeout=timedelta(seconds=postgresql.idle_timeout),
        restarted=functools.partial(
            EventJournal(loaded.locations.state).record,
            "database.start",
            "The embedded PostgreSQL did not run any more.",
            "runs",
            before="stopped",
        ),
    )
    async with await server.acquire() as lease:
        yield target_of_socket(str(lease.socket_folder)), server.ensure
