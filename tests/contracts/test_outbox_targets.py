"""What a target of the outbox promises, on the mirror and on the fake."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mahavishnu.base.identifiers import new_id
from mahavishnu.memory.outbox.mirror import JsonlMirror
from mahavishnu.memory.outbox.port import MemoryChange, SyncTarget
from tests.support.fakes import FakeTarget
from tests.support.mirrored import read_mirror

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CHANGES = [
    MemoryChange(number, 700 + number % 2, "stored", new_id(), NOW, None) for number in range(6)
]


@pytest.fixture(params=["mirror", "fake"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SyncTarget]:
    """Return what opens the same target again, as another process does."""
    if request.param == "mirror":
        return lambda: JsonlMirror(tmp_path / "new" / "mirror.jsonl")
    fake = FakeTarget()
    return lambda: fake


def numbers(target: SyncTarget, folder: Path) -> list[int]:
    if isinstance(target, FakeTarget):
        return [change.number for change in target.held]
    return [line["change"] for line in read_mirror(folder / "new" / "mirror.jsonl")]


async def test_changes_are_held_in_their_order_whoever_delivers_them(
    make: Callable[[], SyncTarget], tmp_path: Path
) -> None:
    first, second = make(), make()
    assert first.name == second.name and await first.open() == await second.open()
    assert await first.deliver(CHANGES[:3]) is None
    assert await second.deliver(CHANGES[3:5]) is None
    assert await first.deliver(CHANGES[5:]) is None
    assert numbers(first, tmp_path) == [0, 1, 2, 3, 4, 5]


async def test_a_change_that_comes_again_does_no_harm(
    make: Callable[[], SyncTarget], tmp_path: Path
) -> None:
    target = make()
    identity = await target.open()
    for _ in range(2):
        assert await target.deliver(CHANGES[:4]) is None
    assert await target.deliver(CHANGES[2:]) is None
    assert numbers(target, tmp_path) == [0, 1, 2, 3, 4, 5]
    assert await target.open() == identity


async def test_a_mirror_that_was_removed_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "mirror.jsonl"
    mirror = JsonlMirror(path)
    before = await mirror.open()
    assert json.loads(path.read_text())["mirror"] == before and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    assert await mirror.open() != before
