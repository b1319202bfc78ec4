"""From a reference to its key, by the store of its scheme."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.scheme import Given
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.paths import Locations, expanded

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.stores import FindStores

IDENTITY_VARIABLE = "MAHAVISHNU_AGE_IDENTITY"


def resolve(
    reference: Reference,
    *,
    environ: Mapping[str, str],
    identity: Path,
    stores: "FindStores",
    asking: bool = True,
) -> Secret:
    """
    Return the key that a reference leads to; raises as `SecretStore.read`.

    `identity` is age's key file; `stores` returns the cloud stores of the settings. Without `asking`, nobody is
    asked for a passphrase.
    """
    store = scheme_of(reference.scheme).open(Given(environ, identity, stores), asking=asking)
    with store if isinstance(store, AbstractContextManager) else nullcontext():
        return store.read(reference)


def find_doubt(
    reference: Reference, *, environ: Mapping[str, str], identity: Path, stores: "FindStores"
) -> MahavishnuError | None:
    """
    Make sure of a key without asking anybody for a passphrase; raises as `SecretStore.read`.

    Returns why that is unknown: what it is in does not open by itself.
    """
    try:
        resolve(reference, environ=environ, identity=identity, stores=stores, asking=False)
    except MahavishnuError as error:
        if error.code not in scheme_of(reference.scheme).locked:
            raise
        return error
    return None


def find_identity(environ: Mapping[str, str], locations: Locations) -> Path:
    """Return where age's identity is: what MAHAVISHNU_AGE_IDENTITY says, else beside the settings."""
    given = environ.get(IDENTITY_VARIABLE)
    return expanded(given) if given else locations.config / "age-identity.txt"
