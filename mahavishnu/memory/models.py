"""
What the memory package speaks: frozen values, checked once where they enter.

What a search makes by the dozen is a Struct, which is made five times as fast as a frozen dataclass.
"""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from mahavishnu.base.errors import UsageError
from mahavishnu.memory.checks import (
    check_length,
    check_metadata,
    check_moment,
    check_name,
    check_text,
    unknown_value,
    wrong_type,
)

MAX_CONTENT_BYTES = 1_048_576
MAX_KEY_LENGTH = 1_000
MAX_QUERY_CHARACTERS = 10_000

type MemoryType = Literal["agent", "rag", "workflow", "insight"]
type Collection = Literal["note", "conversation", "document", "code", "execution", "insight"]
type Visibility = Literal["private", "shared"]
type Mode = Literal["hybrid", "vector", "text"]
type VectorLike = Sequence[float]

MEMORY_TYPES: tuple[str, ...] = get_args(MemoryType.__value__)
COLLECTIONS: tuple[str, ...] = get_args(Collection.__value__)
VISIBILITIES: tuple[str, ...] = get_args(Visibility.__value__)
MODES: tuple[str, ...] = get_args(Mode.__value__)

# The first collection of a type is its default.
COLLECTIONS_OF_TYPE: Mapping[str, tuple[Collection, ...]] = {
    "agent": ("note", "conversation"),
    "rag": ("document", "code"),
    "workflow": ("execution",),
    "insight": ("insight",),
}


# Where a memory comes from: each is a column, a member of requests and answers, an option, and a filter.
NAMES: Mapping[str, str] = {
    "repo_id": "Repository it is about.",
    "agent_id": "Agent it comes from.",
    "workflow_id": "Workflow it belongs to.",
    "session_id": "Session it comes from.",
}
SOUGHT_NAMES = (*NAMES, "source_system")


def only(name: str) -> str:
    """Return what one of `NAMES` means in a filter."""
    return f"Only this {NAMES[name].split()[0].lower()}."


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtVector:
    """
    A vector the caller made: refused unless `model` is the active one and the length fits.

    `dimensions` makes the model the database's own where it has none yet and no embedder is there.
    """

    model: str
    values: VectorLike
    dimensions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """
    What is to be remembered.

    `source_key` tells apart equal texts that are not the same memory (two turns that say "ok").
    `context` is indexed in front of the content but not part of it: a turn's speaker and date, a
    section's headings. `project` is a name. Times carry a zone; `expires_at` is yet to come.
    """

    content: str
    collection: Collection = "note"
    source_key: str = ""
    project: str | None = None
    visibility: Visibility = "private"
    context: str = ""
    source_system: str = "cli"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    agent_id: str | None = None
    workflow_id: str | None = None
    repo_id: str | None = None
    session_id: str | None = None
    path: str | None = None
    commit_id: str | None = None
    occurred_at: datetime | None = None
    expires_at: datetime | None = None
    id: UUID | None = None
    vector: BroughtVector | None = None

    @property
    def indexed_text(self) -> str:
        """The text that both arms of the search index."""
        return f"{self.context}\n{self.content}" if self.context else self.content

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content.encode()).digest()


# Of a new memory these are columns as they are; those of `IDENTITY` tell which memories are the same.
IDENTITY = ("content", "collection", "source_key")
COLUMNS = tuple(
    each.name
    for each in fields(NewMemory)
    if each.name not in ("id", "project", "visibility", "vector")
)
BESIDE_IDENTITY = tuple(name for name in COLUMNS if name not in IDENTITY)


@dataclass(frozen=True, slots=True)
class Stored:
    """
    The outcome of a store: the memory's id, and whether it is new or an earlier one of the same text.

    `not_kept` names the fields in which the earlier one says something else than what was given: it
    stays as it was. `waits` is why it waits in the spool of this machine, where it does.
    """

    id: UUID
    created: bool
    embedded: bool
    not_kept: tuple[str, ...] = ()
    waits: str | None = None


class Memory(msgspec.Struct, frozen=True):
    """A stored memory, as it is read back; its fields are the columns of the reading queries, in order."""

    id: UUID
    memory_no: int
    content: str
    context: str
    memory_type: str
    collection: str
    source_system: str
    source_key: str
    project: str | None
    owner: str
    visibility: str
    metadata: dict[str, Any]
    agent_id: str | None
    workflow_id: str | None
    repo_id: str | None
    session_id: str | None
    path: str | None
    commit_id: str | None
    occurred_at: datetime
    stored_at: datetime
    expires_at: datetime | None
    superseded_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFilter:
    """
    Which memories are meant; a field left out does not narrow. `until` is exclusive.

    `condition` is a predicate of SQL/JSON path over the metadata, such as `$.pages > 10`: in one that a
    program writes each value has to be a JSON literal. Lists do for tuples. Raises `UsageError` where it
    is made of what no memory can have, of naive times, or of a `since` after `until`.
    """

    memory_types: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    agent_id: str | None = None
    workflow_id: str | None = None
    repo_id: str | None = None
    session_id: str | None = None
    source_system: str | None = None
    metadata: Mapping[str, Any] | None = None
    since: datetime | None = None
    until: datetime | None = None
    condition: str | None = None

    def __post_init__(self) -> None:
        for name, what, known in (
            ("memory_types", "type", MEMORY_TYPES),
            ("collections", "collection", COLLECTIONS),
            ("projects", "project", None),
        ):
            values = getattr(self, name)
            if not isinstance(values, tuple | list):
                raise wrong_type(name, "a tuple of texts", values)
            for value in values:
                check_text(value, what=what)
                if known is not None and value not in known:
                    raise unknown_value(what, value, known)
            object.__setattr__(self, name, tuple(values))  # searches remember by these
        for name in SOUGHT_NAMES:
            if getattr(self, name) is not None:
                check_text(getattr(self, name), what=name)
        check_moment(self.since, what="since")
        check_moment(self.until, what="until")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise UsageError(
                "since is after until, so nothing can pass.",
                hint="Exchange the two.",
                code="input.time",
            )
        if self.metadata is not None:
            check_metadata(self.metadata)

    @property
    def fine_parameters(self) -> tuple[Any, ...]:
        """What scopes cannot answer, as parameters of `statements.passes`."""
        names = (getattr(self, name) for name in SOUGHT_NAMES)
        return (*names, self.metadata, self.since, self.until)

    @property
    def is_fine(self) -> bool:
        """Whether it asks for more than scopes (owner, project, collection) can answer."""
        return any(value is not None for value in (*self.fine_parameters, self.condition))

    @property
    def wanted_collections(self) -> tuple[str, ...]:
        """The collections that types and collections together leave; empty means all."""
        of_types = tuple(c for t in self.memory_types for c in COLLECTIONS_OF_TYPE.get(t, ()))
        if not self.collections:
            return of_types
        return tuple(c for c in self.collections if not of_types or c in of_types)


@dataclass(frozen=True, slots=True)
class Head:
    """What a list shows of a memory; its fields are the columns of `list_heads`, in order."""

    id: UUID
    memory_no: int
    beginning: str
    size: int
    memory_type: str
    project: str | None
    occurred_at: datetime


class ArmScore(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's view of a hit: rank from 1 (None: not among its candidates), raw score, share."""

    rank: int | None
    score: float
    contribution: float


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A found memory, `truncated` to a token budget or whole. `score` is in 0..1, for one answer only."""

    memory: Memory
    score: float
    arms: Mapping[str, ArmScore]
    char_start: int | None = None
    char_end: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A part of the search that did not take part, and why; `waiting` for vectors that the caller can make."""

    part: str
    reason: str
    waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first, and what was missing on the way."""

    query: str
    mode: Mode
    hits: tuple[Hit, ...]
    degraded: tuple[Degraded, ...]
    explanation: Mapping[str, Any]


def check_new_memory(new: NewMemory, *, now: datetime | None = None) -> NewMemory:
    """
    Refuse what cannot be stored as it is; returns `new`.

    Raises:
        UsageError: empty or too long text, NUL bytes, lone surrogates, values of another type,
            unknown words, naive times, an expiry that is over, metadata that is no JSON object or
            too large.
    """
    check_text(new.content, what="text")
    check_text(new.context, what="context")
    if not new.content.strip():
        raise UsageError(
            "There is no text to remember.",
            hint="Give a text with more than blanks in it.",
            code="memory.empty",
        )
    size = len(new.content.encode()) + len(new.context.encode())
    if size > MAX_CONTENT_BYTES:
        raise UsageError(
            f"The text has {size:,} bytes; a memory holds {MAX_CONTENT_BYTES:,}.",
            hint="Import it as a document, or split it.",
            code="memory.too_large",
        )
    if new.collection not in COLLECTIONS:
        raise unknown_value("collection", new.collection, COLLECTIONS)
    if new.visibility not in VISIBILITIES:
        raise unknown_value("visibility", new.visibility, VISIBILITIES)
    if new.source_key != "":
        check_length(new.source_key, what="source_key", at_most=MAX_KEY_LENGTH)
    check_name(new.source_system, what="source_system")
    for name in (*NAMES, "commit_id", "project"):
        if getattr(new, name) is not None:
            check_name(getattr(new, name), what=name)
    if new.path is not None:
        check_text(new.path, what="path")
    check_moment(new.occurred_at, what="occurred_at")
    check_moment(new.expires_at, what="expires_at")
    if new.expires_at is not None and new.expires_at <= (now or utc_now()):
        raise UsageError(
            "expires_at is in the past: no search would find the memory.",
            hint="Give a time to come, or leave it out.",
            code="input.time",
        )
    check_metadata(new.metadata)
    if new.id is not None and not isinstance(new.id, UUID):
        raise wrong_type("id", "a UUID", new.id)
    if new.vector is not None:
        check_vector(new.vector)
    return new


def choose_collection(memory_type: str, collection: str | None) -> Collection:
    """
    Return the collection that is meant; without one the usual one of the type.

    Raises:
        UsageError: one of the two is unknown, or they exclude each other.
    """
    if memory_type not in MEMORY_TYPES:
        raise unknown_value("type", memory_type, MEMORY_TYPES)
    if collection is None:
        return COLLECTIONS_OF_TYPE[memory_type][0]
    if collection not in COLLECTIONS:
        raise unknown_value("collection", collection, COLLECTIONS)
    for kind, members in COLLECTIONS_OF_TYPE.items():
        if collection in members and memory_type not in ("agent", kind):
            raise UsageError(
                f"The collection {collection} belongs to the type {kind}, not {memory_type}.",
                hint=f"Take the type {kind}, or one of: {', '.join(COLLECTIONS_OF_TYPE[memory_type])}.",
                code="input.collection",
            )
    return collection  # type: ignore[return-value]


def check_vector(vector: BroughtVector) -> None:
    """Refuse an invalid vector; whether it fits is for the vector space to say."""
    check_name(vector.model, what="the vector's model")
    if not vector.model.isprintable():
        raise UsageError(
            "The vector's model has characters that cannot be printed.",
            hint="Name it as its provider does.",
            code="input.vector",
        )
    try:
        if isinstance(vector.values, str | bytes | bytearray):
            raise TypeError("a text is a sequence too")
        array("d", vector.values)  # which takes no text for a number, as float() does
        len(vector.values)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            "The vector holds a value that is not a number.",
            hint="Pass a sequence of finite floats, as many as the model has dimensions.",
            code="input.vector",
        ) from error


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)
