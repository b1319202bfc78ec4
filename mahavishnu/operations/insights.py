"""The operations on insights: list them, share them with projects and people, find what recurs."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import ValidationError, convert

from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.knowledge.dependencies import find_dependents
from mahavishnu.knowledge.repos_file import unknown
from mahavishnu.memory.executions import find_projects
from mahavishnu.memory.insights.following import NAME
from mahavishnu.memory.insights.insights import InsightFilter, ShareType
from mahavishnu.memory.models import Memory
from mahavishnu.operations.fitting import fit_list
from mahavishnu.operations.insight_requests import (
    FindInsightPatterns,
    FoundPatterns,
    InsightBody,
    InsightList,
    InsightSource,
    ListInsights,
    SharedInsights,
    ShareInsight,
)
from mahavishnu.operations.operation import Call, Operation

if TYPE_CHECKING:
    from mahavishnu.app import App

READING_S = 2.0  # for what was stored since, before an answer; the rest is for the next one
CUT_AT = 2_000  # characters of an insight, where an answer is bounded


async def list_insights(call: Call, request: ListInsights) -> InsightList:
    """List insights, with those of what was stored a moment ago."""
    app = call.app
    behind = await _read_changes(app)
    wanted = InsightFilter(
        projects=await _projects(app, request.projects, request.group),
        session_id=request.session_id,
        workflow_id=request.workflow_id,
        source=await app.memories.resolve(request.memory) if request.memory else None,
        kind=request.kind,
        shared=request.shared,
    )
    found = await app.insights.find(wanted, limit=request.limit)
    answer = InsightList(insights=_bodies(found, request.max_tokens), behind=behind)
    return fit_list(answer, "insights", request.max_tokens)


async def share_insight(call: Call, request: ShareInsight) -> SharedInsights:
    """Share insights with projects, and with other roles where that is asked for."""
    request.check()
    app = call.app
    await _read_changes(app)
    repositories = await app.repositories.list_all()
    graph = {each.name: each.depends_on for each in repositories}
    targets = await _targets(app, request)
    share_type: ShareType = (
        "direct" if request.to else "group" if request.to_group else "dependency_aware"
    )
    meant = [
        (each.id, _dependents(graph, each) if request.to_dependents else targets)
        for each in await _meant(app, request)
    ]
    shared = [
        await app.insights.share(
            insight, whom, share_type=share_type, visibility=request.visibility
        )
        for insight, whom in meant
    ]
    answer = SharedInsights(share_type=share_type, insights=_bodies(shared, request.max_tokens))
    return fit_list(answer, "insights", request.max_tokens)


async def find_insight_patterns(call: Call, request: FindInsightPatterns) -> FoundPatterns:
    """Keep what recurs in one's own runs and insights, and list it."""
    app = call.app
    behind = await _read_changes(app)
    projects = await _projects(app, (), request.group) if request.group else None
    kept = await app.insights.patterns.find(projects)
    bodies = _bodies([each.memory for each in kept], request.max_tokens)
    changed = sum(each.changed for each in kept)
    answer = FoundPatterns(changed=changed, insights=bodies, behind=behind)
    return fit_list(answer, "insights", request.max_tokens)


async def _read_changes(app: "App") -> int:
    """Find insights in what was stored since, for a moment; returns how many changes are left."""
    if not await app.outbox.run(NAME, budget_s=READING_S):
        return 0
    return await app.outbox.count_pending(NAME)


async def _projects(app: "App", names: Sequence[str], group: str | None) -> tuple[str, ...]:
    if group is None:
        return tuple(names)
    return tuple(each.name for each in await app.repositories.select(names=names, group=group))


async def _targets(app: "App", request: ShareInsight) -> list[str]:
    """Return the names of projects that are meant; raises `NotFound` for an unknown name."""
    if request.to_group is not None:
        return [each.name for each in await app.repositories.select(group=request.to_group)]
    known = {each.name for each in await app.repositories.list_all()}
    known |= {*await find_projects(app.database, request.to)}
    targets: list[str] = []
    for name in request.to:
        if name not in known:
            try:
                name = (await app.repositories.find(name)).name
            except NotFound:
                raise unknown("repository or project", name, known) from None
        targets.append(name)
    return targets


async def _meant(app: "App", request: ShareInsight) -> list[Memory]:
    if request.id is None:
        wanted = InsightFilter(session_id=request.session_id, workflow_id=request.workflow_id)
        return await app.insights.find_own(wanted)
    memory = await app.memories.get(await app.memories.resolve(request.id))
    if memory.memory_type == "insight":
        return [memory]
    return await app.insights.find_own(InsightFilter(source=memory.id))


def _dependents(graph: dict[str, tuple[str, ...]], insight: Memory) -> list[str]:
    found = find_dependents(graph, insight.project) if insight.project else []
    if not found:
        raise UsageError(
            f"No repository depends on {insight.project or 'what belongs to no project'}.",
            hint="See: mahavishnu repo graph; repos.yaml has depends_on.",
            code="insight.no_dependents",
        )
    return found


def _bodies(insights: Sequence[Memory], max_tokens: int | None) -> list[InsightBody]:
    return [_body(each, CUT_AT if max_tokens else len(each.content)) for each in insights]


def _body(insight: Memory, cut_at: int) -> InsightBody:
    """Return what is shown of an insight; metadata of one stored by hand may say anything."""
    metadata = insight.metadata
    sources = _sources(metadata.get("sources"))
    times = metadata.get("times")
    targets = metadata.get("targets")
    share_type, extracted_at = metadata.get("share_type"), metadata.get("extracted_at")
    return InsightBody(
        id=insight.id,
        content=insight.content[:cut_at],
        truncated=len(insight.content) > cut_at,
        kind="pattern" if metadata.get("doc_type") == "pattern" else "insight",
        times=times if isinstance(times, int) else len(sources),
        project=insight.project,
        owner=insight.owner,
        visibility=insight.visibility,
        source_system=insight.source_system,
        session_id=insight.session_id,
        workflow_id=insight.workflow_id,
        sources=sources,
        targets=[str(each) for each in targets] if isinstance(targets, list) else [],
        share_type=share_type if isinstance(share_type, str) else None,
        extracted_at=extracted_at if isinstance(extracted_at, str) else None,
        occurred_at=insight.occurred_at,
    )


def _sources(listed: Any) -> list[InsightSource]:
    found: list[InsightSource] = []
    for each in listed if isinstance(listed, list) else []:
        with suppress(ValidationError):
            found.append(convert(each, InsightSource))
    return found


INSIGHT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="list_insights",
        title="List insights",
        description="What was learnt on the way: blocks that a text marked with ★ Insight, insights "
        "that were stored by hand, and patterns of what recurred. With projects those of these, and "
        "what others shared with them. Each says in which sessions, memories or runs it was found. "
        "For a subject use search with memory_types [insight].",
        request=ListInsights,
        result=InsightList,
        run=list_insights,
        method="GET",
        path="/insights",
        read_only=True,
    ),
    Operation(
        name="share_insight",
        title="Share insights with projects",
        description="Let searches in other projects find an insight, or those of a memory, a "
        "conversation or a workflow: in the repositories of to, in those of a group, or in all that "
        "depend on the insight's own. Only insights are shared, never the memories around them. Other "
        "people see it only with visibility shared: ask the user before that.",
        request=ShareInsight,
        result=SharedInsights,
        run=share_insight,
        method="POST",
        path="/insights/share",
    ),
    Operation(
        name="find_insight_patterns",
        title="Find what recurs",
        description="Find errors that ended three runs, workflows that failed three times, and insights "
        "that were found in several projects; keep each as one insight that names its sources. Asked "
        "again it keeps nothing twice.",
        request=FindInsightPatterns,
        result=FoundPatterns,
        run=find_insight_patterns,
        method="POST",
        path="/insights/patterns",
    ),
)
