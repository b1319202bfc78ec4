"""How `oneiric:` references are written, and their store opened; the store itself is slow to import."""

import string
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.oneiric.stores import (
    TITLES,
    Stores,
    identifier_of,
    is_installed,
    provider_of,
    require_installed,
)
from mahavishnu.ai.secrets.reference import MAX_NAME_LENGTH, Reference, bad_reference
from mahavishnu.ai.secrets.scheme import Requirement, Scheme, StoreAccess
from mahavishnu.base.errors import MahavishnuError, UsageError

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore

_WORD = frozenset(string.ascii_letters + string.digits + "-_")
_FIELD = _WORD | {"."}
# What an id can be made of. The one of GCP is put into a path, so that no slash may be in it.
PROVIDERS = {
    "aws": _FIELD | frozenset("/+=@:"),  # a name, or an ARN
    "gcp": _WORD,
}


class OneiricScheme(Scheme):
    """`oneiric:PROVIDER/ID` and `oneiric:PROVIDER/ID#FIELD`. A cloud takes its time, and is not asked in passing."""

    form = "oneiric:aws/ID#FIELD (or gcp) for a cloud store"
    remote = True

    def parse(self, rest: str) -> tuple[str, str]:
        """Return PROVIDER/ID, and the field."""
        place, mark, field = rest.partition("#")
        provider, _, identifier = place.partition("/")
        if provider == "infisical":
            raise UsageError(
                "Infisical is no longer a store of keys.",
                hint="Start the client by Infisical's own program (infisical run -- PROGRAM) and write env:NAME,"
                " or keep the key in a keyring, a file or another cloud store.",
                code="secret.infisical",
            )
        signs = PROVIDERS.get(provider)
        if signs is None or not identifier or not signs.issuperset(identifier):
            raise bad_reference(
                f"After oneiric: write a provider ({', '.join(PROVIDERS)}), a slash and the id of a secret there."
            )
        if mark and not (0 < len(field) <= MAX_NAME_LENGTH and _FIELD.issuperset(field)):
            raise bad_reference(
                "After # write the name of a field: letters, digits, -, _ and dots."
            )
        return place, field

    def open(self, access: StoreAccess, *, asking: bool = True) -> "OneiricStore":  # noqa: ARG002
        """Return the store of the settings."""
        return open_clouds(access.stores())

    def where(self, reference: Reference) -> str:
        """Return which secret of which cloud."""
        field = f", field {reference.name}" if reference.name else ""
        return f"{TITLES[provider_of(reference)]}: {identifier_of(reference)}{field}"

    def requirements(self, reference: Reference, access: StoreAccess) -> tuple[Requirement, ...]:
        """Return that the settings have a store of it, and that Oneiric is installed."""
        return (
            ("store", lambda: access.stores().require(provider_of(reference))),
            ("extra", require_installed),
        )

    def state(self, reference: Reference, access: StoreAccess) -> str:
        """Return whether it could be asked."""
        try:
            access.stores().require(provider_of(reference))
        except MahavishnuError:
            return "no store"
        return "not asked" if is_installed() else "not installed"


def open_clouds(stores: Stores) -> "OneiricStore":
    """Return the store of `oneiric:` references, to be closed; nothing is asked yet."""
    from mahavishnu.ai.secrets.oneiric.store import OneiricStore  # noqa: PLC0415 - slow

    return OneiricStore(stores)


SCHEME: Scheme = OneiricScheme()
