"""Checkpoints of a folder, and its quality: what Session-Buddy says of it, and the commit that it is at."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, field

from mahavishnu.base.errors import Forbidden, MahavishnuError, NotFound
from mahavishnu.knowledge.git import GitHead, read_head
from mahavishnu.memory.models import MemoryFilter, NewMemory, utc_now
from mahavishnu.operations.bodies import Body, DegradedBody, Kept, kept_fields
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import FolderPath, Name, check_folder
from mahavishnu.operations.results import CheckpointFacts, SessionCheckpoint
from mahavishnu.services.session_buddy.client import CALL_S, FIRST_S, SessionBuddy
from mahavishnu.services.session_buddy.quality import Quality, make_checkpoint, read_quality

if TYPE_CHECKING:
    from mahavishnu.app import App

DOC_TYPE = "checkpoint"
PART = "session_buddy"

type AskQuality = Callable[[SessionBuddy], Awaitable[Quality]]


class GetQuality(Request, frozen=True, kw_only=True):
    """Which folder is meant."""

    working_directory: Annotated[FolderPath, Meta(description="Absolute path of the folder.")]

    def check(self) -> None:
        """Refuse a path that is not absolute."""
        check_folder(self.working_directory)


class CreateCheckpoint(GetQuality, frozen=True, kw_only=True):
    """Of which folder, and in which session."""

    session_id: Annotated[
        Name | None, Meta(description="Session that get_session shows it with.")
    ] = None


class PartOfQuality(Body, frozen=True, kw_only=True):
    """A part of the score."""

    name: str
    score: float
    of: Annotated[int, Meta(description="The most it can be.")]


class FolderQuality(Body, frozen=True, kw_only=True):
    """The quality of a folder, or why nobody says it."""

    working_directory: str
    score: Annotated[int | None, Meta(description="Of 100.")] = None
    parts: list[PartOfQuality] = field(default_factory=list)
    degraded: list[DegradedBody] = field(default_factory=list)


class Checkpoint(Kept, frozen=True, kw_only=True):
    """A checkpoint, and the memory that keeps it."""

    working_directory: str
    project: str | None = None
    session_id: str | None = None
    commit: str | None = None
    quality: FolderQuality
    degraded: Annotated[
        list[DegradedBody], Meta(description="What did not take part, and why.")
    ] = field(default_factory=list)


async def get_quality(call: Call, request: GetQuality) -> FolderQuality:
    """Say how good a folder is; nothing is changed, and no database is asked."""
    folder = await _find(request.working_directory)
    found = await _ask(call.app, lambda buddy: read_quality(buddy, folder, timeout_s=FIRST_S))
    return _quality(folder, *found)


async def create_checkpoint(call: Call, request: CreateCheckpoint) -> Checkpoint:
    """Let Session-Buddy make a checkpoint, keep it as a memory, and deliver to the targets of sync."""
    app = call.app
    folder = await _find(request.working_directory)
    if await asyncio.to_thread(_is_linked, folder):
        raise Forbidden(
            f"{folder} is in a linked worktree of git, or a submodule: there Session-Buddy would commit "
            "everything, also files that git does not know.",
            hint="Make the checkpoint in the main checkout; the quality alone: mahavishnu quality",
            code="checkpoint.linked_worktree",
        )
    found = await _ask(app, lambda buddy: make_checkpoint(buddy, folder, timeout_s=FIRST_S))
    quality = _quality(folder, *found)
    head, without = await _look(folder)
    project = None
    if head is not None:
        with suppress(MahavishnuError):  # of a database that is away; the checkpoint waits then
            project = (await app.projects.identify(head.top_level)).name
    commit = head.commit if head else None
    stored = await app.writes.store(_memory(call, request, folder, project, commit, quality))
    degraded = [*quality.degraded, *without, *await _deliver(app)]
    return Checkpoint(
        **kept_fields(stored),
        working_directory=str(folder),
        project=project,
        session_id=request.session_id,
        commit=commit,
        quality=quality,
        degraded=degraded,
    )


async def find_facts(app: "App", folder: str) -> CheckpointFacts:
    """Return the commit and the quality of a folder, for the metadata of a memory; nothing is changed."""
    path = await _find(folder)
    head, without = await _look(path)
    quality, degraded = await _ask(app, lambda b: read_quality(b, path, timeout_s=CALL_S))
    return CheckpointFacts(
        commit=head.commit if head else None,
        quality_score=quality.score if quality else None,
        degraded=[*degraded, *without],
    )


async def find_last(app: "App", session_id: str) -> SessionCheckpoint | None:
    """Return the last checkpoint of a session."""
    wanted = MemoryFilter(session_id=session_id, metadata={"doc_type": DOC_TYPE})
    found = await app.memories.list_memories(wanted, limit=1)
    if not found:
        return None
    said, [memory] = found[0].metadata, found
    commit, score = said.get("commit"), said.get("quality_score")
    return SessionCheckpoint(
        memory_id=memory.id,
        at=memory.occurred_at,
        commit=commit[:64] if isinstance(commit, str) else None,
        quality_score=score if isinstance(score, int) else None,
    )


async def _find(path: str) -> Path:
    """Return a folder without links."""
    folder = Path(await asyncio.to_thread(os.path.realpath, check_folder(path)))
    if not os.path.isdir(folder):  # False too where it cannot be looked at  # noqa: PTH112
        raise NotFound(f"{folder} is not a folder.", code="checkpoint.no_folder")
    return folder


def _is_linked(folder: Path) -> bool:
    """Tell whether it is below a file `.git`: a linked worktree, or a submodule. Git itself need not know it."""
    found = (each / ".git" for each in (folder, *folder.parents))
    return next((os.path.isfile(each) for each in found if os.path.lexists(each)), False)  # noqa: PTH113


async def _look(folder: Path) -> tuple[GitHead | None, list[DegradedBody]]:
    """Return where a folder is in git, or why nobody says it."""
    try:
        return await read_head(folder), []
    except OSError as error:  # of a folder that may not be entered
        return None, [DegradedBody(part="git", reason=str(error))]
    except MahavishnuError as error:
        return None, [DegradedBody(part="git", reason=f"{error.message} [{error.code}]")]


async def _ask(app: "App", ask: AskQuality) -> tuple[Quality | None, list[DegradedBody]]:
    """Return what Session-Buddy answers, or why it does not."""
    if app.session_buddy is None:
        reason = (
            "The settings name no Session-Buddy: session_buddy.python or session_buddy.address."
        )
        return None, [DegradedBody(part=PART, reason=reason)]
    try:
        return await ask(app.session_buddy), []
    except MahavishnuError as error:
        return None, [DegradedBody(part=PART, reason=f"{error.message} [{error.code}]")]


def _quality(folder: Path, found: Quality | None, degraded: list[DegradedBody]) -> FolderQuality:
    parts = found.parts if found else ()
    return FolderQuality(
        working_directory=str(folder),
        score=found.score if found else None,
        parts=[PartOfQuality(name=each.name, score=each.score, of=each.of) for each in parts],
        degraded=degraded,
    )


def _memory(
    call: Call,
    request: CreateCheckpoint,
    folder: Path,
    project: str | None,
    commit: str | None,
    quality: FolderQuality,
) -> NewMemory:
    now = utc_now()
    at = f" at commit {commit[:12]}" if commit else ""
    parts = ", ".join(f"{each.name.lower()} {each.score:g}/{each.of}" for each in quality.parts)
    judged = "" if quality.score is None else f"; quality {quality.score} of 100 ({parts})"
    metadata = {"doc_type": DOC_TYPE, "working_directory": str(folder)}
    facts = {"commit": commit, "quality_score": quality.score}
    return NewMemory(
        content=f"Checkpoint of {project or folder.name}{at}{judged}.",
        source_key=f"checkpoint:{now.isoformat()}",  # the same may hold again later
        source_system=call.source,
        project=project,
        session_id=request.session_id,
        occurred_at=now,
        metadata=metadata | {name: value for name, value in facts.items() if value is not None},
    )


async def _deliver(app: "App") -> list[DegradedBody]:
    """Deliver to the targets of sync; returns which failed."""
    try:
        runs = await app.sync_runs.run("checkpoint")
    except MahavishnuError as error:
        return [DegradedBody(part="sync", reason=f"{error.message} [{error.code}]")]
    return [DegradedBody(part=each.target, reason=each.error) for each in runs if each.error]


CHECKPOINT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="create_checkpoint",
        title="Make a checkpoint",
        description="Keep where the work in a folder stands: its commit, and the quality score of "
        "Session-Buddy, which makes a checkpoint of its own. With session_id get_session shows it. "
        "Changes that wait are delivered. Never in a linked worktree of git. Without Session-Buddy "
        "there is no score, and the answer says why.",
        request=CreateCheckpoint,
        result=Checkpoint,
        run=create_checkpoint,
        method="POST",
        path="/checkpoints",
        idempotent=False,
    ),
    Operation(
        name="get_quality",
        title="Quality of a folder",
        description="The quality score of a project's folder, of 100, with its parts, by Session-Buddy; "
        "where there is none, why. Changes nothing.",
        request=GetQuality,
        result=FolderQuality,
        run=get_quality,
        method="GET",
        path="/quality",
        read_only=True,
    ),
)
