"""`mahavishnu model download` against a hub of our own: whole, broken off, wrong, missing, forbidden."""

import asyncio
import hashlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.embedding.known_models import DEFAULT_LOCAL_MODEL, PinnedDownload, PinnedFile
from tests.support.command import Command, run_in_terminal
from tests.support.fake_servers import FakeServer, Reply, Request
from tests.support.weights import packaged_model

NAME = "owner/small"
GRAPH = "onnx/model.onnx"
# The command as it is, with a small model in the place of the half gigabyte that is pinned.
SMALL = """
import sys
from mahavishnu.embedding import known_models
from mahavishnu.embedding.known_models import PinnedDownload, PinnedFile
known_models.DOWNLOADS = ({pinned!r},)
from mahavishnu.interfaces.cli.root import main
main()
"""

# The command as it is without the extra `local`.
WITHOUT_LOCAL = """
import sys
sys.modules["fastembed"] = None
from mahavishnu.interfaces.cli.root import main
main()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    source = packaged_model(tmp_path_factory.mktemp("weights"))
    return {
        p.relative_to(source).as_posix(): p.read_bytes() for p in source.rglob("*") if p.is_file()
    }


@pytest.fixture
async def hub(files: dict[str, bytes]) -> AsyncIterator[FakeServer]:
    def handle(request: Request) -> Reply:
        content = files.get(request.path.partition(f"/resolve/{'c' * 40}/")[2])
        if content is None:
            return Reply(404)
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        return Reply(206 if start else 200, content[start:])

    async with FakeServer(handle) as server:
        yield server


@pytest.fixture
def online(alone: Command, hub: FakeServer) -> Command:
    """The installed command, with our hub."""
    return replace(alone, environment=alone.environment | {"HF_ENDPOINT": hub.url})


@pytest.fixture
def small(online: Command, files: dict[str, bytes]) -> Command:
    """The same, with the small model pinned."""
    pinned = PinnedDownload(
        name=NAME, repository=NAME, revision="c" * 40,
        files=tuple(
            PinnedFile(path, hashlib.sha256(content).hexdigest(), len(content))
            for path, content in sorted(files.items())
        ),
    )  # fmt: skip
    return replace(online, program=(sys.executable, "-c", SMALL.format(pinned=pinned)))


def partial(command: Command) -> list[str]:
    staging = command.root / "data" / "models" / ".staging"
    return [path.name for path in staging.rglob("*") if path.is_file()]


async def test_a_model_is_downloaded_once_shown_and_usable(
    small: Command, hub: FakeServer, files: dict[str, bytes]
) -> None:
    seen = await asyncio.to_thread(run_in_terminal, small, ("model", "download", NAME))
    megabytes = f"{sum(map(len, files.values())) / 1e6:.1f}"
    assert seen.status == 0, seen
    assert "Downloading" in seen.out and f"/{megabytes} MB" in seen.out
    assert f"Downloaded {NAME} (384 dimensions)" in seen.out
    asked = len(hub.requests)
    offline = await asyncio.to_thread(
        small, "model", "download", NAME, "--json", HF_HUB_OFFLINE="1"
    )
    graph = hashlib.sha256(files[GRAPH]).hexdigest()
    assert offline.json["model"]["sha256"] == graph and len(hub.requests) == asked
    verified = await asyncio.to_thread(small, "model", "verify", NAME)
    assert verified.out == f"Intact: {NAME} (384 dimensions)\n"
    listed = (await asyncio.to_thread(small, "model", "list", "--json")).json["models"]
    assert [model["name"] for model in listed] == [NAME]
    assert partial(small) == []


async def test_a_killed_download_goes_on_where_it_was(
    small: Command, hub: FakeServer, files: dict[str, bytes]
) -> None:
    plain, cut = hub.handle, 3_000_000

    def stall(request: Request) -> Reply:
        if not request.path.endswith(GRAPH):
            return plain(request)
        again = "range" in request.headers
        return replace(plain(request), delay_s=60.0) if again else Reply(
            body=files[GRAPH], cut_bytes=cut
        )  # fmt: skip

    hub.handle = stall
    killed = small.start("model", "download", NAME)
    until = time.monotonic() + 60
    while not [r for r in hub.requests if r.path.endswith(GRAPH) and "range" in r.headers]:
        assert time.monotonic() < until and killed.poll() is None
        await asyncio.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert "model.onnx.part" in partial(small)

    hub.handle = plain
    hub.requests.clear()
    answer = await asyncio.to_thread(small, "model", "download", NAME, "--json")
    assert answer.json["model"]["name"] == NAME
    [asked] = [r for r in hub.requests if r.path.endswith(GRAPH)]
    assert 0 < int(asked.headers["range"][6:-1]) <= cut
    assert (await asyncio.to_thread(small, "model", "verify", NAME)).status == 0


def test_a_model_that_cannot_be_tried_is_kept_and_said_to_be_untried(
    alone: Command, tmp_path: Path
) -> None:
    source = packaged_model(tmp_path)
    tried = alone("model", "import", source, "--name", "tried", "--json").json
    assert tried["usable"] and "not tried" not in alone("model", "import", source).out
    bare = replace(alone, program=(sys.executable, "-c", WITHOUT_LOCAL))
    untried = bare("model", "import", source, "--name", "untried", "--json").json
    assert untried["model"]["name"] == "untried" and untried["usable"] is False
    told = bare("model", "import", source, "--name", "other").out
    assert told.startswith("Imported other ") and "not tried" in told and "`local`" in told


async def test_what_is_not_the_pinned_file_is_refused(online: Command, hub: FakeServer) -> None:
    hub.handle = lambda _: Reply(body=b"x" * 2_331)  # as long as the pinned config.json
    answer = await asyncio.to_thread(online, "model", "download", "--json")
    assert (answer.status, answer.error["code"]) == (7, "embedding.checksum_mismatch")
    assert "config.json" in answer.error["message"] and "model import" in answer.error["hint"]
    assert partial(online) == []
    listed = await asyncio.to_thread(online, "model", "list", "--json")
    assert listed.json == {"models": []}


async def test_a_hub_without_the_model(online: Command, hub: FakeServer) -> None:
    answer = await asyncio.to_thread(online, "model", "download", "--json")
    assert (answer.status, answer.error["code"]) == (5, "embedding.download_failed")
    assert "404" in answer.error["message"] and DEFAULT_LOCAL_MODEL in answer.error["message"]
    assert len(hub.requests) == 1


async def test_a_forbidden_network_is_not_tried(online: Command, hub: FakeServer) -> None:
    answer = await asyncio.to_thread(
        online, "model", "download", "--json", HF_HUB_OFFLINE="1"
    )  # fmt: skip
    assert (answer.status, answer.error["code"]) == (5, "embedding.download_failed")
    assert "HF_HUB_OFFLINE" in answer.error["message"] and hub.requests == []


async def test_a_model_that_nobody_pinned(online: Command, hub: FakeServer) -> None:
    answer = await asyncio.to_thread(online, "model", "download", "someone/else", "--json")
    assert (answer.status, answer.error["code"]) == (3, "embedding.no_download")
    assert DEFAULT_LOCAL_MODEL in answer.error["hint"] and hub.requests == []
