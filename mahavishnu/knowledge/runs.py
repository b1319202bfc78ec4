"""The row of `rag_ingestions` that each import keeps: how far it is, then how it ended."""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.knowledge.markdown import Skipped

_QUERIES = load_queries("ingestions")


@dataclass
class Ingested:
    """
    What an import did. `unchanged` were there before; `removed` are no longer in the source.

    `documents` are the files or commits that were read, `chunks` the memories that they make.
    `repo_path` and `commit` say which working tree was read and what it was at; `repository` is what
    its memories have as `repo_id`.
    """

    source: str
    project: str
    repo_path: str
    repository: str | None = None
    commit: str | None = None
    documents: int = 0
    chunks: int = 0
    seen: int = 0
    stored: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    waiting: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    skipped_files: list[Skipped] = field(default_factory=list)


class Run:
    """An import that is under way; `cursor` is where the next one may go on."""

    def __init__(self, database: Database, outcome: Ingested) -> None:
        self.id: UUID = new_id()
        self.cursor: str | None = None
        self.remark: str | None = None  # what is to be said of one that was completed
        self.record: Mapping[str, Any] = {}  # what becomes known of its source
        self._database = database
        self._outcome = outcome

    async def note(self) -> None:
        done = self._outcome
        counts = (done.documents, done.chunks, dict(done.skipped))
        values = (self.id, *counts, done.commit, dict(self.record))
        await self._database.run(lambda c: c.execute(_QUERIES["note_ingestion"], *values))

    async def finish(self, status: str, error: str | None) -> None:
        done = self._outcome
        await self._database.run(
            lambda c: c.execute(
                _QUERIES["finish_ingestion"], self.id, status, self.cursor, done.seen, done.stored,
                dict(done.skipped), error, done.documents, done.chunks,
            )
        )  # fmt: skip


@asynccontextmanager
async def recorded_run(
    database: Database, scope: int, kind: str, outcome: Ingested, metadata: Mapping[str, Any]
) -> AsyncIterator[Run]:
    """
    Keep the row of an import: in progress meanwhile, completed or failed after.

    A run that was killed keeps its row in progress until the next one of its source begins, or until
    somebody asks how it is.
    """
    run = Run(database, outcome)
    await database.run(
        lambda c: c.execute(
            _QUERIES["start_ingestion"], run.id, scope, outcome.source, kind, outcome.repository,
            outcome.repo_path, outcome.commit, dict(metadata),
        )
    )  # fmt: skip
    completed = False
    try:
        yield run
        completed = True
    finally:
        error = sys.exception()
        code = f"{error.code}: {error.message}" if isinstance(error, MahavishnuError) else None
        await run.finish(
            "completed" if completed else "failed",
            run.remark if completed else code or type(error).__name__,
        )
