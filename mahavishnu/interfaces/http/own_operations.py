"""What the daemon offers beside the memory: its state, and its loaded model and keys to other processes."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from mahavishnu import __version__
from mahavishnu.ai.secrets.reference import MAX_LENGTH, parse_reference
from mahavishnu.ai.secrets.resolve import find_identity
from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.operations.ai.secret_settings import own_stores
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.table import OPERATIONS

MAX_TEXTS = 512


class DaemonStatus(Request, frozen=True, kw_only=True):
    """Nothing is asked but the state."""


class DatabaseState(Body, frozen=True, kw_only=True):
    """What the database answers, or why it does not."""

    reachable: bool
    reason: str | None = None
    server_version: str | None = None
    vector_version: str | None = None
    revision: str | None = None
    latency_ms: float | None = None
    connections: int | None = None


class HotState(Body, frozen=True, kw_only=True):
    """Vectors in the daemon's memory."""

    vectors: int
    mb: float
    missing: Annotated[
        str | None, Meta(description="Why searches do not use them; null where they do.")
    ] = None


class DaemonState(Body, frozen=True, kw_only=True):
    """The daemon as it sees itself."""

    version: str
    pid: int
    database: DatabaseState
    model: Annotated[str | None, Meta(description="Embedding model in use.")] = None
    embedder: Annotated[str, Meta(description="Where vectors come from, or why from nowhere.")]
    waiting: Annotated[
        int | None, Meta(description="Memories that wait for their vectors, to 10,000.")
    ] = None
    dead_letters: Annotated[
        int | None, Meta(description="Changes that targets of sync refused for good.")
    ] = None
    proven_backup_at: Annotated[
        datetime | None, Meta(description="When a drill proved the newest proven backup.")
    ] = None
    proven_backup_created_at: Annotated[
        datetime | None, Meta(description="When that backup was made: its age counts from then.")
    ] = None
    spooled: Annotated[int, Meta(description="Writes that wait for PostgreSQL in the spool.")] = 0
    hot: Annotated[
        HotState | None,
        Meta(description="The tier hot; null without the extra or by the settings."),
    ] = None


class Embed(Request, frozen=True, kw_only=True):
    """Texts to embed; none asks for the model's identity alone."""

    kind: Literal["document", "query"] = "document"
    texts: Annotated[list[str], Meta(max_length=MAX_TEXTS)] = msgspec.field(default_factory=list)


class EmbeddedTexts(Struct, frozen=True, kw_only=True):
    """The model, and a vector of length 1 for each text, in order."""

    model: dict[str, Any]
    vectors: list[list[float]]


class ResolveSecret(Request, frozen=True, kw_only=True):
    """Which key is asked for."""

    reference: Annotated[
        str,
        Meta(
            max_length=MAX_LENGTH,
            description="`keyring:SERVICE/NAME`, `file:PATH#NAME` or `oneiric:aws/ID#FIELD`.",
        ),
    ]


class ResolvedSecret(Struct, frozen=True, kw_only=True):
    """The key; shows itself in the answer alone."""

    key: str

    def __repr__(self) -> str:
        return "ResolvedSecret(***)"


async def daemon_status(call: Call, _request: DaemonStatus) -> DaemonState:
    """Say how the daemon is; what does not answer is part of it."""
    waiting = dead_letters = None
    try:
        health = await call.app.health()
        waiting = await call.app.memories.count_waiting()
        dead_letters = await call.app.outbox.count_dead()
        database = DatabaseState(
            reachable=True,
            server_version=health.server_version,
            vector_version=health.vector_version,
            revision=health.revision,
            latency_ms=round(health.latency_ms, 2),
            connections=health.connections,
        )
        choice = await call.app.space.choice()
        embedder, identity = choice.reason, choice.embedder and choice.embedder.identity
    except MahavishnuError as error:
        if dead_letters is None:
            database = DatabaseState(reachable=False, reason=error.message)
        embedder, identity = error.message, None
    proven = None
    with suppress(MahavishnuError):  # `backup list` says why the sets cannot be read
        proven = await call.app.backups.newest_proven()
    return DaemonState(
        version=__version__,
        pid=os.getpid(),
        database=database,
        model=identity.name if identity else None,
        embedder=embedder,
        waiting=waiting,
        dead_letters=dead_letters,
        proven_backup_at=proven.proven_at if proven else None,
        proven_backup_created_at=proven.created_at if proven else None,
        spooled=await asyncio.to_thread(call.app.writes.spool.total),
        hot=_hot_state(call.app),
    )


def _hot_state(app: App) -> HotState | None:
    if app.hot is None:
        return None
    mb = round(app.hot.size_bytes / 2**20, 1)
    return HotState(vectors=len(app.hot), mb=mb, missing=app.hot.missing or None)


async def embed(call: Call, request: Embed) -> EmbeddedTexts:
    """Embed texts with the model that the daemon has loaded."""
    choice = await call.app.space.choice()
    if choice.embedder is None:
        raise Unavailable(choice.reason, code="embedding.none")
    embedder = choice.embedder
    vectors = []
    if request.texts:
        with call.app.space.timings.timed(len(request.texts)):
            if request.kind == "query":
                vectors = [await embedder.embed_query(text) for text in request.texts]
            else:
                vectors = await embedder.embed_documents(request.texts)
    return EmbeddedTexts(
        model=msgspec.to_builtins(embedder.identity), vectors=[list(v) for v in vectors]
    )


async def resolve_secret(call: Call, request: ResolveSecret) -> ResolvedSecret:
    """Return a key that takes long to read; it is remembered for five minutes, in memory."""
    loaded = call.app.loaded
    secret = await call.app.secrets.read(
        parse_reference(request.reference),
        environ=loaded.environ,
        identity=find_identity(loaded.environ, loaded.locations),
        stores=lambda: own_stores(loaded.environ),
    )
    return ResolvedSecret(key=secret.reveal())


OWN_OPERATIONS: Sequence[Operation[Any, Any]] = (
    Operation(
        name="daemon_status",
        title="State of the daemon",
        description="Version, database, model, and what waits.",
        request=DaemonStatus,
        result=DaemonState,
        run=daemon_status,
        method="GET",
        path="/status",
        read_only=True,
    ),
    Operation(
        name="embed",
        title="Embed texts",
        description="Vectors of the model that the daemon has loaded, for other processes of its "
        "user; without texts the identity of the model alone.",
        request=Embed,
        result=EmbeddedTexts,
        run=embed,
        method="POST",
        path="/embeddings",
        read_only=True,
    ),
    Operation(
        name="resolve_secret",
        title="Read a key",
        description="The key that a reference leads to, for `mahavishnu-key` of the same user. The "
        "daemon remembers it for five minutes, in its memory alone.",
        request=ResolveSecret,
        result=ResolvedSecret,
        run=resolve_secret,
        method="POST",
        path="/secrets/resolve",
        read_only=True,
    ),
)
API_OPERATIONS = (*OPERATIONS, *OWN_OPERATIONS)  # all that `/api/v1` offers
