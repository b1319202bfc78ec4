"""The operations that import documents and histories from this machine's files."""

from pathlib import Path

import msgspec

from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Request


class ImportMarkdown(Request, frozen=True, kw_only=True):
    """Which folder, into which project; without one it is the repository's, or the folder's name."""

    folder: Path
    project: str | None = None
    forget_most: bool = False


class ImportGit(Request, frozen=True, kw_only=True):
    """Which repository, into which project; without one it is the repository's own."""

    repository: Path
    project: str | None = None


class SkippedFile(Body, frozen=True, kw_only=True):
    """A file that was passed over, and why."""

    path: str
    reason: str


class Imported(Body, frozen=True, kw_only=True):
    """What an import did; `skipped` counts files by the reason."""

    source: str
    project: str
    seen: int
    stored: int
    changed: int
    removed: int
    unchanged: int
    waiting: int
    skipped: dict[str, int]
    skipped_files: list[SkippedFile]


async def import_markdown(call: Call, request: ImportMarkdown) -> Imported:
    """Bring the sections of all Markdown files below a folder in line with the memories."""
    outcome = await call.app.ingestion.import_markdown(
        request.folder,
        project=request.project,
        forget_most=request.forget_most,
        progress=_Progress(call).add,
    )
    return msgspec.convert(outcome, Imported, from_attributes=True)


async def import_git(call: Call, request: ImportGit) -> Imported:
    """Store the commits that were not stored before."""
    outcome = await call.app.ingestion.import_history(
        request.repository, project=request.project, progress=_Progress(call).add
    )
    return msgspec.convert(outcome, Imported, from_attributes=True)


class _Progress:
    """Adds up what is done, and reports it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._done = 0

    async def add(self, count: int) -> None:
        """Report so many more."""
        self._done += count
        await self._call.report(self._done, None, "Importing")
