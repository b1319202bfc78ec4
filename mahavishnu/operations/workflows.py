"""The operations that read runs of workflows: found by a question or listed, one, and counts."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from msgspec import convert
from msgspec.structs import replace

from mahavishnu.app import App
from mahavishnu.base.errors import UsageError
from mahavishnu.memory.executions import (
    ExecutionFilter,
    count_workflows,
    find_executions,
    find_projects,
)
from mahavishnu.memory.executions import get_execution as read_execution
from mahavishnu.memory.models import Hit, MemoryFilter
from mahavishnu.memory.records import MAX_ERROR_LINE, Execution
from mahavishnu.memory.search import SearchRequest
from mahavishnu.operations.bodies import DegradedBody
from mahavishnu.operations.fitting import first_that_fit, fit_list, fits
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.operation import Call
from mahavishnu.operations.workflow_requests import (
    ExecutionDetails,
    FoundExecution,
    GetExecution,
    RelatedMemory,
    SearchWorkflows,
    WorkflowAnswer,
    WorkflowCountsAnswer,
    WorkflowStats,
)

RELATED = 2  # memories beside a run: so many turns, commits, and notes of any kind
KINDS: tuple[dict[str, Any], ...] = (
    {"collections": ("conversation",)}, {"collections": ("note",), "source_system": "git"},
    {"collections": ("note",)},
)  # fmt: skip
EXCERPT = 400  # characters of each
MAX_CUT_NAME = 50  # characters, where a name has to be cut
FRAME_TOKENS = 120  # of an answer around its lists


async def search_workflows(call: Call, request: SearchWorkflows) -> WorkflowAnswer:
    """Return the runs that a question is about, best first; without one the newest."""
    wanted = request.filter()
    degraded: list[DegradedBody] = []
    if request.query is None:
        listed = await find_executions(call.app.database, wanted, limit=request.limit)
        found = [_found(each) for each in listed]
    else:
        found, degraded = await _search(call.app, request.query, wanted, request.limit)
    if request.with_context:
        found = [
            replace(each, context=await _related(call.app, each, request.query)) for each in found
        ]
    kept = _fit(found, request.max_tokens)
    return WorkflowAnswer(executions=kept, degraded=degraded, omitted=len(found) - len(kept))


async def get_execution(call: Call, request: GetExecution) -> ExecutionDetails:
    """Return one run whole, or as much of it as fits."""
    found = await read_execution(call.app.database, request.id)
    body = _body(found, ExecutionDetails)
    return body if request.max_tokens is None else _shrink(body, request.max_tokens)


async def workflow_stats(call: Call, request: WorkflowStats) -> WorkflowCountsAnswer:
    """Count runs by workflow."""
    since = parse_moment(request.since, what="since")
    counts = await count_workflows(call.app.database, since=since, limit=request.limit)
    return fit_list(WorkflowCountsAnswer(workflows=counts), "workflows", request.max_tokens)


async def _search(
    app: App, query: str, wanted: ExecutionFilter, limit: int
) -> tuple[list[FoundExecution], list[DegradedBody]]:
    metadata: dict[str, Any] = {}
    if wanted.repository is not None:
        metadata["repositories"] = [wanted.repository]
    if wanted.status is not None:
        metadata["status"] = wanted.status
    memories = MemoryFilter(
        memory_types=("workflow",), workflow_id=wanted.workflow_id, source_system=wanted.adapter,
        projects=() if wanted.project is None else (wanted.project,), metadata=metadata or None,
        since=wanted.since, until=wanted.until,
    )  # fmt: skip
    answer = await app.search(SearchRequest(query=query, wanted=memories, limit=limit))
    scores = {hit.memory.id: round(hit.score, 6) for hit in answer.hits}
    found = await find_executions(app.database, wanted, limit=limit, memories=list(scores))
    bodies = [
        replace(_found(each), score=scores[each.memory_id]) for each in found if each.memory_id
    ]
    bodies.sort(key=lambda body: -(body.score or 0))
    return bodies, [DegradedBody(**asdict(part)) for part in answer.degraded]


async def _related(app: App, run: FoundExecution, query: str | None) -> list[RelatedMemory]:
    """
    Return what was said and committed about a run, in its repositories and project, from its start on.

    Of each kind the best, so that many turns about an error do not hide the one commit that mended it.
    """
    question = " ".join(filter(None, (query, run.workflow_id, run.error)))[:1000]
    named = [*run.repositories, *([run.project] if run.project else [])]
    projects = await find_projects(app.database, named)  # a repository need not be one
    if not projects:
        return []
    found: dict[UUID, RelatedMemory] = {}
    for kind in KINDS:
        wanted = MemoryFilter(projects=tuple(projects), since=run.started_at, **kind)
        try:
            answer = await app.search(SearchRequest(query=question, wanted=wanted, limit=RELATED))
        except UsageError:  # no words are left to search for
            return []
        found |= {hit.memory.id: _related_body(hit) for hit in answer.hits}
    return sorted(found.values(), key=lambda body: body.occurred_at)


def _related_body(hit: Hit) -> RelatedMemory:
    memory, start = hit.memory, hit.char_start or 0
    said_by = memory.metadata.get("speaker") or memory.metadata.get("role")
    return RelatedMemory(
        id=memory.id, content=memory.content[start : start + EXCERPT], collection=memory.collection,
        source_system=memory.source_system, occurred_at=memory.occurred_at,
        session_id=memory.session_id, commit=memory.commit_id,
        speaker=str(said_by or memory.metadata.get("author") or "") or None,
    )  # fmt: skip


def _body[B: (FoundExecution, ExecutionDetails)](found: Execution, kind: type[B]) -> B:
    took = None if found.duration is None else found.duration.total_seconds()
    return convert({**asdict(found), "duration_s": took}, kind)


def _found(found: Execution) -> FoundExecution:
    """Return what lists show: of the error its last line."""
    lines = (found.error or "").strip().splitlines()
    return replace(
        _body(found, FoundExecution), error=lines[-1][:MAX_ERROR_LINE] if lines else None
    )


def _fit(found: list[FoundExecution], max_tokens: int | None) -> list[FoundExecution]:
    """Return the first runs that fit together; of a first that does not fit, the least."""
    if max_tokens is None:
        return found
    kept = first_that_fit(found, max_tokens - FRAME_TOKENS)
    return kept or [_shrink(each, max_tokens - FRAME_TOKENS) for each in found[:1]]


def _shrink[B: (FoundExecution, ExecutionDetails)](body: B, max_tokens: int) -> B:
    """Return a run with what is least needed left out or cut until it fits."""
    last_line = (body.error or "")[-MAX_ERROR_LINE:] or None
    names: tuple[str, ...] = ("adapter", "workflow_id", "execution_id")
    smaller: list[tuple[str, Any]] = [
        ("result", None), ("context", []), ("metadata", {}), ("error", last_line),
        ("repositories", body.repositories[:3]), ("repositories", []), ("project", None),
        ("error", None), *((name, getattr(body, name)[:MAX_CUT_NAME]) for name in names),
    ]  # fmt: skip
    for name, value in smaller:
        if fits(body, max_tokens):
            break
        if getattr(body, name, value) != value:
            left_out = [each for each in body.left_out if each != name] + [name]
            body = replace(body, **{name: value}, left_out=left_out)
    return body
