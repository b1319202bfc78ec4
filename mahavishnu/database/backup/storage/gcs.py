"""A bucket of Google Cloud Storage, by Google's own client, which finds its credentials itself."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mahavishnu.base.extras import not_installed
from mahavishnu.database.backup.storage.bucket import (
    PART_BYTES,
    TIMEOUT_S,
    Entry,
    explain_answer,
    missing_object,
    upload_changed,
)
from mahavishnu.database.backup.storage.port import PartWriter


class GcsBucket:
    """The objects below a prefix; a request that fails is repeated for `repeat_s`."""

    def __init__(self, name: str, prefix: str, *, repeat_s: float = 60.0) -> None:
        try:
            import google.cloud.storage  # noqa: PLC0415 - an extra, and slow
        except ImportError as error:
            raise not_installed("backup-gcs") from error
        self.place = f"gs://{name}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._google: Any = google
        self._failures = (
            google.api_core.exceptions.GoogleAPIError,
            google.auth.exceptions.GoogleAuthError,
            google.cloud.storage.exceptions.InvalidResponse,
            OSError,  # of requests, too
        )
        retry = google.cloud.storage.retry.DEFAULT_RETRY.with_timeout(repeat_s)
        self._limits: Any = {"timeout": TIMEOUT_S, "retry": retry}
        with self.translated():
            self._bucket: Any = google.cloud.storage.Client().bucket(name)

    def find(self, prefix: str) -> list[Entry]:
        with self.translated():
            blobs = self._bucket.list_blobs(prefix=self._prefix + prefix, **self._limits)
            return [self._entry(each) for each in blobs]

    def head(self, key: str) -> Entry | None:
        with self.translated():
            blob = self._bucket.get_blob(self._prefix + key, **self._limits)
        return None if blob is None else self._entry(blob)

    def read(self, key: str, start: int, size: int) -> bytes:
        piece = {"start": start, "end": start + size - 1}
        with self.translated():
            try:
                content: bytes = self._blob(key).download_as_bytes(**piece, **self._limits)
            except self._google.api_core.exceptions.NotFound as error:
                raise missing_object(self.place, key) from error
        return content

    def put(self, key: str, content: bytes) -> datetime:
        blob = self._blob(key)
        with self.translated():
            blob.upload_from_string(content, **self._limits)
        written_at: datetime = blob.updated
        return written_at

    def put_if(self, key: str, content: bytes, version: str | None) -> str | None:
        blob = self._blob(key)
        with self.translated():
            try:
                blob.upload_from_string(
                    content, if_generation_match=int(version or 0), **self._limits
                )
            except self._google.api_core.exceptions.PreconditionFailed:
                return None
        return str(blob.generation)

    @contextlib.contextmanager
    def upload(self, key: str) -> Iterator[PartWriter]:
        blob = self._bucket.blob(self._prefix + key, chunk_size=PART_BYTES)
        with self.translated():
            sink = blob.open("wb", ignore_flush=True, **self._limits)
        with contextlib.ExitStack() as stack:
            stack.callback(self._abandon, sink)
            yield _Sink(self, sink)
            try:
                with self.translated():
                    sink.close()
            except self._google.cloud.storage.exceptions.DataCorruption as error:
                raise upload_changed(self.place, key) from error
            stack.pop_all()

    def delete(self, keys: list[str]) -> None:
        missing = contextlib.suppress(self._google.api_core.exceptions.NotFound)
        for key in keys:
            with self.translated(), missing:
                self._blob(key).delete(**self._limits)

    def _abandon(self, sink: Any) -> None:
        with contextlib.suppress(*self._failures):  # else Google forgets it within a week
            sink.terminate()
        sink.close = lambda: None  # which would complete the upload when this is collected

    def _blob(self, key: str) -> Any:
        return self._bucket.blob(self._prefix + key)

    def _entry(self, blob: Any) -> Entry:
        key = blob.name.removeprefix(self._prefix)
        return Entry(key, blob.size, blob.updated, str(blob.generation))

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise what Google's client raises in the block as ours."""
        try:
            yield
        except self._failures as error:
            credentials = isinstance(error, self._google.auth.exceptions.GoogleAuthError)
            lost = isinstance(error, self._google.auth.exceptions.TransportError)
            status = 403 if credentials and not lost else getattr(error, "code", None)
            raise explain_answer(self.place, status=status, said=type(error).__name__) from error


@dataclass(frozen=True)
class _Sink:
    """An upload with errors of ours."""

    bucket: GcsBucket
    sink: Any

    def write(self, data: bytes, /) -> int:
        with self.bucket.translated():
            self.sink.write(data)
        return len(data)
