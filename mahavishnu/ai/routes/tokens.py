"""
The tokens that clients show the gateway: one for each client, random, each in a 0600 file of ours.

One tells the gateway which client asks. It is no provider's key, and is worth nothing elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe

from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.secrets.in_file import read_private
from mahavishnu.ai.secrets.in_gateway import PREFIX, SCHEME_NAME
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.masking import Secret
from mahavishnu.base.paths import private_folder

_BYTES = 32


def token_reference(folder: Path, client: str) -> Reference:
    """Return by which reference a client gets its token."""
    return Reference(SCHEME_NAME, str(folder / client))


def ensure_token(folder: Path, client: str) -> Secret:
    """
    Return the token of a client, which is made where there is none.

    Raises:
        MahavishnuError: as `read_private`, of a file that others can reach.
    """
    path = folder / client
    if not path.exists():
        with told(path):
            private_folder(folder)
            write_atomically(path, f"{PREFIX}{token_urlsafe(_BYTES)}\n".encode())
    return Secret(read_private(path).decode("ascii", "replace").strip())


def read_tokens(folder: Path) -> Mapping[str, str]:
    """Return the client of each token; a file that others can reach, or that holds none, is passed over."""
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        try:
            token = read_private(path).decode("ascii", "replace").strip()
        except MahavishnuError:
            continue
        if token.startswith(PREFIX):
            found[token] = path.name
    return found
