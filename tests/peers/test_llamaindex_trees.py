"""
LlamaIndex on two real trees: this repository, and an installed package with more than 2,000 files.

They take ten seconds and more each, for thousands of files are read and split.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from mahavishnu.knowledge.discovery import SourceText, read_source
from mahavishnu.memory.models import MemoryFilter
from tests.conftest import OpenWorld
from tests.peers.conftest import require_peers
from tests.support.served import app_of

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("llama_index", "tree_sitter", "openai")

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["repository", "package"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str]:
    """Return a tree, a question, and the file that answers it."""
    if request.param == "repository":
        target = tmp_path / "mahavishnu"
        for name in ("mahavishnu", "docs", "tests", "benchmarks"):
            shutil.copytree(
                ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        return target, "where are database errors translated?", "mahavishnu/database/errors.py"
    spec = find_spec("openai")
    assert spec is not None and spec.submodule_search_locations
    target = tmp_path / "openai"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(spec.submodule_search_locations[0], target, ignore=ignored)
    return (
        target,
        "Could not parse response content as the length limit was reached",
        "_exceptions.py",
    )


async def test_a_real_tree_is_read_whole_once_and_answers(
    open_world: OpenWorld, tree: tuple[Path, str, str], tmp_path: Path
) -> None:
    root, question, answer = tree
    async with open_world(without_embedder=True) as world:
        repository = await world.repositories.add(root)
        done = await world.repository_ingestion.ingest(repository)
        assert done.documents > (500 if answer.endswith("errors.py") else 1000)
        assert done.chunks == done.stored and sum(done.skipped.values()) < 20
        again = await world.repository_ingestion.ingest(repository)
        assert (again.stored, again.unchanged) == (0, done.documents)
        [status] = await world.repositories.look([repository])
        assert (status.files, status.chunks) == (done.documents, done.chunks)

        seen: set[str] = set()
        wanted, after = MemoryFilter(repo_id=repository.repo_id), None
        while page := await world.memories.list_memories(wanted, limit=1000, after=after):
            after = page[-1].occurred_at, page[-1].memory_no
            for memory in page:
                source = read_source(root, memory.path or "")
                assert isinstance(source, SourceText), memory.path
                first, last = memory.metadata["start_line"], memory.metadata["end_line"]
                lines = "\n".join(source.text.split("\n")[first - 1 : last])
                assert memory.content.strip() in lines, (memory.path, first)
                seen.add(memory.path or "")
        assert len(seen) == done.documents

        found = await app_of(world, tmp_path).search(question)
        assert found.hits[0].memory.path == answer
        if answer.endswith("errors.py"):
            assert all("translate" in name for name in found.hits[0].memory.metadata["symbols"])
