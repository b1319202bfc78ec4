"""The real Session-Buddy judges a folder and makes checkpoints, and never where it would commit everything."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import Forbidden
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS
from mahavishnu.services.session_buddy.client import SessionBuddy
from mahavishnu.services.session_buddy.quality import make_checkpoint
from mahavishnu.services.session_buddy.unit import session_buddy_unit
from tests.conftest import World
from tests.support.external import free_port
from tests.support.ingesting import commit, git, write
from tests.support.peers.session_buddy_peer import interpreter, served
from tests.support.served import app_of

pytestmark = [pytest.mark.peer, pytest.mark.postgres]


@pytest.mark.verifies("Session-Buddy, its checkpoints and quality score")
async def test_checkpoints_and_quality_leave_the_tree_as_it_is(
    world: World, tmp_path: Path
) -> None:
    """Session-Buddy starts once, and its first checkpoint opens its databases: 10 seconds."""
    unit = session_buddy_unit(str(interpreter()), home=tmp_path / "buddy", port=free_port())
    assert unit.health and unit.health.http
    shop, linked = tmp_path / "shop", tmp_path / "linked"
    write(shop, prices_py="def total(prices):\n    return sum(prices)\n")
    commit(shop)
    for name in ("name", "email"):  # without which nobody could commit
        git(shop, "config", f"user.{name}", "t@t")
    git(shop, "worktree", "add", "-q", str(linked))
    for tree in (shop, linked):
        write(tree, prices_py="def total(prices):\n    return 0\n", new_py="secret = 1\n")
    head = git(shop, "rev-parse", "HEAD").strip()
    buddy = SessionBuddy(f"http://127.0.0.1:{unit.port}")
    app = dataclasses.replace(app_of(world, tmp_path / "home"), session_buddy=buddy)

    async def ask(name: str, folder: Path, **values: Any) -> Any:
        operation = next(each for each in OPERATIONS if each.name == name)
        request = operation.parse({"working_directory": str(folder), **values})
        return await operation.run(Call(app, "tests"), request)

    async with served(unit.command, unit.health.http, tmp_path / "log"):
        judged = await ask("get_quality", linked)
        assert judged.score is not None and not judged.degraded
        assert [each.of for each in judged.parts] == [40, 30, 20, 10]
        made = await ask("create_checkpoint", shop)
        assert made.quality.score is not None and made.commit == head and not made.degraded
        with pytest.raises(Forbidden):
            await ask("create_checkpoint", linked)
        for tree in (shop, linked):
            assert git(tree, "rev-parse", "HEAD").strip() == head
            assert git(tree, "diff", "--name-only").split() == ["prices.py"]
            assert "new.py" in git(tree, "ls-files", "--others").split()
        # Why it is refused: asked directly, it commits what git did not know.
        await make_checkpoint(buddy, linked, timeout_s=30)
        assert "new.py" in git(linked, "show", "--stat", "HEAD")
        await buddy.aclose()
    gone = await ask("get_quality", shop)
    assert gone.score is None and "session_buddy.unreachable" in gone.degraded[0].reason
