"""Checkpoints and quality, with what Session-Buddy answers: what is kept of them, and where none is made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.app import App
from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS
from mahavishnu.services.session_buddy.client import Answer
from tests.conftest import World
from tests.support.ingesting import commit, git, write
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
BY_NAME = {operation.name: operation for operation in OPERATIONS}
ANSWERS = {
    "status": "📊 Quality score: 36/100\n   • Code quality: 3.0/40\n   • Security: 4.0/10",
    "checkpoint": "⚠️ Session quality: NEEDS ATTENTION (Score: 37/100)\n🔐 Trust score: 90/100",
}


class FakeBuddy:
    """Answers as Session-Buddy does, or raises `fault`; `asked` has the tool and the folder of each call."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.fault: MahavishnuError | None = None
        self.asked: list[tuple[str, str]] = []

    async def call(self, tool: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Answer:
        self.asked.append((tool, arguments["working_directory"]))
        if self.fault is not None:
            raise self.fault
        return Answer(self.answers[tool], {})


@pytest.fixture
def buddy() -> FakeBuddy:
    return FakeBuddy()


@pytest.fixture
def app(world: World, tmp_path: Path, buddy: FakeBuddy) -> App:
    return dataclasses.replace(app_of(world, tmp_path / "home"), session_buddy=buddy)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "shop", prices_py="def total(prices):\n    return sum(prices)\n")
    commit(tmp_path / "shop")
    return tmp_path / "shop"


async def ask(app: App, name: str, **values: Any) -> Any:
    operation = BY_NAME[name]
    return await operation.run(Call(app, "tests"), operation.parse(values))


async def test_a_checkpoint_is_kept_shown_with_its_session_and_delivered(
    app: App, tree: Path, buddy: FakeBuddy
) -> None:
    turn = NewTurn(session_id="s", position=0, role="user", content="Hello.")
    await app.conversations.record([turn])
    head = git(tree, "rev-parse", "HEAD").strip()
    made = await ask(app, "create_checkpoint", working_directory=str(tree), session_id="s")
    assert (made.commit, made.quality.score, made.project, made.degraded) == (head, 37, "shop", [])
    assert buddy.asked == [("checkpoint", str(tree))]
    kept = await app.memories.get(made.id)
    assert kept.metadata["commit"] == head and kept.metadata["quality_score"] == 37
    assert kept.project == "shop" and "quality 37 of 100" in kept.content
    assert {each.why for each in await app.sync_runs.find()} == {"checkpoint"}
    buddy.answers["checkpoint"] = "(Score: 50/100)"
    again = await ask(app, "create_checkpoint", working_directory=str(tree), session_id="s")
    await app.memories.store(
        NewMemory(content="What was learnt.", collection="insight", session_id="s")
    )
    shown = await ask(app, "get_session", session_id="s")
    assert (shown.last_checkpoint.memory_id, shown.last_checkpoint.commit) == (again.id, head)
    assert shown.last_checkpoint.quality_score == 50
    assert [each.content for each in shown.insights] == ["What was learnt."]
    assert (await ask(app, "get_session", session_id="s", start=1)).insights == []


@pytest.mark.parametrize("where", [".", "inner"])
async def test_none_is_made_where_session_buddy_would_commit_everything(
    app: App, tree: Path, buddy: FakeBuddy, where: str
) -> None:
    linked = tree.with_name("linked")
    git(tree, "worktree", "add", "-q", str(linked))
    (linked / "inner").mkdir()
    folder = str((linked / where).resolve())
    with pytest.raises(Forbidden) as refused:
        await ask(app, "create_checkpoint", working_directory=folder)
    assert refused.value.code == "checkpoint.linked_worktree" and buddy.asked == []
    link = tree.with_name("link")
    link.symlink_to(linked / where)
    with pytest.raises(Forbidden):
        await ask(app, "create_checkpoint", working_directory=str(link))
    quality = await ask(app, "get_quality", working_directory=folder)
    assert (quality.score, quality.parts[0].score, quality.parts[0].of) == (36, 3.0, 40)
    assert buddy.asked == [("status", folder)]


@pytest.mark.parametrize("fault", ["none", "away", "refused"])
async def test_without_an_answer_the_commit_is_kept_and_the_reason_said(
    app: App, tree: Path, buddy: FakeBuddy, fault: str
) -> None:
    if fault == "none":
        app = dataclasses.replace(app, session_buddy=None)
    elif fault == "away":
        buddy.fault = Unavailable("It is away.", code="session_buddy.unreachable")
    else:
        header = "🔍 Claude Session Checkpoint - shop\n====\n"
        buddy.answers = dict.fromkeys(ANSWERS, f"{header}❌ Checkpoint failed: It broke.")
    reason = {"none": "settings name no", "away": "It is away.", "refused": "It broke."}[fault]
    head = git(tree, "rev-parse", "HEAD").strip()
    folder = {"working_directory": str(tree)}
    made, quality = [await ask(app, n, **folder) for n in ("create_checkpoint", "get_quality")]
    assert made.commit == head and made.quality.score is quality.score is None
    assert reason in made.degraded[0].reason and reason in quality.degraded[0].reason
    stored = await ask(app, "store_memory", content="Decided.", checkpoint=str(tree))
    assert stored.created and stored.checkpoint.commit == head
    assert reason in stored.checkpoint.degraded[0].reason
    assert (await app.memories.get(stored.id)).metadata == {"commit": head}


async def test_a_decision_gets_the_commit_and_the_score(app: App, tree: Path) -> None:
    stored = await ask(
        app, "store_memory", content="Decided.", checkpoint=str(tree), metadata={"type": "decision"}
    )
    assert stored.checkpoint.quality_score == 36
    metadata = (await app.memories.get(stored.id)).metadata
    head = git(tree, "rev-parse", "HEAD").strip()
    assert metadata == {"commit": head, "quality_score": 36, "type": "decision"}


@pytest.mark.parametrize(("path", "code"), [
    ("here", "input.folder"), ("/no/such/folder", "checkpoint.no_folder"), ("/\0", "input.nul"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["create_checkpoint", "get_quality", "store_memory"])
async def test_what_is_no_folder_is_refused(app: App, path: str, code: str, name: str) -> None:
    given = (
        {"content": "x", "checkpoint": path}
        if name == "store_memory"
        else {"working_directory": path}
    )
    operation = BY_NAME[name]
    with pytest.raises(MahavishnuError) as refused:
        request = operation.parse(given)
        request.check()
        await operation.run(Call(app, "tests"), request)
    assert refused.value.code == code
