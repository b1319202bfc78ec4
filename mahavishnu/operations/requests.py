"""What the memory operations take. Descriptions are read by models, which choose and fill by them."""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, field
from msgspec.structs import asdict

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.memory.checks import (
    MAX_NAME_LENGTH,
    MAX_OFFSET,
    check_limit,
    check_name,
    check_offset,
    check_text,
)
from mahavishnu.memory.models import (
    NAMES,
    SOUGHT_NAMES,
    BroughtVector,
    Collection,
    MemoryFilter,
    MemoryType,
    Mode,
    NewMemory,
    Visibility,
    check_new_memory,
    choose_collection,
    only,
)
from mahavishnu.memory.search import SearchRequest, TierName, check_request
from mahavishnu.operations.cursors import read_cursor
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.operation import Request
from mahavishnu.operations.refusals import brief
from mahavishnu.operations.vectors import VectorField

DEFAULT_BUDGET = 4_000  # tokens of one answer
LEAST_BUDGET = 800  # holds one memory cut short, be its names as long as they may
EMBEDDING_MODEL = (
    "Model that made the embedding; if absent the one in use, or the configured one before any is."
)
type Id = Annotated[
    str,
    Meta(
        min_length=4,
        max_length=64,
        description="Id of a memory, whole or the 8 hex digits it ends with.",
    ),
]
type Limit = Annotated[int, Meta(ge=1, le=1000, description="Most memories of one answer.")]
type Budget = Annotated[
    Annotated[int, Meta(ge=LEAST_BUDGET, le=1_000_000)] | None,
    Meta(
        description="Bound on the size of the answer, in tokens (estimated on the high side); "
        "null for none. What does not fit is cut or left out, and the answer says so."
    ),
]
type Cursor = Annotated[
    Annotated[str, Meta(max_length=100)] | None,
    Meta(description="next_cursor of the page before."),
]
type Cosine = Annotated[float, Meta(ge=-1, le=1)]
type Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
type Sought = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]  # an empty one finds nothing
type Moment = Annotated[str, Meta(max_length=64)]
type FolderPath = Annotated[str, Meta(pattern="^/", max_length=4096)]
type Text = Annotated[str, Meta(min_length=1, description="The text to remember, up to 1 MiB.")]


class Where(Request, frozen=True, kw_only=True):
    """Which memories are meant; what is left out does not narrow."""

    memory_types: Annotated[list[MemoryType], Meta(description="Only these types.")] = field(
        default_factory=list
    )
    collections: Annotated[list[Collection], Meta(description="Only these collections.")] = field(
        default_factory=list
    )
    projects: Annotated[
        list[Sought], Meta(max_length=100, description="Only these projects, by name.")
    ] = field(default_factory=list)
    repo_id: Annotated[Sought | None, Meta(description=only("repo_id"))] = None
    agent_id: Annotated[Sought | None, Meta(description=only("agent_id"))] = None
    workflow_id: Annotated[Sought | None, Meta(description=only("workflow_id"))] = None
    session_id: Annotated[Sought | None, Meta(description=only("session_id"))] = None
    source_system: Annotated[Sought | None, Meta(description="Only what this system stored.")] = (
        None
    )
    metadata: Annotated[
        dict[str, Any] | None, Meta(description="Only memories whose metadata contains this.")
    ] = None
    since: Annotated[
        Moment | None,
        Meta(description='Not before: "7d", "12h", "2w" ago, or an ISO date or time.'),
    ] = None
    until: Annotated[Moment | None, Meta(description="Before this moment; as since.")] = None

    def filter(self) -> MemoryFilter:
        """Return the filter, which checks itself."""
        fields = {name: getattr(self, name) for name in Where.__struct_fields__}
        sought = [(name, fields[name]) for name in SOUGHT_NAMES]
        for name, value in [*sought, *(("project", each) for each in self.projects)]:
            if value:
                check_name(value, what=name)
        moments = {name: parse_moment(fields[name], what=name) for name in ("since", "until")}
        return MemoryFilter(**fields | moments)

    def check(self) -> None:
        """Refuse a filter that nothing can pass."""
        self.filter()


def check_folder(path: str) -> Path:
    """Return the absolute path of a folder; raises `UsageError` for another path."""
    check_text(path, what="path")
    if not Path(path).is_absolute():
        raise UsageError(
            f"{brief(path)} is not an absolute path.",
            hint="Name the folder from the root on.",
            code="input.folder",
        )
    return Path(path)


class StoreMemory(Request, frozen=True, kw_only=True):
    """A memory to store."""

    content: Text
    memory_type: Annotated[
        MemoryType, Meta(description="agent: notes and decisions; rag: documents and code.")
    ] = "agent"
    collection: Annotated[
        Collection | None, Meta(description="Kind within the type; its usual one by default.")
    ] = None
    project: Annotated[Name | None, Meta(description="Project it belongs to; made if new.")] = None
    visibility: Annotated[
        Visibility, Meta(description="shared: everyone who uses this database may find it.")
    ] = "private"
    metadata: Annotated[
        dict[str, Any], Meta(description='Your own keys, such as {"type": "decision"}.')
    ] = field(default_factory=dict)
    source_system: Annotated[
        Name | None, Meta(description="What stores it; mcp or http if absent.")
    ] = None
    agent_id: Annotated[Name | None, Meta(description=NAMES["agent_id"])] = None
    workflow_id: Annotated[Name | None, Meta(description=NAMES["workflow_id"])] = None
    repo_id: Annotated[Name | None, Meta(description=NAMES["repo_id"])] = None
    session_id: Annotated[Name | None, Meta(description=NAMES["session_id"])] = None
    occurred_at: Annotated[
        Moment | None,
        Meta(description="When it happened: ISO, or 2h for two hours ago; now if absent."),
    ] = None
    expires_at: Annotated[
        Moment | None, Meta(description="ISO time from which it is no longer found.")
    ] = None
    checkpoint: Annotated[
        FolderPath | None,
        Meta(
            description="Absolute path of a folder whose commit and quality score go into the metadata."
        ),
    ] = None

    def memory(self, *, source: str, vector: BroughtVector | None = None) -> NewMemory:
        """Return what is to be stored; `source` is its source system where it names none."""
        fields = asdict(self)
        del fields["checkpoint"]
        fields["collection"] = choose_collection(fields.pop("memory_type"), self.collection)
        fields["source_system"] = source if self.source_system is None else self.source_system
        for name in ("expires_at", "occurred_at"):
            fields[name] = parse_moment(fields[name], what=name)
        return NewMemory(**fields, vector=vector)

    def check(self) -> None:
        """Refuse what cannot be stored."""
        if self.checkpoint is not None:
            check_folder(self.checkpoint)
        check_new_memory(self.memory(source="check"))


# Metadata of a unified memory that becomes fields of it.
FIELDS_IN_METADATA = ("memory_type", "collection", "project", "source_system", *NAMES)


class StoreUnifiedMemory(Request, frozen=True, kw_only=True):
    """A memory to store, with a vector where the caller has one."""

    content: Text
    embedding: VectorField = None
    embedding_model: Annotated[Name | None, Meta(description=EMBEDDING_MODEL)] = None
    metadata: Annotated[
        dict[str, Any],
        Meta(
            description="Your own keys. The keys "
            f"{', '.join(FIELDS_IN_METADATA[:-1])} and {FIELDS_IN_METADATA[-1]} become the memory's own fields."
        ),
    ] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what cannot be stored."""
        StoreMemory(content=self.content, metadata=self.metadata).check()


class Search(Where, frozen=True, kw_only=True):
    """A question."""

    query: Annotated[
        str, Meta(min_length=1, max_length=10_000, description="What you look for, in your words.")
    ]
    mode: Annotated[
        Mode, Meta(description="hybrid finds by meaning and by words; vector, text: one of them.")
    ] = "hybrid"
    group: Annotated[
        Name | None, Meta(description="Only projects of this group of repositories.")
    ] = None
    tiers: Annotated[
        list[TierName],
        Meta(
            description="Where to look; if empty hot, the vectors in a daemon's memory, or else cold, PostgreSQL. "
            "`degraded` names a tier that did not answer."
        ),
    ] = field(default_factory=list)
    limit: Limit = 10
    threshold: Annotated[
        Cosine | None, Meta(description="Least cosine similarity of the vector arm.")
    ] = None
    max_tokens: Budget = DEFAULT_BUDGET
    embedding: VectorField = None
    embedding_model: Annotated[Name | None, Meta(description=EMBEDDING_MODEL)] = None
    explain: Annotated[
        bool,
        Meta(description="Add how the answer was found, as `explanation`; its keys may change."),
    ] = False

    def question(self, vector: BroughtVector | None = None) -> SearchRequest:
        """Return what is asked, with the caller's own vector of it; the budget is for the answer."""
        return SearchRequest(
            query=self.query,
            mode=self.mode,
            wanted=self.filter(),
            limit=self.limit,
            threshold=self.threshold,
            tiers=tuple(self.tiers),
            vector=vector,
        )

    def check(self) -> None:
        """Refuse an empty question, and a budget that no hit fits into."""
        check_request(self.question())
        if self.group is not None:
            check_name(self.group, what="group")
        if self.max_tokens is not None and self.max_tokens < LEAST_BUDGET:
            raise UsageError(
                f"max_tokens must be at least {LEAST_BUDGET}.",
                hint="Leave it out for whole contents.",
                code="input.max_tokens",
            )


class GetMemory(Request, frozen=True, kw_only=True):
    """Which memory, and which part of a long one."""

    id: Id
    start: Annotated[int, Meta(ge=0, description="First character of the content to give.")] = 0
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse what is no id."""
        parse_reference(self.id)


class ListMemories(Where, frozen=True, kw_only=True):
    """Which memories, and which page of them."""

    limit: Limit = 20
    offset: Annotated[
        int, Meta(ge=0, le=MAX_OFFSET, description="Memories to pass over; pages go by cursor.")
    ] = 0
    cursor: Cursor = None
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an invalid page."""
        super().check()
        check_limit(self.limit)
        check_offset(self.offset)
        read_cursor(self.cursor)


class SupersedeMemory(Request, frozen=True, kw_only=True):
    """Which memory is corrected, and what it says from now on."""

    id: Id
    content: Text

    def check(self) -> None:
        """Refuse what is no id, and a text that cannot be stored."""
        parse_reference(self.id)
        StoreMemory(content=self.content).check()


class EmbedWaiting(Request, frozen=True, kw_only=True):
    """How many memories get their vectors at most; 0 is all that wait."""

    limit: int = 0

    def check(self) -> None:
        """Refuse less than nothing."""
        if self.limit < 0:
            raise UsageError(
                "limit must be at least 0, which means all.",
                hint="Leave it out to embed all that wait.",
                code="input.limit",
            )


class MemoryStats(Request, frozen=True, kw_only=True):
    """How long the answer may be; all counts are asked for."""

    max_tokens: Budget = DEFAULT_BUDGET
