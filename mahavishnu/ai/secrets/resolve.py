"""From a reference to its key, by the store of its scheme."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.oneiric.stores import FindStores, Stores
from mahavishnu.ai.secrets.port import EnvironmentStore, SecretStore
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.paths import Locations

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.in_file import FileStore
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore

# A file that does not open unattended may open to its user.
_LOCKED = frozenset({"secret.not_decrypted", "secret.no_program", "secret.timeout"})
IDENTITY_VARIABLE = "MAHAVISHNU_AGE_IDENTITY"


def resolve(
    reference: Reference, *, environ: Mapping[str, str], identity: Path, stores: FindStores
) -> Secret:
    """
    Return the key that a reference leads to; raises as `SecretStore.read`.

    `identity` is age's key file; `stores` returns the cloud stores of the settings.
    """
    if reference.scheme == "oneiric":
        with open_clouds(stores()) as clouds:
            return clouds.read(reference)
    return open_store(reference, environ=environ, identity=identity).read(reference)


def require_there(
    reference: Reference, *, environ: Mapping[str, str], identity: Path, stores: FindStores
) -> None:
    """Make sure of a key as far as that goes without decrypting; raises as `SecretStore.read`."""
    if reference.scheme == "file":
        _open_file(environ, identity).check(reference)
    else:
        resolve(reference, environ=environ, identity=identity, stores=stores)


def find_doubt(
    reference: Reference, *, environ: Mapping[str, str], identity: Path, stores: FindStores
) -> MahavishnuError | None:
    """
    Make sure of a key without asking anybody for a passphrase; raises as `SecretStore.read`.

    Returns why that is unknown: the file does not open by itself.
    """
    if reference.scheme != "file":
        resolve(reference, environ=environ, identity=identity, stores=stores)
        return None
    try:
        _open_file(environ, identity, asking=False).read(reference)
    except MahavishnuError as error:
        if error.code not in _LOCKED:
            raise
        return error
    return None


def open_clouds(stores: Stores) -> "OneiricStore":
    """Return the store of `oneiric:` references, to be closed; nothing is asked yet."""
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore  # noqa: PLC0415 - slow

    return OneiricStore(stores)


def open_store(reference: Reference, *, environ: Mapping[str, str], identity: Path) -> SecretStore:
    """Return the store on this machine that a reference belongs to."""
    if reference.scheme == "env":
        return EnvironmentStore(environ)
    if reference.scheme == "keyring":
        return KeyringStore()
    return _open_file(environ, identity)


def _open_file(environ: Mapping[str, str], identity: Path, *, asking: bool = True) -> "FileStore":
    from mahavishnu.ai.secrets.in_file import FileStore  # noqa: PLC0415 - slow

    return FileStore(environ, identity=identity, asking=asking)


def find_identity(environ: Mapping[str, str], locations: Locations) -> Path:
    """Return where age's identity is: what MAHAVISHNU_AGE_IDENTITY says, else beside the settings."""
    given = environ.get(IDENTITY_VARIABLE)
    return Path(given).expanduser() if given else locations.config / "age-identity.txt"
