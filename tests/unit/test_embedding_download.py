"""Downloading a pinned model, from a hand-written hub: resumed, checked, once for two processes."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.errors import Corrupt, MahavishnuError, NotFound, Unavailable, UsageError
from mahavishnu.embedding.known_models import PinnedDownload, PinnedFile
from mahavishnu.embedding.model_download import fetch, require_download
from mahavishnu.embedding.models import StoredModel, verify_model
from tests.support.fake_servers import FakeServer, Reply, Request
from tests.support.weights import packaged_model

FAST = (0.01, 0.01)
GRAPH = "onnx/model.onnx"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    source = packaged_model(tmp_path_factory.mktemp("weights"))
    return {
        p.relative_to(source).as_posix(): p.read_bytes() for p in source.rglob("*") if p.is_file()
    }


@pytest.fixture
def pinned(files: dict[str, bytes]) -> PinnedDownload:
    return PinnedDownload(
        name="owner/small",
        repository="owner/small",
        revision="c" * 40,
        files=tuple(
            PinnedFile(path, hashlib.sha256(content).hexdigest(), len(content))
            for path, content in sorted(files.items())
        ),
    )


@pytest.fixture
async def hub(files: dict[str, bytes]) -> AsyncIterator[FakeServer]:
    root = f"/owner/small/resolve/{'c' * 40}/"

    def handle(request: Request) -> Reply:
        if request.path.startswith("/storage/"):
            content = files[request.path.removeprefix("/storage/")]
            start = int(request.headers.get("range", "bytes=0-")[6:-1])
            return Reply(206 if start else 200, content[start:])
        path = request.path.removeprefix(root)
        if path not in files:
            return Reply(404)
        return Reply(302, headers={"location": f"/storage/{path}"})

    async with FakeServer(handle) as server:
        yield server


async def run(
    pinned: PinnedDownload, store: Path, url: str, seen: list[tuple[int, int]] | None = None
) -> StoredModel:
    def work() -> StoredModel:
        return fetch(
            pinned,
            store,
            environ={"HF_ENDPOINT": url},
            progress=lambda done, total: seen.append((done, total)) if seen is not None else None,
            backoff_s=FAST,
        )

    return await asyncio.to_thread(work)


async def refusal(pinned: PinnedDownload, store: Path, url: str) -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        await run(pinned, store, url)
    return caught.value


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_download_arrives_with_progress_and_only_once(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    model = await run(pinned, tmp_path, hub.url, seen)
    total = sum(file.size_bytes for file in pinned.files)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (total, total)
    assert verify_model(tmp_path, "owner/small") == model
    assert list((tmp_path / ".staging").iterdir()) == []
    asked = len(hub.requests)
    assert await run(pinned, tmp_path, hub.url) == model
    assert len(hub.requests) == asked


async def test_a_break_is_resumed_within_a_run(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path, files: dict[str, bytes]
) -> None:
    plain = hub.handle
    broken: list[bool] = []

    def handle(request: Request) -> Reply:
        reply = plain(request)
        if request.path == f"/storage/{GRAPH}" and not broken:
            broken.append(True)
            return replace(reply, cut_bytes=3_000_000)
        return reply

    hub.handle = handle
    await run(pinned, tmp_path, hub.url)
    ranges = [r.headers.get("range") for r in hub.requests if r.path == f"/storage/{GRAPH}"]
    assert ranges[0] is None
    assert len(ranges) == 2
    assert 0 < int((ranges[1] or "bytes=0-")[6:-1]) <= 3_000_000


async def test_a_break_is_resumed_by_the_next_run(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    plain = hub.handle

    def cut(request: Request) -> Reply:
        reply = plain(request)
        return replace(reply, cut_bytes=3_000_000) if GRAPH in request.path else reply

    hub.handle = cut
    error = await refusal(pinned, tmp_path, hub.url)
    assert (type(error), error.code) == (Unavailable, "embedding.download_failed")
    assert "model import" in (error.hint or "")
    hub.handle = plain
    hub.requests.clear()
    seen: list[tuple[int, int]] = []
    await run(pinned, tmp_path, hub.url, seen)
    [first, second] = [request for request in hub.requests if GRAPH in request.path]
    assert first.headers["range"] == second.headers["range"] != "bytes=0-"
    assert not any(request.path.endswith("/1_Pooling/config.json") for request in hub.requests)
    assert seen[-1][0] == seen[-1][1]


async def test_a_file_that_is_not_the_pinned_one_is_discarded(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    forged = replace(
        pinned, files=tuple(replace(file, sha256="0" * 64) for file in pinned.files[:1])
    )
    error = await refusal(forged, tmp_path, hub.url)
    assert (type(error), error.code) == (Corrupt, "embedding.checksum_mismatch")
    assert [path for path in files_below(tmp_path) if path.endswith(".part")] == []


async def test_a_hub_that_cannot_be_reached(pinned: PinnedDownload, tmp_path: Path) -> None:
    error = await refusal(pinned, tmp_path, "http://127.0.0.1:9")
    assert (type(error), error.code) == (Unavailable, "embedding.download_failed")
    assert "ollama pull" in (error.hint or "")


@pytest.mark.parametrize(
    "address", ["foo", "foo:80", "ftp://hub.example", "http://", "http://host:port"]
)
def test_what_is_no_address_of_a_hub_is_refused_at_once(
    pinned: PinnedDownload, tmp_path: Path, address: str
) -> None:
    with pytest.raises(UsageError) as caught:
        fetch(pinned, tmp_path, environ={"HF_ENDPOINT": address}, backoff_s=(5.0,))
    assert caught.value.code == "embedding.bad_url" and "HF_ENDPOINT" in caught.value.message


async def test_a_hub_that_leads_to_another_protocol_is_not_asked_again(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    hub.handle = lambda _: Reply(302, headers={"location": "ftp://storage.example/file"})
    assert (await refusal(pinned, tmp_path, hub.url)).code == "embedding.download_failed"
    assert len(hub.requests) == 1


async def test_a_hub_that_refuses(pinned: PinnedDownload, hub: FakeServer, tmp_path: Path) -> None:
    gone = replace(pinned, revision="d" * 40)
    assert "404" in (await refusal(gone, tmp_path, hub.url)).message
    assert len(hub.requests) == 1


async def test_a_server_error_is_tried_again(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    hub.script = [Reply(503)]
    await run(pinned, tmp_path, hub.url)
    assert hub.script == [] and hub.requests[0].path == hub.requests[1].path


def test_the_network_can_be_forbidden(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        fetch(require_download("nomic-embed-text"), tmp_path, environ={"HF_HUB_OFFLINE": "1"})
    assert caught.value.code == "embedding.download_failed"
    assert "HF_HUB_OFFLINE" in caught.value.message


def test_a_model_without_a_pin_is_not_downloaded() -> None:
    with pytest.raises(NotFound) as caught:
        require_download("someone/something")
    assert caught.value.code == "embedding.no_download"


def test_a_full_disk_is_told_before(
    pinned: PinnedDownload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = replace(pinned, files=(replace(pinned.files[0], size_bytes=1 << 60),))
    with pytest.raises(Unavailable) as caught:
        fetch(huge, tmp_path, environ={})
    assert caught.value.code == "embedding.no_space"


async def test_two_processes_download_once(
    pinned: PinnedDownload, hub: FakeServer, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from mahavishnu.embedding.known_models import PinnedDownload, PinnedFile\n"
        "from mahavishnu.embedding.model_download import fetch\n"
        f"pinned = {pinned!r}\n"
        f"print(fetch(pinned, Path({str(tmp_path)!r}), environ={{'HF_ENDPOINT': {hub.url!r}}}))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    results = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0], results
    assert results[0][0] == results[1][0]
    assert len([r for r in hub.requests if r.path == f"/storage/{GRAPH}"]) == 1
