"""Ingestion of repositories with chunks that are lines, which needs no LlamaIndex; and working trees for it."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid5

from mahavishnu.app import App
from mahavishnu.knowledge.repositories import Repository
from mahavishnu.knowledge.repository_ingestion import (
    ChangedFile,
    RepositoryIngestion,
    Splitting,
    StoredChunks,
    StoreFiles,
)
from mahavishnu.memory.models import MemoryFilter, NewMemory
from tests.conftest import World


class Killed(BaseException):
    """Stands for `kill -9`: nothing that is not in the database by now will ever be."""


class Ingesting:
    """Repositories of a world; a chunk is a line, and `die_after` batches the run is killed."""

    def __init__(self, world: World | App, *, die_after: int = 10**9) -> None:
        self.world = world
        self.die_after = die_after
        self.stored: list[str] = []
        self.repositories = world.repositories
        self.ingestion = RepositoryIngestion(
            world.database, world.memories, self.repositories, world.space, self._make, Splitting()
        )

    async def _make(self, repository: Repository, _: Splitting) -> StoreFiles:
        async def store(files: Sequence[ChangedFile]) -> Mapping[str, StoredChunks]:
            self.stored += [file.source.path for file in files]
            found = {}
            for file in files:
                news = chunks_of(repository, file)
                if self.die_after <= 0:
                    await self.world.memories.store_batch(news[: len(news) // 2])
                    raise Killed
                stored = await self.world.memories.store_batch(news)
                found[file.source.path] = StoredChunks(
                    [each.id for each in stored],
                    sum(each.created for each in stored),
                    sum(not each.embedded for each in stored),
                )
                self.die_after -= 1
            return found

        return store

    async def rows(self) -> set[tuple[Any, ...]]:
        """Return what is stored of all files."""
        found = await self.world.memories.list_memories(
            MemoryFilter(source_system="repository"), limit=1000
        )
        return {(m.id, m.path, m.content, m.commit_id, m.metadata["fingerprint"]) for m in found}


def chunks_of(repository: Repository, file: ChangedFile) -> list[NewMemory]:
    lines = [line for line in file.source.text.splitlines() if line.strip()]
    ids = [
        uuid5(repository.project_id, f"{file.source.path}{file.fingerprint}{n}")
        for n in range(len(lines))
    ]
    return [
        NewMemory(
            content=line, collection="code", source_system="repository", source_key=str(identifier),
            project=repository.name, repo_id=repository.repo_id, path=file.source.path, id=identifier,
            commit_id=file.commit, metadata={"fingerprint": file.fingerprint, "chunks": len(lines)},
        )
        for identifier, line in zip(ids, lines, strict=True)
    ]  # fmt: skip


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(root), *words],
        check=True, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_GLOBAL": "/dev/null"},
    ).stdout.strip()  # fmt: skip


def commit(root: Path) -> str:
    if not (root / ".git").exists():
        git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "change", "--allow-empty")
    return git(root, "rev-parse", "HEAD")
