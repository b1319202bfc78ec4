"""Makes the parts of the application as the settings ask for them."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from mahavishnu.ai.secrets.resolve import find_identity
from mahavishnu.base.durations import read_duration
from mahavishnu.base.errors import Forbidden
from mahavishnu.base.extras import require_installed
from mahavishnu.base.masking import Secret
from mahavishnu.base.settings.memory import MemorySettings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.settings.tree import PostgresqlSettings
from mahavishnu.database.backup.backups import Backups
from mahavishnu.database.backup.server import server_of
from mahavishnu.database.backup.storage.choose import open_storage
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.storage.port import Storage
from mahavishnu.database.backup.storage.retention import KeptSets
from mahavishnu.database.pool import Database
from mahavishnu.database.target import (
    Target,
    configured_target,
    place_of,
    target_of_dsn,
)
from mahavishnu.embedding.choose import Choice, DaemonFiles, EmbeddingConfig, choose_embedder
from mahavishnu.embedding.port import Embedder, ModelIdentity
from mahavishnu.knowledge.repositories import Repositories, Repository
from mahavishnu.knowledge.repository_ingestion import (
    MakeStoreFiles,
    Splitting,
    StoreFiles,
)
from mahavishnu.memory.forgetting import ForgettingRules
from mahavishnu.memory.insights.following import InsightTarget
from mahavishnu.memory.outbox.mirror import JsonlMirror
from mahavishnu.memory.outbox.port import SyncTarget
from mahavishnu.memory.outbox.session_buddy import SessionBuddyTarget
from mahavishnu.memory.samples import search_samples
from mahavishnu.memory.search import Retriever
from mahavishnu.memory.store import MemoryStore
from mahavishnu.services.session_buddy.client import SessionBuddy
from mahavishnu.services.session_buddy.graph import Dependencies

if TYPE_CHECKING:
    pass


def targets_of(
    loaded: Loaded,
    database: Database,
    memories: MemoryStore,
    repositories: Repositories,
    buddy: SessionBuddy | None = None,
) -> list[SyncTarget]:
    """Return what follows the memories: the insights found in them, and what the settings name."""
    marks, named = loaded.settings.insights.marks, loaded.settings.sync.mirror.path
    targets: list[SyncTarget] = [InsightTarget(database, memories, marks)] if marks else []
    if named is not None:
        home = Path(loaded.environ.get("HOME", "/"))
        targets.append(JsonlMirror(home / named[2:] if named[:2] == "~/" else Path(named)))
    if buddy is not None:
        targets.append(
            SessionBuddyTarget(buddy, functools.partial(_read_dependencies, repositories))
        )
    return targets


async def _read_dependencies(repositories: Repositories) -> Dependencies:
    return {each.name: each.depends_on for each in await repositories.list_all()}


def session_buddy_of(loaded: Loaded) -> SessionBuddy | None:
    """
    Return the client of the Session-Buddy that the settings name; None where they name none.

    Raises:
        Forbidden: a project names it, which would send the user's insights to a place of its own.
    """
    own = (str(loaded.locations.user_settings), "environment", "flag")
    for key, setting in loaded.origins.items():
        if key.startswith("session_buddy.") and setting.origin not in own:
            raise Forbidden(
                f"{setting.origin} says {key}, and a project cannot say where insights go.",
                hint=f"Move it to {loaded.locations.user_settings}.",
                code="session_buddy.of_project",
            )
    said = loaded.settings.session_buddy
    if not said.enabled or (said.address is None and said.python is None and not said.command):
        return None
    return SessionBuddy(said.address or f"http://127.0.0.1:{said.port}")


def backups_of(
    loaded: Loaded, database: Database, replaced: tuple[Callable[[], None], ...]
) -> Backups:
    """Return the backups that the settings ask for; `replaced` are called when a restore replaced the database."""
    backup, places = loaded.settings.backup, loaded.locations
    binaries = loaded.settings.postgresql.binaries

    @functools.cache  # a client of a cloud takes a while to make
    def open_place() -> Storage:
        return open_storage(backup.store) if backup.store else LocalFolder(places.backups)

    return Backups(
        database=database,
        server=lambda: server_of(
            database.found(),
            admin=target_of_dsn(backup.dsn) if backup.dsn else None,
            environ=loaded.environ,
            binaries=Path(binaries) if binaries else None,
            disk=places.postgres,
        ),
        storage=open_place,
        recipients=backup.recipients,
        identity=find_identity(loaded.environ, places),
        search=search_samples,
        replaced=replaced,
        retention=KeptSets(**asdict(backup.keep)),
    )


def external_target(postgresql: PostgresqlSettings) -> Target | None:
    """Return the server of the user's that the settings name; None where it is the embedded one."""
    return configured_target(
        dsn=postgresql.dsn,
        direct_dsn=postgresql.direct_dsn,
        host=postgresql.host,
        port=postgresql.port,
        database=postgresql.database,
        user=postgresql.user,
        password=postgresql.password,
    )


def forgetting_rules(memory: MemorySettings) -> ForgettingRules:
    """Return how long memories are kept, and how long what was forgotten."""
    ages = ((name, getattr(memory.retention, name)) for name in memory.retention.__struct_fields__)
    retention = {name: read_duration(age) for name, age in ages if age is not None}
    return ForgettingRules(read_duration(memory.restorable_for), retention)


def database_name(postgresql: PostgresqlSettings) -> str:
    """Return what tells the configured database from others, without its password."""
    external = external_target(postgresql)
    return "embedded" if external is None else place_of(external.url)


def chooser(
    loaded: Loaded, given: Embedder | None
) -> Callable[[ModelIdentity | None], Awaitable[Choice]]:
    """Return what chooses the embedder of the settings, or the given one."""
    embedding = loaded.settings.embedding
    config = EmbeddingConfig(
        provider=embedding.provider,
        model=embedding.model,
        ollama_base_url=embedding.ollama_base_url,
        openai_base_url=embedding.openai_base_url,
        openai_api_key=Secret(embedding.openai_api_key) if embedding.openai_api_key else None,
        openai_dimensions=embedding.openai_dimensions,
        batch_size=embedding.batch_size,
        timeout_s=embedding.timeout,
        threads=embedding.threads,
        daemon=DaemonFiles(loaded.locations.daemon_lock, loaded.locations.token),
    )

    async def choose(expected: ModelIdentity | None) -> Choice:
        if given is not None:
            return Choice(given, "It was given to open_app.")
        return await choose_embedder(
            config, models=loaded.locations.models, environ=loaded.environ, expected=expected
        )

    return choose


def store_files_maker(memories: MemoryStore, retriever: Retriever) -> MakeStoreFiles:
    """Return what makes LlamaIndex's pipeline; it raises `Unavailable` where that is not installed."""

    async def make(repository: Repository, splitting: Splitting) -> StoreFiles:
        name = "mahavishnu.engines.llamaindex.pipeline"
        pipeline = await asyncio.to_thread(import_engine, name)  # which takes a second
        store_files: StoreFiles = pipeline.make_store_files(
            memories, retriever.search, repository, splitting
        )
        return store_files

    return make


def import_engine(name: str) -> Any:
    """Import a module of an engine; raises `Unavailable` where its extra is not installed."""
    require_installed(name.split(".")[2])
    return import_module(name)
