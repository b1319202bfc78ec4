"""Where a key in plain text goes: to a place in a keyring, which holds nothing else yet."""

from collections.abc import Mapping
from typing import Protocol

from mahavishnu.ai.secrets.port import SecretStore, as_key
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.base.errors import Conflict, NotFound, UsageError
from mahavishnu.base.masking import Secret


class KeyKeeper(SecretStore, Protocol):
    """A store that also takes keys."""

    def write(self, reference: Reference, secret: Secret) -> None:
        """Keep the key, and return only when it was read back."""
        ...


def destination(text: str, name: str) -> Reference:
    """
    Return where the key of the profile `name` goes: `keyring:SERVICE/NAME`, or `keyring:SERVICE`.

    Raises:
        UsageError: `ai.import_destination`.
    """
    scheme, _, service = text.partition(":")
    if scheme != "keyring" or not service:
        raise UsageError(
            "Keys are moved to a keyring, and nowhere else.",
            hint="Write --to keyring:SERVICE/NAME. For another place, store the key there and give "
            "--key REFERENCE.",
            code="ai.import_destination",
        )
    return parse_reference(named(text, name))


def named(text: str, name: str) -> str:
    """Return a place in a keyring with a name in it: the given one where it says only the service."""
    return text if "/" in text else f"{text}/{name}"


def keep_keys(keeper: KeyKeeper, keys: Mapping[Reference, Secret], *, replace: bool) -> None:
    """Keep all keys, or none where there is no room for one; raises as `check_room` and `write`."""
    missing = [r for r, secret in keys.items() if check_room(keeper, r, secret, replace=replace)]
    for reference in missing:
        keeper.write(reference, keys[reference])


def check_room(
    keeper: KeyKeeper,
    reference: Reference,
    secret: Secret,
    *,
    replace: bool,
    hint: str = "Choose another place with --to, or replace it with --replace.",
) -> bool:
    """
    Tell whether the key has to be written; nothing is. `hint` says what to do where another key is there.

    Raises:
        Conflict: `ai.import_key_exists`, another key is there, unless it may be replaced.
        Corrupt: `secret.malformed`, this can be no key.
    """
    as_key(secret.reveal(), reference, hint="")
    try:
        known = keeper.read(reference)
    except NotFound:
        return True
    if known.reveal() == secret.reveal():
        return False
    if not replace:
        raise Conflict(
            f"There is another key at {reference} already.",
            hint=hint,
            code="ai.import_key_exists",
        )
    return True
