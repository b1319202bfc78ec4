"""The checks of `doctor` that ask a database: what the server says, stored vectors, times, the queue."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from mahavishnu.app import open_app
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.target import Target, target_of_dsn
from mahavishnu.doctor.database import ask_server, judge_visibility, look_at_times
from mahavishnu.doctor.findings import Examination
from mahavishnu.doctor.model import (
    embed_waiting,
    look_at_identity,
    look_at_model,
    look_at_probe,
    look_at_waiting,
)
from mahavishnu.doctor.sync import look_at_sync
from mahavishnu.embedding.port import Embedder
from mahavishnu.memory.models import BroughtVector, NewMemory
from tests.conftest import Cluster, World
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def examined(
    target: Target, folder: Path, embedder: Embedder | None = None
) -> AsyncIterator[Examination]:
    """An examination whose application is open on the test's database, the model looked at."""
    environ = {
        "MAHAVISHNU_HOME": str(folder),
        "MAHAVISHNU_PG_DSN": target.url,
        "MAHAVISHNU_EMBEDDING_PROVIDER": "none",
    }
    loaded = load_settings(environ=environ, folder=folder)
    async with open_app(loaded, embedder=embedder) as app:
        examination = Examination(environ, {}, True, AsyncExitStack(), app=app, loaded=loaded)
        examination.findings["model"] = await look_at_model(examination)
        examination.findings["model_identity"] = await look_at_identity(examination)
        examination.findings["model_probe"] = await look_at_probe(examination)
        yield examination


async def test_the_server_says_what_it_is(
    target: Target, cluster: Cluster, database_name: str
) -> None:
    facts = await ask_server(target)
    assert facts.major >= 16 and facts.server.startswith(str(facts.major))
    assert facts.vector and facts.offered and facts.state.current and not facts.embedded
    assert abs(facts.ahead) < timedelta(seconds=2)
    assert judge_visibility(facts).status == "ok"
    facts = await ask_server(target_of_dsn(cluster.dsn(database_name, "postgres")))
    assert judge_visibility(facts).status == "warning"


async def test_without_vectors_a_trial_is_made(target: Target, tmp_path: Path) -> None:
    async with examined(target, tmp_path, FakeEmbedder()) as examination:
        assert "No vectors" in examination.findings["model_identity"].summary
        probe = examination.findings["model_probe"]
        assert probe.status == "ok" and "64 dimensions" in probe.summary


async def test_stored_texts_are_embedded_again(
    world: World, target: Target, tmp_path: Path
) -> None:
    long = "a long text with many words " * 200
    async for _ in world.memories.store_many(
        [
            NewMemory(content="the ports are forwarded, übrigens"),
            NewMemory(content="it is so", context="Ana, Monday"),
            NewMemory(content=long),
        ]
    ):
        pass
    async with examined(target, tmp_path, embedder := FakeEmbedder()) as examination:
        assert examination.findings["model_identity"].status == "ok"
        probe = examination.findings["model_probe"]
        assert probe.status == "ok" and "cosines" in probe.summary, probe
        assert len(embedder.seen) == 3
        assert any(text in long and text != long for text in embedder.seen)  # a piece of it
    await world.memories.store(NewMemory(content="ünd noch einer", context="Bob, Tuesday"))
    async with examined(target, tmp_path, embedder := FakeEmbedder()) as examination:
        assert examination.findings["model_probe"].status == "ok"
        assert "Bob, Tuesday\nünd noch einer" in embedder.seen


async def test_a_model_that_makes_other_vectors_is_found_out(
    world: World, target: Target, tmp_path: Path
) -> None:
    """The name and the digest are the same, but what it makes is not."""

    class Changed(FakeEmbedder):
        def _embed(self, text: str) -> list[float]:
            return super()._embed(f"{text} and something else altogether")

    for text in ("one text", "another text"):
        await world.memories.store(NewMemory(content=text))
    async with examined(target, tmp_path, Changed()) as examination:
        probe = examination.findings["model_probe"]
        assert (probe.status, probe.code) == ("error", "embedding.model_differs")
        assert "cosines 0." in probe.summary
        await world.database.run(
            lambda c: c.execute(
                "INSERT INTO embedding_queue SELECT memory_no, scope_no FROM memories"
            )
        )
        waiting = await look_at_waiting(examination)
        assert waiting.status == "warning" and not waiting.fixable  # two models are never mixed


async def test_one_brought_vector_is_no_fault_of_the_model(
    world: World, target: Target, tmp_path: Path
) -> None:
    await world.memories.store(NewMemory(content="made here"))
    vector = BroughtVector(model="fake", values=[1.0, *[0.0] * 63])
    await world.memories.store(NewMemory(content="brought along", vector=vector))
    async with examined(target, tmp_path, FakeEmbedder()) as examination:
        assert examination.findings["model_probe"].status == "warning"


async def test_others_vectors_are_not_compared(
    world: World, target: Target, bob: Target, tmp_path: Path
) -> None:
    await world.memories.store(NewMemory(content="shared by another", visibility="shared"))
    async with examined(bob, tmp_path, embedder := FakeEmbedder()) as examination:
        assert examination.findings["model_probe"].status == "ok"
        assert embedder.seen == ["trial"]


async def test_another_model_is_named(world: World, target: Target, tmp_path: Path) -> None:
    await world.memories.store(NewMemory(content="a text"))
    from mahavishnu.doctor.run import CHECKS, look

    other = FakeEmbedder(name="other")
    async with examined(target, tmp_path, FakeEmbedder()) as examination:
        pass
    environ = examination.environ
    async with open_app(load_settings(environ=environ, folder=tmp_path), embedder=other) as app:
        again = Examination(environ, {}, True, AsyncExitStack(), app=app, loaded=examination.loaded)
        again.findings["memory"] = examination.findings["model"]
        again.findings["settings"] = examination.findings["model"]
        checks = [c for c in CHECKS if c.name.startswith("model")]
        await look(again, tuple(checks))
    found = again.findings["model_identity"]
    assert (found.status, found.code) == ("error", "embedding.other_model")
    assert again.findings["model_probe"].status == "skipped" and other.seen == []


async def test_waiting_memories_are_counted_and_embedded(
    world: World, target: Target, tmp_path: Path
) -> None:
    async with examined(target, tmp_path, FakeEmbedder()) as examination:
        assert (await look_at_waiting(examination)).status == "ok"
        news = [NewMemory(content=f"text {number}") for number in range(70)]
        async for _ in world.memories.store_many(news, embed=False):
            pass
        found = await look_at_waiting(examination)
        assert (found.status, found.fixable) == ("warning", True) and "70" in found.summary
        assert await embed_waiting(examination) == "Embedded 70 memories; 0 wait."
        assert (await look_at_waiting(examination)).status == "ok"
    async with examined(target, tmp_path) as examination:
        await world.database.run(
            lambda c: c.execute(
                "INSERT INTO embedding_queue SELECT memory_no, scope_no FROM memories LIMIT 1"
            )
        )
        found = await look_at_waiting(examination)
        assert not found.fixable and "1 memory waits" in found.summary


async def test_dead_letters_are_a_warning(world: World, target: Target, tmp_path: Path) -> None:
    async with examined(target, tmp_path) as examination:
        assert (await look_at_sync(examination)).status == "ok"
        await world.memories.store(NewMemory(content="odd"))
        await world.database.run(
            lambda c: c.execute(
                "INSERT INTO outbox_targets (name) VALUES ('t'); INSERT INTO outbox_dead_letters "
                "SELECT owner, 't', memory_id, change_no, 8, 'odd', 'odd' FROM changes, outbox_targets"
            )
        )
        found = await look_at_sync(examination)
        assert found.status == "warning" and "t refused 1 changes" in found.summary


async def test_memories_from_the_future_are_told_of(
    world: World, target: Target, tmp_path: Path
) -> None:
    stored = await world.memories.store(NewMemory(content="now"))
    async with examined(target, tmp_path) as examination:
        assert (await look_at_times(examination)).status == "ok"
        # As a writer would store it whose clock is an hour ahead: the id begins with its time.
        connection = await asyncpg.connect(**target.direct)
        ahead = (int(stored.id.hex[:12], 16) + 3_600_000).to_bytes(6).hex() + stored.id.hex[12:]
        await connection.execute(
            "UPDATE memories SET id = $1::text::uuid, stored_at = stored_at + interval '1 hour'",
            ahead,
        )
        await connection.close()
        found = await look_at_times(examination)
        assert found.status == "warning" and found.summary.startswith("1 memories")
