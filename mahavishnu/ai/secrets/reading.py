"""Reads keys to tell about them: which store answers, how old what is there is, how long it took."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from mahavishnu.ai.secrets.in_file import find_file
from mahavishnu.ai.secrets.oneiric.answers import ComponentHealth
from mahavishnu.ai.secrets.oneiric.stores import FindStores, identifier_of, provider_of
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.resolve import open_clouds, open_store
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore

# short: under 16 characters, which keys of providers are not; long: over 512, which is a token or a mistake.
type LengthClass = Literal["short", "usual", "long"]
_SHORT, _LONG = 16, 512
_TITLES = {"aws": "AWS Secrets Manager", "gcp": "GCP Secret Manager"}


@dataclass(frozen=True)
class ReadKey:
    """What may be shown about a key that was read: nothing of it but whether its length is a key's."""

    store: str
    dated_at: datetime | None
    took_s: float
    length: LengthClass


class KeyReader:
    """Reads keys one after the other; the cloud stores stay open until the end of the `with` block."""

    def __init__(self, environ: Mapping[str, str], identity: Path, stores: FindStores) -> None:
        self._environ = environ
        self._identity = identity
        self._find_stores = stores
        self._clouds: OneiricStore | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._clouds is not None:
            self._clouds.close()

    def read(self, reference: Reference) -> ReadKey:
        """Read a key; raises as `SecretStore.read`."""
        began = time.perf_counter()
        if reference.scheme == "oneiric":
            key, answer = self._open_clouds().look(reference)
            store = f"{where(reference)}, store {answer.store}"
            dated_at = answer.created_at.astimezone(UTC) if answer.created_at else None
        else:
            opened = open_store(reference, environ=self._environ, identity=self._identity)
            key, store = opened.read(reference), where(reference)
            dated_at = modified_at(reference, self._environ)
        return ReadKey(store, dated_at, time.perf_counter() - began, length_class(key))

    def health(self) -> tuple[ComponentHealth, ...]:
        """Return the health of the cloud stores."""
        return self._open_clouds().health()

    def _open_clouds(self) -> "OneiricStore":
        if self._clouds is None:
            self._clouds = open_clouds(self._find_stores())
        return self._clouds


def where(reference: Reference) -> str:
    """Return where a reference leads, in words."""
    name = reference.name
    if reference.scheme == "env":
        return f"the variable {reference.place}"
    if reference.scheme == "keyring":
        return f"the keyring: {name} of {reference.place}"
    if reference.scheme == "file":
        return f"the file {reference.place}{f', {name}' if name else ''}"
    field = f", field {name}" if name else ""
    return f"{_TITLES[provider_of(reference)]}: {identifier_of(reference)}{field}"


def modified_at(reference: Reference, environ: Mapping[str, str]) -> datetime | None:
    """Return when the file of a key was written last; None for what is no file, or not there."""
    if reference.scheme == "file":
        with contextlib.suppress(OSError):
            return datetime.fromtimestamp(find_file(reference, environ).stat().st_mtime, UTC)
    return None


def length_class(key: Secret) -> LengthClass:
    """Return of which kind a key's length is."""
    length = len(key.reveal())
    return "short" if length < _SHORT else "long" if length > _LONG else "usual"
