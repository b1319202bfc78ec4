"""Writes of files are noticed by the system, however they are made, and a storm of them is few looks."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mahavishnu.services.watch import hints as watching
from mahavishnu.services.watch.hints import hints


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "settings.json").write_text("{}")
    return tmp_path / "folder" / "settings.json"


@contextlib.asynccontextmanager
async def looks(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    every: timedelta = timedelta(hours=1),
    quiet: timedelta = timedelta(milliseconds=20),
) -> AsyncIterator[AsyncIterator[None]]:
    """Give hints on a file, once they are under way."""
    monkeypatch.setattr(watching, "QUIET", quiet)
    monkeypatch.setattr(watching, "AWAKE", timedelta(milliseconds=50))
    async with (
        asyncio.timeout(120),
        contextlib.aclosing(hints(lambda: [file], every=every)) as found,
    ):
        await anext(found)
        await anext(found)  # nothing came: it watches
        yield found


async def test_a_write_and_a_replacement_are_noticed_and_other_files_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looks(file, monkeypatch) as found:
        for name in ("one", "two"):
            other = file.with_name(name)
            other.write_text(name)
            other.replace(file)
            await anext(found)
        file.write_text("three")
        await anext(found)
        # Noticed in the order in which they are made.
        file.with_name("other").write_text("x")
        later = asyncio.ensure_future(anext(found))
        done, _ = await asyncio.wait([later], timeout=0.3)
        assert not done
        file.write_text("four")
        await later


async def test_a_folder_that_is_made_again_is_watched_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AWAKE", timedelta(milliseconds=10))
    begun: list[Path] = []

    def find() -> list[Path]:
        begun.append(file)
        return [file]

    found = hints(find, every=timedelta(milliseconds=20))
    async with asyncio.timeout(120), contextlib.aclosing(found):
        await anext(found)
        await anext(found)
        assert len(begun) == 1
        file.parent.rename(file.parent.with_name("before"))
        file.parent.mkdir()
        for _ in range(20):
            await anext(found)
        assert len(begun) == 2


async def test_a_storm_of_writes_is_few_looks_and_the_last_write_is_seen(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the product's own times, which a slow writer does not fall between."""
    writes, seen = 2_000, []

    def storm() -> None:
        for number in range(writes):
            descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
            os.write(descriptor, str(number).encode())
            os.close(descriptor)

    async with looks(file, monkeypatch, quiet=watching.QUIET) as found:
        writing = asyncio.create_task(asyncio.to_thread(storm))
        while not seen or seen[-1] != str(writes - 1):
            await anext(found)
            seen.append(file.read_text())
        await writing
    assert len(seen) < writes / 20


async def test_without_a_folder_it_looks_now_and_then(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        found = hints(lambda: [tmp_path / "no" / "file"], every=timedelta(milliseconds=1))
        async with contextlib.aclosing(found):
            for _ in range(3):
                await anext(found)
