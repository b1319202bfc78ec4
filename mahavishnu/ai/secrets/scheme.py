"""What a store of keys brings: how references to it are written, how it is opened, and what can be said of a key."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from mahavishnu.ai.secrets.port import SecretStore
from mahavishnu.base.errors import Forbidden, MahavishnuError, NotFound
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.stores import FindStores
    from mahavishnu.ai.secrets.reference import Reference

type What = Literal["key", "client", "extra", "program", "store", "place", "profile"]
type Requirement = tuple[What, Callable[[], object]]


class StoreAccess(Protocol):
    """What stores are opened with: variables, age's key file, and what finds the cloud stores of the settings."""

    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def identity(self) -> Path: ...
    @property
    def stores(self) -> "FindStores": ...


class Given(NamedTuple):
    """A `StoreAccess` of its three parts."""

    environ: Mapping[str, str]
    identity: Path
    stores: "FindStores"


class Scheme:
    """
    One scheme. `form` shows how its references look; between place and name of one is `mark`.

    `form` is empty where people write none.
    That of `remote` stores opens one that is to be closed, and may take its time. With an error of `locked`, the
    key may be there all the same, and open to its user.
    """

    form: str
    mark = "#"
    remote = False
    locked: frozenset[str] = frozenset()

    def parse(self, rest: str) -> tuple[str, str]:
        """
        Return place and name of what is after the scheme.

        Raises:
            UsageError: `secret.reference`, as `bad_reference`: without the text, which may be a key.
        """
        raise NotImplementedError

    def open(self, access: StoreAccess, *, asking: bool = True) -> SecretStore:
        """Return the store; without `asking`, one that asks nobody for a passphrase."""
        raise NotImplementedError

    def read_at_once(self, reference: "Reference", environ: Mapping[str, str]) -> Secret | None:  # noqa: ARG002
        """Return the key of a store that whoever asks reads itself; None where the daemon may have it kept."""
        return None

    def where(self, reference: "Reference") -> str:
        """Return where a reference leads, in words."""
        raise NotImplementedError

    def file(self, reference: "Reference", access: StoreAccess) -> Path | None:  # noqa: ARG002 - some schemes'
        """Return the file that a key is in; None for what is no file."""
        return None

    def require_there(self, reference: "Reference", access: StoreAccess) -> None:
        """Make sure of a key as far as that goes without decrypting; raises as `SecretStore.read`."""
        self.open(access).read(reference)

    def requirements(self, reference: "Reference", access: StoreAccess) -> Sequence[Requirement]:
        """Return what must be here before the key can be read, in order; each raises what is missing."""
        return (("key", lambda: self.require_there(reference, access)),)

    def state(self, reference: "Reference", access: StoreAccess) -> str:
        """Return "present", "missing", "exposed" or "malformed", or another word where the key is not looked at."""
        try:
            self.require_there(reference, access)
        except NotFound:
            return "missing"
        except Forbidden:
            return "exposed"
        except MahavishnuError:
            return "malformed"
        return "present"
