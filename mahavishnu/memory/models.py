"""What the memory package speaks: frozen values, checked once where they enter."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from mahavishnu.errors import UsageError

MAX_CONTENT_BYTES = 1_048_576
MAX_METADATA_BYTES = 65_536
MAX_KEY_LENGTH = 1_000
MAX_QUERY_CHARACTERS = 10_000
MAX_LIMIT = 1_000
MAX_NAME_LENGTH = 200
MAX_NESTING = 100  # of JSON; PostgreSQL's own limit lies in its stack

_JSON_HINT = "Use texts, finite numbers, booleans, null, lists, and objects with texts for keys."

type MemoryType = Literal["agent", "rag", "workflow", "insight"]
type Collection = Literal["note", "conversation", "document", "code", "execution", "insight"]
type Visibility = Literal["private", "shared"]
type Mode = Literal["hybrid", "vector", "text"]
type Vector = Sequence[float]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtVector:
    """
    A vector the caller made: refused unless `model` is the active one and the length fits.

    `dimensions` makes the model the database's own where it has none yet and no embedder is there.
    """

    model: str
    values: Vector
    dimensions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """
    What is to be remembered.

    `source_key` tells apart equal texts that are not the same memory (two turns that say "ok").
    `context` is indexed in front of the content but not part of it: a turn's speaker and date, a
    section's headings. `project` is a name. Times carry a zone.
    """

    content: str
    collection: Collection = "note"
    source_system: str = "cli"
    source_key: str = ""
    project: str | None = None
    visibility: Visibility = "private"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    context: str = ""
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


@dataclass(frozen=True, slots=True)
class Stored:
    """The outcome of a store: the memory's id, and whether it is new or the same text's of before."""

    id: UUID
    created: bool
    embedded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A stored memory, as it is read back."""

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

    Raises `UsageError` where it is made of what no memory can have, or of naive times.
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

    def __post_init__(self) -> None:
        for what, values, known in (
            ("type", self.memory_types, MEMORY_TYPES),
            ("collection", self.collections, COLLECTIONS),
            ("project", self.projects, None),
        ):
            if not isinstance(values, tuple | list):
                raise UsageError(f"The filter takes a tuple of {what}s.", code="input.wrong_type")
            for value in values:
                check_text(value, what=what)
                if known is not None and value not in known:
                    raise unknown_value(what, value, known)
        for name in ("agent_id", "workflow_id", "repo_id", "session_id", "source_system"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), what=name)
        check_moment(self.since, what="since")
        check_moment(self.until, what="until")
        if self.metadata is not None:
            check_metadata(self.metadata)

    @property
    def fine_parameters(self) -> tuple[Any, ...]:
        """What scopes cannot answer, in the order of the filtering queries' parameters."""
        return (
            self.agent_id,
            self.workflow_id,
            self.repo_id,
            self.session_id,
            self.source_system,
            self.metadata,
            self.since,
            self.until,
        )

    @property
    def is_fine(self) -> bool:
        """Whether it asks for more than scopes (owner, project, collection) can answer."""
        return any(value is not None for value in self.fine_parameters)

    @property
    def wanted_collections(self) -> tuple[str, ...]:
        """The collections that types and collections together leave; empty means all."""
        of_types = tuple(c for t in self.memory_types for c in COLLECTIONS_OF_TYPE.get(t, ()))
        if not self.collections:
            return of_types
        return tuple(c for c in self.collections if not of_types or c in of_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScore:
    """One arm's view of a hit: rank from 1 (None: not among its candidates), raw score, share."""

    rank: int | None
    score: float
    contribution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A found memory, `truncated` to a token budget or whole. `score` is in 0..1, for one answer only."""

    memory: Memory
    score: float
    arms: Mapping[str, ArmScore]
    char_start: int | None = None
    char_end: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A part of the search that did not take part, and why."""

    part: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first, and what was missing on the way."""

    query: str
    mode: Mode
    hits: tuple[Hit, ...]
    degraded: tuple[Degraded, ...]
    explanation: Mapping[str, Any]


def check_new_memory(new: NewMemory) -> NewMemory:
    """
    Refuse what cannot be stored as it is; returns `new`.

    Raises:
        UsageError: empty or too long text, NUL bytes, lone surrogates, values of another type,
            unknown words, naive times, metadata that is no JSON object or too large.
    """
    check_text(new.content, what="text")
    check_text(new.context, what="context")
    if not new.content.strip():
        raise UsageError("There is no text to remember.", code="memory.empty")
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
    if new.source_key:
        check_name(new.source_key, what="source_key", at_most=MAX_KEY_LENGTH)
    check_name(new.source_system, what="source_system")
    for name in ("agent_id", "workflow_id", "repo_id", "session_id", "commit_id", "project"):
        if getattr(new, name) is not None:
            check_name(getattr(new, name), what=name)
    check_text(new.path or "", what="path")
    check_moment(new.occurred_at, what="occurred_at")
    check_moment(new.expires_at, what="expires_at")
    check_metadata(new.metadata)
    if new.id is not None and not isinstance(new.id, UUID):
        raise _wrong_type("id", "a UUID", new.id)
    if new.vector is not None:
        _check_vector(new.vector)
    return new


def check_name(name: str, *, what: str, at_most: int = MAX_NAME_LENGTH) -> None:
    """Refuse a name that is no text, empty or longer than its column."""
    check_text(name, what=what)
    if not 0 < len(name) <= at_most:
        raise UsageError(f"{what} needs 1 to {at_most} characters.", code="input.length")


def check_moment(moment: datetime | None, *, what: str) -> None:
    """Refuse a time without a zone, which no two machines read alike; None passes."""
    if moment is None:
        return
    if not isinstance(moment, datetime):
        raise _wrong_type(what, "a datetime", moment)
    if moment.utcoffset() is None:
        raise UsageError(
            f"{what} has no time zone.", hint="Pass an aware datetime.", code="input.time"
        )
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise UsageError(f"{what} is out of range.", code="input.time") from error


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is none, or too large for one answer."""
    if not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"limit must be 1 to {MAX_LIMIT}.", code="input.limit")


def check_text(text: str, *, what: str) -> None:
    """Refuse what is no text, and characters that UTF-8 or PostgreSQL cannot hold, with their place."""
    if not isinstance(text, str):
        raise _wrong_type(what, "text", text)
    if "\x00" in text:
        raise UsageError(
            f"The {what} holds a NUL byte at character {text.index(chr(0))}.",
            hint="Is it a binary file? Only text can be stored.",
            code="input.nul",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The {what} is not valid Unicode at character {error.start}.",
            hint="Re-encode it as UTF-8.",
            code="input.encoding",
        ) from error


def check_metadata(
    metadata: Mapping[str, Any], *, what: str = "metadata", at_most: int = MAX_METADATA_BYTES
) -> None:
    """Refuse a JSON object that would not come back as it is, or has more than `at_most` bytes."""
    if not isinstance(metadata, dict):
        raise UsageError(f"The {what} is not a JSON object.", code="input.metadata")
    _check_values(metadata, what, MAX_NESTING)
    try:
        encoded = msgspec.json.encode(metadata)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise UsageError(
            f"The {what} cannot be written as JSON.", hint=_JSON_HINT, code="input.metadata"
        ) from error
    if len(encoded) > at_most:
        raise UsageError(
            f"The {what} has {len(encoded):,} bytes; at most {at_most:,} are kept.",
            code="input.metadata",
        )


def _check_values(value: Any, what: str, levels: int) -> None:
    """Refuse what JSON, or PostgreSQL's, would lose or change inside metadata."""
    problem = None
    if isinstance(value, str):
        if "\x00" in value:
            raise UsageError(f"The {what} holds a NUL character.", code="input.nul")
    elif isinstance(value, float):
        problem = None if math.isfinite(value) else "a number that JSON lacks"
    elif not isinstance(value, dict | list | tuple | int | None):
        problem = f"a {type(value).__name__}"
    elif levels == 0 and isinstance(value, dict | list | tuple):
        problem = f"more than {MAX_NESTING} levels"
    elif isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        problem = "a key that is no text"
    if problem is not None:
        raise UsageError(f"The {what} holds {problem}.", hint=_JSON_HINT, code="input.metadata")
    if isinstance(value, dict | list | tuple):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_values(inner, what, levels - 1)


def _check_vector(vector: BroughtVector) -> None:
    """Refuse a vector that is none; whether it fits is for the vector space to say."""
    check_name(vector.model, what="the vector's model")
    try:
        for value in vector.values:
            float(value)
    except (TypeError, ValueError) as error:
        raise UsageError("The vector holds what is no number.", code="input.vector") from error


def _wrong_type(what: str, wanted: str, value: object) -> UsageError:
    return UsageError(
        f"The {what} must be {wanted}, not {type(value).__name__}.", code="input.wrong_type"
    )


def unknown_value(what: str, value: str, known: Sequence[str]) -> UsageError:
    """Return the error for a word that is not in a closed list."""
    return UsageError(
        f"Unknown {what}: {value!r}.",
        hint=f"Known are: {', '.join(known)}.",
        code=f"input.{what.replace(' ', '_')}",
    )


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)
