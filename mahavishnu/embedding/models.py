"""The store of local models: one folder each below `<data>/models`, described by a `model.json`."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from mahavishnu.base.errors import Conflict, Corrupt, NotFound, UsageError
from mahavishnu.base.files import digest_file
from mahavishnu.base.paths import private_folder
from mahavishnu.embedding.known_models import MAX_WINDOW_TOKENS, Pooling, find_download
from mahavishnu.embedding.port import ModelIdentity

MANIFEST = "model.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a model as it was when it came in."""

    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """
    The content of `model.json`. `files` are relative paths; `imported_at` is ISO 8601 in UTC.

    `source` says where the model came from, for people.
    """

    name: str
    model_file: str
    dimensions: int
    window_tokens: int
    pooling: Pooling
    document_prefix: str
    query_prefix: str
    files: dict[str, StoredFile]
    source: str
    imported_at: str


class ModelBody(msgspec.Struct, frozen=True):
    """What is shown of a model in the store."""

    name: str
    dimensions: int
    window_tokens: int
    source: str
    imported_at: str
    sha256: str


class ModelList(msgspec.Struct, frozen=True):
    """The models in the store."""

    models: list[ModelBody]


class ModelResult(msgspec.Struct, frozen=True):
    """A model that was looked at."""

    model: ModelBody


class NewModel(ModelResult, frozen=True):
    """A model that came in; `usable`: it can run here, and was tried."""

    usable: bool


class StoredModel(msgspec.Struct, frozen=True):
    """A model in the store: its folder and what its manifest says."""

    folder: Path
    manifest: Manifest

    @property
    def body(self) -> ModelBody:
        """What is shown of it."""
        m = self.manifest
        sha256 = m.files[m.model_file].sha256
        return ModelBody(m.name, m.dimensions, m.window_tokens, m.source, m.imported_at, sha256)

    @property
    def identity(self) -> ModelIdentity:
        """The identity of its vectors; the revision is the digest of the ONNX file."""
        m = self.manifest
        return ModelIdentity(
            provider="fastembed",
            name=m.name,
            revision=m.files[m.model_file].sha256,
            dimensions=m.dimensions,
            document_prefix=m.document_prefix,
            query_prefix=m.query_prefix,
            window_tokens=min(m.window_tokens, MAX_WINDOW_TOKENS),
        )


def folder_of(store: Path, name: str) -> Path:
    """Return the folder of the model called `name`. Raises `UsageError` for an unusable name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"This cannot be the name of a model: {name}",
            hint="Use letters, digits, '.', '_', '-' and at most one '/'.",
            code="embedding.bad_model_name",
        )
    return store / name.replace("/", "--")


def list_models(store: Path) -> list[StoredModel]:
    """Return the models in the store, by name. Folders without a manifest are not models."""
    if not store.is_dir():
        return []
    folders = sorted(path.parent for path in store.glob(f"*/{MANIFEST}"))
    return sorted((read_model(folder) for folder in folders), key=lambda m: m.manifest.name)


def find_model(store: Path, name: str) -> StoredModel:
    """
    Return the stored model `name`, also by an alias of a known download, whatever the case.

    Only its own manifest is read. Raises `NotFound` "embedding.model_missing".
    """
    download = find_download(name)
    for wanted in (name, download.name) if download else (name,):
        for manifest in store.glob(f"*/{MANIFEST}"):
            if manifest.parent.name.lower() == wanted.lower().replace("/", "--"):
                return read_model(manifest.parent)
    get = f"mahavishnu model download {download.name}, or: " if download else ""
    raise NotFound(
        f"The model {name} is not in the local store.",
        hint=f"Run: {get}mahavishnu model import PATH",
        code="embedding.model_missing",
    )


def read_model(folder: Path) -> StoredModel:
    """Return the model in `folder`. Raises `Corrupt` "embedding.model_damaged"."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise _damaged(folder, f"its {MANIFEST} cannot be read") from error
    if manifest.model_file not in manifest.files:
        raise _damaged(folder, f"its {MANIFEST} does not list {manifest.model_file}")
    return StoredModel(folder, manifest)


def check_sizes(model: StoredModel) -> None:
    """Raise `Corrupt` if a file is missing or of another size; costs no reading."""
    for path, file in model.manifest.files.items():
        try:
            size_bytes = (model.folder / path).stat().st_size
        except OSError as error:
            raise _damaged(model.folder, f"{path} is missing") from error
        if size_bytes != file.size_bytes:
            raise _damaged(model.folder, f"{path} has another size")


def runs_here() -> bool:
    """Tell whether models of the store can be used: what runs them comes with the extra `local`."""
    return find_spec("fastembed") is not None


def verify_model(store: Path, name: str) -> StoredModel:
    """Read every file of the model again. Raises `Corrupt` "embedding.model_damaged"."""
    model = find_model(store, name)
    check_sizes(model)
    for path, file in model.manifest.files.items():
        if digest_file(model.folder / path) != file.sha256:
            raise _damaged(model.folder, f"{path} was altered")
    return model


def describe_files(folder: Path, paths: list[str]) -> dict[str, StoredFile]:
    """Return digest and size of each of `paths` below `folder`."""
    return {
        path: StoredFile(digest_file(folder / path), (folder / path).stat().st_size)
        for path in sorted(paths)
    }


def find_same(store: Path, manifest: Manifest) -> StoredModel | None:
    """
    Return the stored model of that name if it has the same files, None if the name is free.

    Raises `Conflict` "embedding.model_exists" if the name is taken by other files.
    """
    folder = folder_of(store, manifest.name)
    if not (folder / MANIFEST).exists():
        return None
    present = read_model(folder)
    if present.manifest.files == manifest.files:
        return present
    raise Conflict(
        f"Another model is already stored as {manifest.name}.",
        hint="Give this one another name with --name.",
        code="embedding.model_exists",
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `model.json` into `folder`, readable for people."""
    text = json.dumps(msgspec.to_builtins(manifest), indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def locked_store(store: Path) -> Iterator[Path]:
    """
    Hold the store against other processes, waiting for them; yields its staging folder.

    What is left in the staging folder by an earlier crash may be resumed or removed.
    """
    private_folder(store)
    descriptor = os.open(store / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield private_folder(store / ".staging")
    finally:
        os.close(descriptor)


def _damaged(folder: Path, what: str) -> Corrupt:
    return Corrupt(
        f"The model in {folder} is damaged: {what}.",
        hint="Remove that folder and import or download the model again.",
        code="embedding.model_damaged",
    )
