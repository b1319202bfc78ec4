"""
The local tokens of the gateway: `gateway:PATH`, written by a switch into clients' settings, never by people.

The file is in the open for its owner, so that nothing but such a token is read in this way.
"""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.secrets.in_file import read_private
from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference, bad_reference
from mahavishnu.ai.secrets.scheme import Scheme, StoreAccess
from mahavishnu.base.masking import Secret

SCHEME_NAME = "gateway"
PREFIX = "mahavishnu-gateway-"


class TokenStore:
    """Reads `gateway:PATH`."""

    def read(self, reference: Reference) -> Secret:
        """Return the token."""
        text = read_private(Path(reference.place)).decode("ascii", "replace").strip()
        return as_key(
            text if text.startswith(PREFIX) else None,
            reference,
            hint="Switch again: mahavishnu ai switch-llm NAME --via gateway",
        )


class GatewayScheme(Scheme):
    """`gateway:PATH`; no hint names it."""

    form = ""

    def parse(self, rest: str) -> tuple[str, str]:
        """Return the path."""
        if not rest.startswith("/") or rest.endswith("/"):
            raise bad_reference("The gateway's token is at an absolute path.")
        return rest, ""

    def open(self, access: StoreAccess, *, asking: bool = True) -> TokenStore:  # noqa: ARG002
        """Return what reads tokens."""
        return TokenStore()

    def read_at_once(self, reference: Reference, environ: Mapping[str, str]) -> Secret:  # noqa: ARG002
        """Return the token."""
        return TokenStore().read(reference)

    def where(self, reference: Reference) -> str:
        """Return which file."""
        return f"the gateway's token in {reference.place}"

    def file(self, reference: Reference, access: StoreAccess) -> Path:  # noqa: ARG002
        """Return the file."""
        return Path(reference.place)


SCHEME: Scheme = GatewayScheme()
