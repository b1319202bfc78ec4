"""
The vector space in use: which model the database holds vectors of, and the embedder that makes more.

Two models are never mixed: an embedder with another identity than the database's does not take part.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

from mahavishnu.base.errors import Conflict, Corrupt, MahavishnuError, Unavailable, UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.base.telemetry.spans import OpenSpan, SpanValue, span
from mahavishnu.database.grants import require_founder
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import MAX_DIMENSIONS, VectorTable
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.documents import EmbeddedChunk, embed_in_chunks
from mahavishnu.embedding.port import Embedder, ModelIdentity
from mahavishnu.embedding.vectors import scale_to_unit
from mahavishnu.memory.metrics import Timings
from mahavishnu.memory.models import BroughtVector, NewMemory, VectorLike, check_vector

_REGISTRATION_LOCK = 5_131_903_144_907_361_073
FAULTS_OF_TEXTS = frozenset(
    (
        "embedding.blank_text",
        "embedding.not_unicode",
        "embedding.too_long",
        "embedding.input_failed",
        "embedding.bad_vector",
    )
)
_QUERIES = load_queries("models")
_log = get_logger(__name__)


class EmbeddingSpace:
    """
    The database's active model together with a lazily chosen embedder.

    `choose` is asked once, with the identity the database expects (None before the first vector).
    """

    def __init__(
        self, database: Database, choose: Callable[[ModelIdentity | None], Awaitable[Choice]]
    ) -> None:
        self._database = database
        self._choose = choose
        self._choice: Choice | None = None
        self._active: tuple[VectorTable, ModelIdentity] | None = None
        self._lock = asyncio.Lock()
        self.timings = Timings("embedding")

    async def aclose(self) -> None:
        """Release the embedder, if one was chosen."""
        if self._choice is not None and self._choice.embedder is not None:
            await self._choice.embedder.aclose()

    def forget(self) -> None:
        """Look again next time: the database was replaced."""
        self._active = None

    async def active(self) -> tuple[VectorTable, ModelIdentity] | None:
        """Return the active model's table and identity, or None before the first vector."""
        if self._active is None:
            row = await self._database.run(lambda c: c.fetchrow(_QUERIES["active_model"]))
            if row is not None:
                values = dict(row)
                table = VectorTable(values.pop("model_no"), values["dimensions"])
                self._active = table, ModelIdentity(**values)
        return self._active

    async def model(self) -> ModelIdentity | None:
        """Return the active model, before the first vector that of the embedder; None without either."""
        active = await self.active()
        if active is not None:
            return active[1]
        try:
            embedder = (await self.choice()).embedder
        except MahavishnuError as error:
            _log.info("no_model_yet", code=error.code, reason=error.message)
            return None
        return embedder.identity if embedder else None

    async def choice(self) -> Choice:
        """Return the embedder for this database, or the reasons why there is none; asked once."""
        async with self._lock:
            if self._choice is None:
                active = await self.active()
                self._choice = await self._choose(active[1] if active else None)
            return self._choice

    async def reconsider(self) -> None:
        """Ask again for an embedder where none was found: a server may be back, a model be there now."""
        async with self._lock:
            if self._choice is None or self._choice.embedder is not None:
                return
            active = await self.active()
            self._choice = await self._choose(active[1] if active else None)

    async def embedder(self) -> Embedder:
        """Return the embedder, or raise `Unavailable` with the reasons why there is none."""
        choice = await self.choice()
        if choice.embedder is None:
            why = " ".join(f"{refusal.provider}: {refusal.why}" for refusal in choice.tried)
            raise Unavailable(choice.reason, hint=why or None, code="embedding.none")
        active = await self.active()
        if active is not None and active[1].key != choice.embedder.identity.key:
            raise Conflict(
                f"The database holds vectors of {active[1].name} ({active[1].provider}, "
                f"{active[1].dimensions} dimensions); the embedder in use is "
                f"{choice.embedder.identity.name} ({choice.embedder.identity.provider}, "
                f"{choice.embedder.identity.dimensions}).",
                hint=f"Set embedding.provider and embedding.model back to {active[1].provider} "
                f"and {active[1].name}.",
                code="embedding.other_model",
            )
        return choice.embedder

    async def embed(self, texts: Sequence[str]) -> list[list[EmbeddedChunk]]:
        """Embed documents in chunks; raises what the embedder raises, `Unavailable` without one."""
        embedder = await self.embedder()
        with _embedding(embedder, len(texts)), self.timings.timed(len(texts)):
            return await embed_in_chunks(embedder, texts)

    async def embed_query(self, text: str) -> VectorLike:
        """Embed a question; raises what the embedder raises, `Unavailable` without one."""
        embedder = await self.embedder()
        with _embedding(embedder, 1), self.timings.timed():
            return await embedder.embed_query(text)

    async def check_question(self, brought: BroughtVector) -> VectorLike:
        """Return a question's brought vector at length 1; `Conflict` where it is of another model."""
        check_vector(brought)
        await self._check_brought(brought)
        return _unit(brought.values)

    async def claim(self) -> VectorTable:
        """Return the table for the embedder's vectors, registering its model if it is the first."""
        embedder = await self.embedder()
        active = await self.active()
        if active is not None:
            return active[0]
        # A model becomes the database's own for good: it must have made a vector first.
        await embedder.embed_documents(["trial"])
        await self._register(embedder.identity)
        await self.embedder()  # another process may have registered another model meanwhile
        active = await self.active()
        assert active is not None
        return active[0]

    async def table_of(self, identity: ModelIdentity) -> VectorTable | None:
        """
        Return the table of the active model where it is this one.

        Where there is none yet this one becomes it, unless the settings' embedder is another. Raises
        `Forbidden` as `_register`.
        """
        active = await self.active()
        if active is None:
            embedder = (await self.choice()).embedder
            if embedder is not None and embedder.identity.key != identity.key:
                return None
            await self._register(identity)
            self._choice = self._choice if embedder else None
            active = await self.active()
        return active[0] if active and active[1].key == identity.key else None

    async def place_brought(self, brought: BroughtVector) -> VectorTable:
        """
        Return the table for a caller's vector, refusing one that does not belong to the active model.

        Where there is none yet, a vector that states its `dimensions` registers its model, unless
        the settings' embedder is there and is another one: it could never be used again.

        Raises:
            UsageError: its length is not the one stated.
            Conflict: there is no active model, it is another one, or the length differs.
        """
        if await self.active() is None and brought.dimensions is not None:
            await self._register_brought(brought)
        return await self._check_brought(brought)

    async def _check_brought(self, brought: BroughtVector) -> VectorTable:
        """Return the active model's table, or raise `Conflict` where the vector is not of that model."""
        active = await self.active()
        if active is None:
            raise Conflict(
                "No embedding model is in use yet, so a vector cannot be placed.",
                hint="State its dimensions, and its model becomes the database's own; "
                "or store one memory with an embedder first: mahavishnu model status",
                code="embedding.no_model",
            )
        table, identity = active
        if brought.model not in (identity.name, identity.key):
            raise _other_model(brought, f"the database uses {identity.name}")
        if len(brought.values) != identity.dimensions:
            raise Conflict(
                f"The vector has {len(brought.values)} dimensions; "
                f"{identity.name} has {identity.dimensions}.",
                hint="Leave the vector out, and the text is embedded here.",
                code="embedding.dimension_mismatch",
            )
        return table

    async def _register_brought(self, brought: BroughtVector) -> None:
        """Make the model of a first vector the database's own; the embedder's own one if it is that."""
        if brought.dimensions != len(brought.values) or len(brought.values) > MAX_DIMENSIONS:
            raise UsageError(
                f"The vector has {len(brought.values)} dimensions; stated are {brought.dimensions}, "
                f"and at most {MAX_DIMENSIONS} are kept.",
                code="input.vector",
            )
        embedder = (await self.choice()).embedder
        if embedder is None:
            await self._register(
                ModelIdentity(
                    provider="brought",
                    name=brought.model,
                    revision="",
                    dimensions=brought.dimensions,
                    document_prefix="",
                    query_prefix="",
                    window_tokens=0,
                )
            )
            self._choice = None  # asked again, it knows that no embedder will do
            return
        if brought.model not in (embedder.identity.name, embedder.identity.key):
            raise _other_model(brought, f"the embedder in use is {embedder.identity.name}")
        await self.claim()

    async def _register(self, identity: ModelIdentity) -> None:
        """
        Make a model the active one unless there is one.

        Raises `Forbidden` as `require_founder` does.
        """

        async def register(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_QUERIES["lock_models"], _REGISTRATION_LOCK)
                if await connection.fetchrow(_QUERIES["active_model"]) is not None:
                    return
                await require_founder(connection)
                model_no = await connection.fetchval(
                    _QUERIES["add_model"],
                    identity.provider,
                    identity.name,
                    identity.revision,
                    identity.dimensions,
                    identity.document_prefix,
                    identity.query_prefix,
                    identity.window_tokens,
                )
                await connection.execute(VectorTable(model_no, identity.dimensions).create())

        await self._database.run(register)

    async def make_chunks(
        self, news: Sequence[NewMemory], *, embed: bool
    ) -> tuple[list[list[EmbeddedChunk]], VectorTable | None]:
        """Return the chunks of each memory and their table; nothing where no embedder is there."""
        brought = [new for new in news if new.vector is not None]
        for new in brought:
            assert new.vector is not None
            await self.place_brought(new.vector)
        active = await self.active() if brought else None
        chunks, table = [_brought_chunks(new) for new in news], active[0] if active else None
        own = [place for place, new in enumerate(news) if new.vector is None]
        if not own or not embed:
            return chunks, table
        try:
            table = await self.claim()
            made = await self.embed_each([news[place].indexed_text for place in own])
        except MahavishnuError as error:
            _log.info("embedding_postponed", code=error.code, reason=error.message)
            return chunks, table
        for place, embedded in zip(own, made, strict=True):
            chunks[place] = embedded
        return chunks, table

    async def embed_each(self, texts: Sequence[str]) -> list[list[EmbeddedChunk]]:
        """Embed texts together; one that is at fault itself gives none, and holds up no other."""
        try:
            return await self.embed(texts)
        except (UsageError, Corrupt) as error:
            if error.code not in FAULTS_OF_TEXTS:
                raise
            if len(texts) == 1:
                return [[]]
        half = len(texts) // 2
        return await self.embed_each(texts[:half]) + await self.embed_each(texts[half:])


def _embedding(embedder: Embedder, count: int) -> AbstractContextManager[OpenSpan]:
    """Return the span of texts that are made vectors."""
    model = embedder.identity
    attributes: dict[str, SpanValue] = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.name,
        "gen_ai.embeddings.dimension.count": model.dimensions,
        "mahavishnu.embedding.texts": count,
    }
    return span(f"embeddings {model.name}", attributes, kind="client")


def _other_model(brought: BroughtVector, instead: str) -> Conflict:
    return Conflict(
        f"The vector is of {brought.model}; {instead}.",
        hint="Leave the vector out, and the text is embedded here.",
        code="embedding.other_model",
    )


def _brought_chunks(new: NewMemory) -> list[EmbeddedChunk]:
    if new.vector is None:
        return []
    return [EmbeddedChunk(0, len(new.indexed_text), _unit(new.vector.values))]


def _unit(values: Sequence[float]) -> list[float]:
    unit = scale_to_unit(values)
    if unit is None:
        raise UsageError("The vector has no direction.", code="input.vector")
    return unit
