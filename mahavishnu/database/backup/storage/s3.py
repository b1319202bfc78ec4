"""A bucket of S3, or of a service that speaks its protocol, by AWS's own client, which finds its credentials itself."""

import contextlib
import io
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mahavishnu.base.extras import not_installed
from mahavishnu.database.backup.storage.bucket import (
    PART_BYTES,
    TIMEOUT_S,
    Entry,
    explain_answer,
    missing_object,
)
from mahavishnu.database.backup.storage.port import PartWriter

_CREDENTIALS = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}  # answered by 400
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}
# Another write came before, or comes at the same time, or what was to be replaced is gone.
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}
_DELETED_AT_ONCE = 1000


class S3Bucket:
    """The objects below a prefix; a request that fails is made three times."""

    def __init__(self, name: str, prefix: str) -> None:
        try:
            import botocore.session  # noqa: PLC0415 - an extra, and slow
        except ImportError as error:
            raise not_installed("backup-s3") from error
        self.place = f"s3://{name}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._name = name
        self._refused = botocore.exceptions.ClientError
        self._failures = (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError)
        config = botocore.config.Config(
            connect_timeout=10,
            read_timeout=TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        with self._translated():
            self._client: Any = botocore.session.Session().create_client("s3", config=config)

    def find(self, prefix: str) -> list[Entry]:
        pages = self._client.get_paginator("list_objects_v2")
        with self._translated():
            found = pages.paginate(Bucket=self._name, Prefix=self._prefix + prefix)
            return [
                Entry(each["Key"].removeprefix(self._prefix), each["Size"], each["LastModified"])
                for page in found
                for each in page.get("Contents", ())
            ]

    def head(self, key: str) -> Entry | None:
        with self._translated():
            try:
                found = self._client.head_object(**self._at(key))
            except self._refused as error:
                if _status(error) == 404:
                    return None
                raise
        return Entry(key, found["ContentLength"], found["LastModified"], found["ETag"])

    def read(self, key: str, start: int, size: int) -> bytes:
        with self._translated():
            try:
                found = self._client.get_object(
                    **self._at(key), Range=f"bytes={start}-{start + size - 1}"
                )
            except self._refused as error:
                if _status(error) == 404:
                    raise missing_object(self.place, key) from error
                raise
            content: bytes = found["Body"].read()
        return content

    def put(self, key: str, content: bytes) -> datetime:
        with self._translated():
            done = self._client.put_object(**self._at(key), Body=content)
        return parsedate_to_datetime(done["ResponseMetadata"]["HTTPHeaders"]["date"])

    def put_if(self, key: str, content: bytes, version: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._translated():
            try:
                done = self._client.put_object(**self._at(key), Body=content, **condition)
            except self._refused as error:
                if _code(error) in _CHANGED:
                    return None
                raise
        new: str = done["ETag"]
        return new

    @contextlib.contextmanager
    def upload(self, key: str) -> Iterator[PartWriter]:
        at = self._at(key)
        with self._translated():
            at["UploadId"] = self._client.create_multipart_upload(**at)["UploadId"]
        with contextlib.ExitStack() as stack:
            stack.callback(self._abandon, at)
            parts = _Parts(self, at)
            yield parts
            parts.send()
            with self._translated():
                self._client.complete_multipart_upload(**at, MultipartUpload={"Parts": parts.sent})
            stack.pop_all()

    def send_part(self, at: dict[str, str], number: int, content: bytes) -> dict[str, Any]:
        """Send one part of an upload; returns how to refer to it."""
        with self._translated():
            done = self._client.upload_part(**at, PartNumber=number, Body=content)
        checksum = {k: v for k, v in done.items() if k.startswith("Checksum") and v}
        return {"PartNumber": number, "ETag": done["ETag"], **checksum}

    def delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [
                {"Key": self._prefix + key} for key in keys[start : start + _DELETED_AT_ONCE]
            ]
            with self._translated():
                done = self._client.delete_objects(
                    Bucket=self._name, Delete={"Objects": objects, "Quiet": True}
                )
            for error in done.get("Errors", ()):
                raise explain_answer(self.place, status=403, said=error["Code"])

    def _abandon(self, at: dict[str, str]) -> None:
        with contextlib.suppress(*self._failures):  # else the bucket's own rule removes it
            self._client.abort_multipart_upload(**at)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._name, "Key": self._prefix + key}

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise what AWS's client raises in the block as ours."""
        try:
            yield
        except self._failures as error:
            said = type(error).__name__
            status = 403 if said in _NO_CREDENTIALS else None
            if isinstance(error, self._refused):
                said = _code(error)
                status = 403 if said in _CREDENTIALS else _status(error)
                if status == 404 and said != "NoSuchBucket":
                    status = None  # an upload that the bucket's rule has aborted, for example
            raise explain_answer(self.place, status=status, said=said) from error


class _Parts:
    """A sink that sends what it takes in parts of an upload."""

    def __init__(self, bucket: S3Bucket, at: dict[str, str]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._bucket, self._at = bucket, at
        self._waiting = io.BytesIO()

    def write(self, data: bytes, /) -> int:
        self._waiting.write(data)
        if self._waiting.tell() >= PART_BYTES:
            self.send()
        return len(data)

    def send(self) -> None:
        """Send what waits; at the end of an empty object, an empty part."""
        if self._waiting.tell() or not self.sent:
            number = len(self.sent) + 1
            self.sent.append(self._bucket.send_part(self._at, number, self._waiting.getvalue()))
            self._waiting = io.BytesIO()


def _code(error: Any) -> str:
    code: str = error.response["Error"]["Code"]
    return code


def _status(error: Any) -> int | None:
    status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status
