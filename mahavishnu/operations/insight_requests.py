"""What the operations on insights take and give. Descriptions are read by models, which choose and fill by them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, field

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.memory.checks import check_limit, check_name
from mahavishnu.memory.insights.insights import Kind, ShareType
from mahavishnu.memory.models import Visibility
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Request
from mahavishnu.operations.repository_requests import Group
from mahavishnu.operations.requests import DEFAULT_BUDGET, Budget, Id, Limit, Name, Sought


class ListInsights(Request, frozen=True, kw_only=True):
    """Which insights; what is left out does not narrow."""

    projects: Annotated[
        list[Sought], Meta(description="Only insights of these projects, or shared with them.")
    ] = field(default_factory=list)
    group: Group = None
    session_id: Annotated[Sought | None, Meta(description="Found in this session.")] = None
    workflow_id: Annotated[Sought | None, Meta(description="About this workflow.")] = None
    memory: Annotated[Id | None, Meta(description="Found in this memory.")] = None
    kind: Annotated[
        Kind | None, Meta(description="insight: found in texts; pattern: what recurred.")
    ] = None
    shared: Annotated[bool, Meta(description="Only those shared with projects.")] = False
    limit: Limit = 20
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an invalid limit, name or id."""
        check_limit(self.limit)
        for name, what in ((self.group, "group"), *((each, "project") for each in self.projects)):
            if name is not None:
                check_name(name, what=what)
        if self.memory is not None:
            parse_reference(self.memory)


class ShareInsight(Request, frozen=True, kw_only=True):
    """Which insights are shared: one, or those found in a memory, a conversation or a workflow; and with whom."""

    id: Annotated[
        Id | None, Meta(description="An insight, or a memory whose insights are meant.")
    ] = None
    session_id: Annotated[Name | None, Meta(description="Those of this conversation.")] = None
    workflow_id: Annotated[Name | None, Meta(description="Those about this workflow.")] = None
    to: Annotated[
        list[Name], Meta(max_length=100, description="Repositories or projects, by name.")
    ] = field(default_factory=list)
    to_group: Annotated[
        Name | None, Meta(description="All repositories of this group of repos.yaml.")
    ] = None
    to_dependents: Annotated[
        bool, Meta(description="All repositories that depend on the insight's own.")
    ] = False
    visibility: Annotated[
        Visibility,
        Meta(description="shared: every role of the database sees it; it never becomes private."),
    ] = "private"
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse what does not say which, or with whom."""
        if self.id is not None:
            parse_reference(self.id)
        if sum(each is not None for each in (self.id, self.session_id, self.workflow_id)) != 1:
            raise UsageError(
                "Name one insight or memory, or a session, or a workflow.",
                hint="List insights with: mahavishnu insight list",
                code="insight.share_what",
            )
        if bool(self.to) + (self.to_group is not None) + self.to_dependents != 1:
            raise UsageError(
                "Share with repositories, or a group, or those that depend on it.",
                hint="Give one of --to, --to-group and --to-dependents.",
                code="insight.share_where",
            )
        for name in (*self.to, *filter(None, (self.to_group, self.session_id, self.workflow_id))):
            check_name(name, what="name")


class FindInsightPatterns(Request, frozen=True, kw_only=True):
    """Where recurring failures and insights are looked for."""

    group: Group = None
    max_tokens: Budget = DEFAULT_BUDGET

    def check(self) -> None:
        """Refuse an invalid name."""
        if self.group is not None:
            check_name(self.group, what="group")


class InsightSource(Body, frozen=True, kw_only=True):
    """A memory that shows an insight, and its place."""

    id: str
    session_id: str | None = None
    position: int | None = None
    workflow_id: str | None = None
    execution_id: str | None = None


class InsightBody(Body, frozen=True, kw_only=True):
    """An insight, where it was found, and whom it is for."""

    id: UUID
    content: str
    truncated: Annotated[bool, Meta(description="get_memory gives the whole.")] = False
    kind: Annotated[str, Meta(description="insight, or pattern for what recurred.")]
    times: Annotated[
        int, Meta(description="How often it was found; 0 where it was stored by hand.")
    ]
    project: str | None = None
    owner: str
    visibility: str
    source_system: str
    session_id: str | None = None
    workflow_id: str | None = None
    sources: list[InsightSource] = field(default_factory=list)
    targets: Annotated[
        list[str], Meta(description="Projects whose searches find it beside its own.")
    ] = field(default_factory=list)
    share_type: str | None = None
    extracted_at: str | None = None
    occurred_at: datetime


class InsightList(Body, frozen=True, kw_only=True):
    """Insights, newest first."""

    insights: list[InsightBody]
    behind: Annotated[
        int, Meta(description="Changes of memories that are still to be read for insights.")
    ] = 0
    omitted: Annotated[int, Meta(description="Insights that did not fit max_tokens.")] = 0


class SharedInsights(Body, frozen=True, kw_only=True):
    """The insights that were shared, as they are now."""

    share_type: ShareType
    insights: list[InsightBody]
    omitted: Annotated[int, Meta(description="Insights that did not fit max_tokens.")] = 0


class FoundPatterns(Body, frozen=True, kw_only=True):
    """What recurs, and how much of that is new."""

    changed: Annotated[int, Meta(description="Patterns that are new, or have more behind them.")]
    insights: list[InsightBody]
    behind: Annotated[
        int, Meta(description="Changes of memories that are still to be read for insights.")
    ] = 0
    omitted: Annotated[int, Meta(description="Patterns that did not fit max_tokens.")] = 0
