"""What the operations on repositories take, and what they give."""

import pathlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, field

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.memory.checks import check_name
from mahavishnu.memory.search import SearchRequest, check_request
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Request
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget, Name
from mahavishnu.operations.results import FoundMemory, SearchAnswer

type Path = Annotated[str, Meta(min_length=1, max_length=4096)]
type Group = Annotated[Name | None, Meta(description="Only repositories of this group.")]


class IngestRepository(Request, frozen=True, kw_only=True):
    """Which repository is read."""

    repo_path: Annotated[
        Path, Meta(description="Absolute path of its folder; of a known one its name does too.")
    ]
    metadata: Annotated[
        dict[str, Any], Meta(description="Your own keys; they are kept with the run.")
    ] = field(default_factory=dict)


class IngestRepositories(Request, frozen=True, kw_only=True):
    """Which known repositories are read, and who hears of each: its call, its result, its error."""

    names: tuple[str, ...]
    group: str | None
    showing: Callable[[Call, str], AbstractContextManager[Call]]
    on_ingested: Callable[["IngestedRepository"], object]
    on_failed: Callable[[str, MahavishnuError], object]


class QueryKnowledgeBase(Request, frozen=True, kw_only=True):
    """A question to code and documents."""

    query: Annotated[
        str, Meta(min_length=1, max_length=10_000, description="What you look for, in your words.")
    ]
    repo_id: Annotated[
        Path | None, Meta(description="Only this repository: its repo_id, name or path.")
    ] = None
    group: Group = None
    top_k: Annotated[int, Meta(ge=1, le=1000, description="Most passages of the answer.")] = 5
    max_tokens: Budget = DEFAULT_BUDGET
    explain: Annotated[bool, Meta(description="Add how the answer was found.")] = False

    def check(self) -> None:
        """Refuse an empty question."""
        check_request(SearchRequest(query=self.query, limit=self.top_k))
        if self.group is not None:
            check_name(self.group, what="group")


class ListRepositories(Request, frozen=True, kw_only=True):
    """Which repositories; all where neither names nor a group are given."""

    names: Annotated[
        list[Path], Meta(max_length=100, description="Only these: names, repo_ids or paths.")
    ] = field(default_factory=list)
    group: Group = None
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse a group that is no name."""
        if self.group is not None:
            check_name(self.group, what="group")


class AddRepositories(Request, frozen=True, kw_only=True):
    """A folder, or a `repos.yaml` that lists some; `name` goes with a folder."""

    folder: pathlib.Path | None = None
    name: str | None = None
    source: pathlib.Path | None = None

    def check(self) -> None:
        """Refuse both, and neither."""
        if (self.folder is None) == (self.source is None) or (self.source and self.name):
            raise UsageError(
                "Give a FOLDER, or a file with --from; --name goes with a FOLDER.",
                code="cli.arguments",
            )


class RemoveRepository(Request, frozen=True, kw_only=True):
    """Which repository is forgotten: its name, repo_id or path."""

    name: str


class RemovedRepository(Body, frozen=True, kw_only=True):
    """A repository that was forgotten, and how many chunks it had."""

    name: str
    repo_id: str
    chunks: int


class IngestedRepository(Body, frozen=True, kw_only=True):
    """What a run over a repository did."""

    status: str
    documents_processed: Annotated[int, Meta(description="Files that were read, changed or not.")]
    chunks_stored: Annotated[int, Meta(description="Chunks of these files, new or not.")]
    repo_id: str
    name: str
    path: str
    commit: str | None = None
    new: Annotated[int, Meta(description="Chunks that were not there before.")]
    changed: Annotated[int, Meta(description="Files whose chunks were replaced.")]
    removed: Annotated[int, Meta(description="Files that are gone.")]
    unchanged: int
    waiting: Annotated[int, Meta(description="New chunks that wait for their vectors.")]
    skipped: Annotated[dict[str, int], Meta(description="Files that were not read, by reason.")]


class FailedRepository(Body, frozen=True, kw_only=True):
    """A repository that could not be read, and why."""

    name: str
    code: str
    message: str
    hint: str | None


class IngestedRepositories(Body, frozen=True, kw_only=True):
    """What runs over several repositories did."""

    repositories: list[IngestedRepository]
    failed: list[FailedRepository]


class Passage(FoundMemory, frozen=True, kw_only=True):
    """A passage of a file; `path`, `commit` and lines (from 1, inclusive) say where it was read."""

    start_line: int | None = None
    end_line: int | None = None


class KnowledgeAnswer(SearchAnswer, frozen=True, kw_only=True):
    """Passages, best first, and what was missing on the way."""

    hits: list[Passage]  # type: ignore[assignment]


class RunBody(Body, frozen=True, kw_only=True):
    """A run over a repository."""

    status: str
    documents: int
    chunks: int
    skipped: dict[str, int]
    error: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class RepositoryBody(Body, frozen=True, kw_only=True):
    """A repository, how much is stored of it, and its latest run."""

    name: str
    repo_id: str
    path: str
    groups: list[str] = field(default_factory=list)
    depends_on: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    files: int
    chunks: int
    waiting: Annotated[int, Meta(description="Chunks that wait for their vectors.")]
    last_run: RunBody | None = None


class RepositoryList(Body, frozen=True, kw_only=True):
    """Repositories by name."""

    repositories: list[RepositoryBody]
    cycle: Annotated[
        list[str], Meta(description="Repositories that depend on each other in a circle, if any.")
    ] = field(default_factory=list)
    omitted: Annotated[int, Meta(description="Repositories that did not fit max_tokens.")] = 0
