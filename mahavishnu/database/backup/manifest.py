"""What a backup set says of itself, and what a drill said of it; parsed once, strictly."""

import hashlib
import re
from datetime import datetime
from typing import Annotated

import msgspec

from mahavishnu.base.errors import Conflict, Corrupt

FORMAT = 1
MANIFEST = "manifest.json"
PROOF = "drill.json"
DATABASE = "database.dump"
CONFIGURATION = "configuration.json"
JOURNAL = "journal.jsonl"
# Every set has these parts; the name of an encrypted one ends in `.age`.
PARTS = (DATABASE, CONFIGURATION, JOURNAL)
ENCRYPTED = ".age"
OTHER_SET = "List the other sets: mahavishnu backup list"

_PART_NAME = rf"^({'|'.join(map(re.escape, PARTS))})({re.escape(ENCRYPTED)})?$"

type Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
type Count = Annotated[int, msgspec.Meta(ge=0)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the set, as it is stored."""

    name: Annotated[str, msgspec.Meta(pattern=_PART_NAME)]
    size_bytes: Count
    sha256: Digest


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table as it was in the snapshot; `checksum` is of its rows in any order."""

    name: str
    rows: Count
    checksum: str


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An embedding model whose vectors the database holds."""

    model_no: int
    provider: str
    name: str
    revision: str
    dimensions: int
    state: str


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A set: what it was made of and by, and what its parts must be.

    `program` is the major version of the pg_dump that wrote it. `structure` lists columns, indexes,
    constraints, policies, triggers and functions. `members` are roles with rights on the tables,
    `last_memory` is the highest memory_no. `digest` is of all other fields.
    """

    format: int
    token: str
    created_at: datetime
    product: str
    revision: str
    postgresql: str
    pgvector: str
    program: int
    members: tuple[str, ...]
    last_memory: int
    tables: tuple[Table, ...]
    structure: tuple[str, ...]
    models: tuple[Model, ...]
    parts: tuple[Part, ...]
    recipients: tuple[str, ...]
    digest: str = ""

    @property
    def rows(self) -> int:
        """How many rows all tables have together."""
        return sum(table.rows for table in self.tables)

    @property
    def memories(self) -> int:
        """How many memories there are, superseded ones too."""
        return next((table.rows for table in self.tables if table.name == "public.memories"), 0)

    @property
    def size_bytes(self) -> int:
        """The size of all parts."""
        return sum(part.size_bytes for part in self.parts)

    @property
    def encrypted(self) -> bool:
        """Whether the parts are encrypted."""
        return bool(self.recipients)

    def part(self, name: str) -> Part:
        """Return a part by its name without the ending of encryption; it is there."""
        return next(each for each in self.parts if each.name.removesuffix(ENCRYPTED) == name)


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the last drill of a set found; `manifest` is the digest of the set that was drilled."""

    manifest: str
    at: datetime
    proven: bool
    code: str | None = None
    message: str | None = None
    postgresql: str = ""
    text_searches: Count = 0
    vector_searches: Count = 0
    seconds: float = 0.0


def write_manifest(manifest: BackupManifest) -> bytes:
    """Return the manifest as it is stored, with its digest."""
    return encode(msgspec.structs.replace(manifest, digest=_digest(manifest)))


def parse_manifest(content: bytes, *, token: str) -> BackupManifest:
    """
    Return the manifest of the set with this token.

    Raises:
        Corrupt: `backup.manifest_damaged`, or `backup.manifest_changed` where it was edited or is
            another set's.
        Conflict: `backup.newer`, where a later release made it.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).format
        if version > FORMAT:
            raise newer(f"of format {version}", str(FORMAT))
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(
            "The manifest of the backup cannot be read.",
            hint=OTHER_SET,
            code="backup.manifest_damaged",
        ) from error
    names = sorted(part.name.removesuffix(ENCRYPTED) for part in manifest.parts)
    if (
        manifest.digest != _digest(manifest)
        or manifest.token != token
        or names != sorted(PARTS)
        or any(part.name.endswith(ENCRYPTED) != manifest.encrypted for part in manifest.parts)
    ):
        raise Corrupt(
            "The manifest of the backup was changed, or is that of another set.",
            hint=OTHER_SET,
            code="backup.manifest_changed",
        )
    return manifest


def newer(what: str, known: str) -> Conflict:
    """Return the error for a set that a later release made."""
    return Conflict(
        f"The backup is {what}, newer than this release knows ({known}).",
        hint="Upgrade Mahavishnu on this machine.",
        code="backup.newer",
    )


def parse_proof(content: bytes | None, manifest: BackupManifest) -> Proof | None:
    """Return what the last drill of this very set found; None without one that can be read."""
    try:
        proof = msgspec.json.decode(content or b"", type=Proof)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return proof if proof.manifest == manifest.digest else None


def encode(value: BackupManifest | Proof) -> bytes:
    """Return a manifest or proof as text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


class _Version(msgspec.Struct):
    format: int


def _digest(manifest: BackupManifest) -> str:
    bare = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()
