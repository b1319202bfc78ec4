"""Which place an address means: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahavishnu.base.errors import UsageError
from mahavishnu.base.paths import expanded
from mahavishnu.database.backup.storage.bucket_sets import BucketStorage
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.storage.gcs import GcsBucket
from mahavishnu.database.backup.storage.port import Storage
from mahavishnu.database.backup.storage.s3 import S3Bucket

_BUCKET = re.compile(r"(gs|s3)://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/([\w.=+/-]{0,500}))?")


@dataclass(frozen=True)
class BucketAddress:
    """A bucket of a cloud, and what the keys of all objects begin with."""

    scheme: Literal["gs", "s3"]
    bucket: str
    prefix: str


def parse_address(text: str) -> Path | BucketAddress:
    """
    Return what an address means; a folder is absolute, or begins with ~/.

    Raises:
        UsageError: `backup.address`.
    """
    if found := _BUCKET.fullmatch(text):
        prefix = (found[3] or "").rstrip("/")
        if not {"", ".", ".."} & {*prefix.split("/")} or not prefix:
            return BucketAddress("gs" if found[1] == "gs" else "s3", found[2], prefix)
    elif "://" not in text and text.startswith(("/", "~/")):
        return expanded(text)
    raise UsageError(
        "backup.store is not an address of a place for backups.",
        hint="Set it to a folder (~/backups), gs://BUCKET/PREFIX or s3://BUCKET/PREFIX; credentials are no part of it.",
        code="backup.address",
    )


def open_storage(text: str) -> Storage:
    """
    Return the place that an address means; of a bucket nothing is asked yet.

    Credentials and other endpoints are those that Google's and AWS's own clients find.

    Raises:
        UsageError: as `parse_address`.
        Unavailable: `engine.not_installed`.
        Forbidden: `backup.denied`, where there are no credentials.
    """
    address = parse_address(text)
    if isinstance(address, Path):
        return LocalFolder(address)
    if address.scheme == "gs":
        return BucketStorage(GcsBucket(address.bucket, address.prefix))
    return BucketStorage(S3Bucket(address.bucket, address.prefix))
