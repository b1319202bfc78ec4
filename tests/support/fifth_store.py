"""A store of keys that only the tests have: `fifth:NAME` reads from the table below."""

from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.scheme import Scheme, StoreAccess
from mahavishnu.base.masking import Secret

KEPT: dict[str, str] = {}


class FifthStore:
    """The store."""

    def read(self, reference: Reference) -> Secret:
        return as_key(KEPT.get(reference.place), reference, hint="Put it there.")


class FifthScheme(Scheme):
    """Its references."""

    form = "fifth:NAME"

    def parse(self, rest: str) -> tuple[str, str]:
        return rest, ""

    def open(self, access: StoreAccess, *, asking: bool = True) -> FifthStore:
        return FifthStore()

    def where(self, reference: Reference) -> str:
        return f"the fifth store: {reference.place}"


SCHEME = FifthScheme()
