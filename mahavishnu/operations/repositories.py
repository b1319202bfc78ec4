"""The operations on repositories: ingest them, ask them, list them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from mahavishnu.base.errors import MahavishnuError, NotFound, UsageError
from mahavishnu.knowledge.dependencies import find_cycle
from mahavishnu.knowledge.repos_file import read_repos_file
from mahavishnu.knowledge.repositories import LastRun, Repository
from mahavishnu.memory.models import MemoryFilter
from mahavishnu.memory.search import SearchRequest
from mahavishnu.operations.bodies import DegradedBody, hit_fields
from mahavishnu.operations.fitting import fit_answer, fit_list
from mahavishnu.operations.operation import Call, LocalOperation, Operation
from mahavishnu.operations.repository_requests import (
    AddRepositories,
    FailedRepository,
    IngestedRepositories,
    IngestedRepository,
    IngestRepositories,
    IngestRepository,
    KnowledgeAnswer,
    ListRepositories,
    Passage,
    QueryKnowledgeBase,
    RemovedRepository,
    RemoveRepository,
    RepositoryBody,
    RepositoryList,
    RunBody,
)

if TYPE_CHECKING:
    from mahavishnu.app import App


async def ingest_repository(call: Call, request: IngestRepository) -> IngestedRepository:
    """Bring what is stored of a repository in line with its files; one that is new is added."""
    repository = await _find_or_add(call.app, request.repo_path)

    started = monotonic()

    async def progress(files: int, of_files: int, chunks: int) -> None:
        rate = f"{files / (monotonic() - started):,.0f} files/s"
        told = f"{files:,} of {of_files:,} files, {chunks:,} new chunks, {rate}"
        await call.report(files, of_files, told)

    done = await call.app.repository_ingestion.ingest(
        repository, metadata=request.metadata, progress=progress
    )
    return IngestedRepository(
        status="completed",
        documents_processed=done.documents,
        chunks_stored=done.chunks,
        repo_id=repository.repo_id,
        name=repository.name,
        path=str(repository.path),
        commit=done.commit,
        new=done.stored,
        changed=done.changed,
        removed=done.removed,
        unchanged=done.unchanged,
        waiting=done.waiting,
        skipped=dict(done.skipped),
    )


async def ingest_repositories(call: Call, request: IngestRepositories) -> IngestedRepositories:
    """Bring what is stored of several repositories in line with their files; one that fails stops no other."""
    selected = await call.app.repositories.select(names=request.names, group=request.group)
    done: list[IngestedRepository] = []
    failed: list[FailedRepository] = []
    for each in selected:
        try:
            with request.showing(call, each.name) as showing:
                path = IngestRepository(repo_path=str(each.path))
                done.append(await ingest_repository(showing, path))
        except MahavishnuError as error:
            failed.append(
                FailedRepository(
                    name=each.name, code=error.code, message=error.message, hint=error.hint
                )
            )
            request.on_failed(each.name, error)
        else:
            request.on_ingested(done[-1])
    return IngestedRepositories(repositories=done, failed=failed)


async def query_knowledge_base(call: Call, request: QueryKnowledgeBase) -> KnowledgeAnswer:
    """Answer a question from code and documents."""
    repositories: Sequence[Repository] = []
    if request.repo_id is not None or request.group is not None:
        names = [request.repo_id] if request.repo_id is not None else []
        repositories = await call.app.repositories.select(names=names, group=request.group)
    result = await call.app.search(
        SearchRequest(
            query=request.query,
            limit=request.top_k,
            wanted=MemoryFilter(
                collections=("code", "document"),
                projects=tuple(each.name for each in repositories),
                repo_id=repositories[0].repo_id if len(repositories) == 1 else None,
            ),
        )
    )
    answer = KnowledgeAnswer(
        query=result.query,
        mode=result.mode,
        hits=[],
        degraded=[DegradedBody(**asdict(part)) for part in result.degraded],
        explanation=dict(result.explanation) if request.explain else None,
    )
    found = [
        Passage(
            **hit_fields(hit),
            start_line=hit.memory.metadata.get("start_line"),
            end_line=hit.memory.metadata.get("end_line"),
        )
        for hit in result.hits
    ]
    return fit_answer(answer, found, request.max_tokens)


async def list_repositories(call: Call, request: ListRepositories) -> RepositoryList:
    """List the repositories that are known, how much is stored of each, and its latest run."""
    found = await call.app.repositories.select(names=request.names, group=request.group)
    return fit_list(await _describe(call.app, found), "repositories", request.max_tokens)


async def add_repositories(call: Call, request: AddRepositories) -> RepositoryList:
    """Make a folder known as a repository, or those that a `repos.yaml` lists; nothing is read yet."""
    repositories = call.app.repositories
    if request.folder is not None:
        added = [await repositories.add(request.folder, name=request.name)]
    else:
        assert request.source is not None
        home = Path(call.app.loaded.environ.get("HOME", "/"))
        known = [each.name for each in await repositories.list_all()]
        entries = read_repos_file(request.source, home=home, known=known)
        added = await repositories.add_entries(entries)
    return await _describe(call.app, added)


async def remove_repository(call: Call, request: RemoveRepository) -> RemovedRepository:
    """Forget a repository and its chunks."""
    found = await call.app.repositories.find(request.name)
    chunks = await call.app.repository_ingestion.remove(found)
    return RemovedRepository(name=found.name, repo_id=found.repo_id, chunks=chunks)


async def _describe(app: "App", repositories: Sequence[Repository]) -> RepositoryList:
    statuses = await app.repositories.look(repositories)
    bodies = [
        RepositoryBody(
            name=each.repository.name,
            repo_id=each.repository.repo_id,
            path=str(each.repository.path),
            groups=list(each.repository.groups),
            depends_on=list(each.repository.depends_on),
            include=list(each.repository.include),
            exclude=list(each.repository.exclude),
            files=each.files,
            chunks=each.chunks,
            waiting=each.waiting,
            last_run=_run_body(each.last_run) if each.last_run else None,
        )
        for each in statuses
    ]
    cycle = find_cycle({each.name: each.depends_on for each in repositories})
    return RepositoryList(repositories=bodies, cycle=cycle)


def _run_body(run: LastRun) -> RunBody:
    return RunBody(**vars(run) | {"skipped": dict(run.skipped)})


async def _find_or_add(app: "App", reference: str) -> Repository:
    """Return a repository by name or absolute path; a folder that is new is added."""
    folder = Path(reference)
    try:
        return await app.repositories.find(reference)
    except NotFound:
        if not folder.is_absolute() or "\0" in reference:
            raise
    home = app.loaded.environ.get("HOME")
    if home and Path(home).resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{reference} is the home folder, or above it: too much for one repository.",
            hint="Name the folder of a project.",
            code="repository.too_wide",
        )
    return await app.repositories.add(folder)


REPOSITORY_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="ingest_repository",
        title="Read a repository",
        description="Read the files of a repository on this machine, code and documents, so that "
        "query_knowledge_base and search find them. Run it again after changes: only what changed "
        "is stored, and what is gone is forgotten. A large repository takes minutes the first time.",
        request=IngestRepository,
        result=IngestedRepository,
        run=ingest_repository,
        method="POST",
        path="/repositories/ingest",
    ),
    Operation(
        name="query_knowledge_base",
        title="Ask code and documents",
        description="Find passages of code and documents of the ingested repositories, with path, "
        "lines and commit. Ask in plain words, or by the name of a function; best first. "
        "For decisions and past conversations use search, which finds these passages as well.",
        request=QueryKnowledgeBase,
        result=KnowledgeAnswer,
        run=query_knowledge_base,
        method="POST",
        path="/repositories/query",
        read_only=True,
    ),
    Operation(
        name="list_repositories",
        title="List repositories",
        description="The repositories that are known: their paths, groups, dependencies, how much "
        "is stored of each, and how its latest run ended.",
        request=ListRepositories,
        result=RepositoryList,
        run=list_repositories,
        method="GET",
        path="/repositories",
        read_only=True,
    ),
)

LOCAL_REPOSITORY_OPERATIONS: tuple[LocalOperation[Any, Any], ...] = (
    LocalOperation(
        name="add_repositories",
        request=AddRepositories,
        result=RepositoryList,
        run=add_repositories,
    ),
    LocalOperation(
        name="ingest_repositories",
        request=IngestRepositories,
        result=IngestedRepositories,
        run=ingest_repositories,
    ),
    LocalOperation(
        name="remove_repository",
        request=RemoveRepository,
        result=RemovedRepository,
        run=remove_repository,
    ),
)
