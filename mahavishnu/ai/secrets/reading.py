"""Reads keys to tell about them: which store answers, how old what is there is, how long it took."""

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from mahavishnu.ai.secrets.oneiric.scheme import open_clouds
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.scheme import StoreAccess
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore

# short: under 16 characters, which keys of providers are not; long: over 512, which is a token or a mistake.
type LengthClass = Literal["short", "usual", "long"]
_SHORT, _LONG = 16, 512


@dataclass(frozen=True)
class ReadKey:
    """What may be shown about a key that was read: nothing of it but whether its length is a key's."""

    store: str
    dated_at: datetime | None
    took_s: float
    length: LengthClass


class KeyReader:
    """Reads keys one after the other; the cloud stores stay open until the end of the `with` block."""

    def __init__(self, access: StoreAccess) -> None:
        self._access = access
        self._clouds: OneiricStore | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._clouds is not None:
            self._clouds.close()

    def read(self, reference: Reference) -> ReadKey:
        """Read a key; raises as `SecretStore.read`."""
        began = time.perf_counter()
        scheme = scheme_of(reference.scheme)
        if scheme.remote:
            key, answer = self._open_clouds().look(reference)
            store = f"{where(reference)}, store {answer.store}"
            dated_at = answer.created_at.astimezone(UTC) if answer.created_at else None
        else:
            key, store = scheme.open(self._access).read(reference), where(reference)
            dated_at = modified_at(reference, self._access)
        return ReadKey(store, dated_at, time.perf_counter() - began, length_class(key))

    def health(self) -> tuple[ComponentHealth, ...]:
        """Return the health of the cloud stores."""
        return self._open_clouds().health()

    def _open_clouds(self) -> "OneiricStore":
        if self._clouds is None:
            self._clouds = open_clouds(self._access.stores())
        return self._clouds


def where(reference: Reference) -> str:
    """Return where a reference leads, in words."""
    return scheme_of(reference.scheme).where(reference)


def modified_at(reference: Reference, access: StoreAccess) -> datetime | None:
    """Return when the file of a key was written last; None for what is no file, or not there."""
    file = scheme_of(reference.scheme).file(reference, access)
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC) if file else None
    return None


def length_class(key: Secret) -> LengthClass:
    """Return of which kind a key's length is."""
    length = len(key.reveal())
    return "short" if length < _SHORT else "long" if length > _LONG else "usual"
