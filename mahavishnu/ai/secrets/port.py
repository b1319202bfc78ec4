"""What every store of keys is, and what every key has to be."""

from typing import Protocol

from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import Corrupt, NotFound
from mahavishnu.base.masking import Secret

MAX_KEY_LENGTH = 16_384


class SecretStore(Protocol):
    """Reads the keys of one scheme. A keyring also takes keys: `importing.keys.KeyKeeper`."""

    def read(self, reference: Reference) -> Secret:
        """
        Return the key.

        Raises:
            NotFound: `secret.missing`.
            Corrupt: `secret.malformed`, as `as_key`.
            Forbidden: it is kept where others can read it, or may not be had.
            Unavailable: what keeps it does not answer; the same call may succeed later.
        """


def as_key(value: str | None, reference: Reference, *, hint: str) -> Secret:
    """
    Return a value as a key: printable ASCII without a space, as it goes into a header.

    White space around it is cut off, for example the line's end. `hint` says how to bring in a
    missing one.
    """
    if value is None or not value.strip():
        raise NotFound(
            f"There is no key at {reference}.",
            hint=hint,
            code="secret.missing",
        )
    key = value.strip()
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()) or " " in key:
        raise Corrupt(
            f"The text at {reference} is not a key: it has spaces, line breaks or other characters.",
            hint="A key is one word of ASCII. Store the key alone there.",
            code="secret.malformed",
        )
    return Secret(key)
