"""
Move a key in plain text out of a client's settings, before a switch takes it away.

A keyring takes it. An encrypted file and the environment are not written to: there it must be already.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mahavishnu.ai.profiles.importing.keys import KeyKeeper, check_room, named
from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.switching.plan import FilePlan, SwitchPlan
from mahavishnu.ai.switching.redaction import keys_in
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Conflict, Forbidden, NotFound
from mahavishnu.base.masking import Secret


@dataclass(frozen=True)
class Move:
    """The key that a switch takes away, where it goes, and what has to take it; None: it is there already."""

    reference: Reference
    secret: Secret
    keeper: KeyKeeper | None = None


def open_keyring() -> KeyKeeper:
    """Return the user's keyring."""
    return KeyringStore()


def move_key(
    site: Site, plan: SwitchPlan, place: str, *, keyring: Callable[[], KeyKeeper] = open_keyring
) -> Reference | None:
    """
    Make sure that the key which a switch takes away is at `place`; returns where, None without such a key.

    Raises as `find_move`, and as `KeyKeeper.write`.
    """
    move = find_move(site, plan, place, keyring=keyring)
    if move is None:
        return None
    if move.keeper is not None:
        move.keeper.write(move.reference, move.secret)
    return move.reference


def find_move(
    site: Site, plan: SwitchPlan, place: str, *, keyring: Callable[[], KeyKeeper] = open_keyring
) -> Move | None:
    """
    Return what `move_key` would do, or refuse as it does; nothing is written.

    Raises:
        Conflict: `ai.move_several`, `ai.move_other`; `ai.import_key_exists`.
        Forbidden: `ai.plain_key`, a key inside a longer text.
        UsageError: `secret.reference`.
        MahavishnuError: as `SecretStore.read`.
    """
    holders = [file for file in plan.files if file.plain_keys]
    in_keyring = place.startswith("keyring:")
    name = holders[0].name if holders else "key"
    reference = parse_reference(named(place, name) if in_keyring else place)
    keys = {key for file in holders for key in _keys_of(file)}
    if not holders:
        return None
    if not keys:
        raise Forbidden(
            f"{holders[0].place.path} holds a key that is not text and cannot be moved.",
            hint="Write it as text, or discard it with --forget-keys.",
            code="ai.plain_key",
        )
    if len(keys) > 1:
        raise Conflict(
            f"{len(keys)} different keys are in plain text, and one place holds only one.",
            hint="Switch one client at a time with --client.",
            code="ai.move_several",
        )
    secret = Secret(keys.pop())
    if not in_keyring:
        _require_same(site, reference, secret)
        return Move(reference, secret)
    keeper = keyring()
    hint = f"Choose another place: --move-key keyring:{reference.place}/OTHER"
    is_missing = check_room(keeper, reference, secret, replace=False, hint=hint)
    return Move(reference, secret, keeper if is_missing else None)


def _keys_of(file: FilePlan) -> list[str]:
    """Return the keys that would be gone; each must be a member by itself."""
    client = file.place.client
    if not all(map(client.is_secret, file.plain_keys)):
        raise Forbidden(
            f"{file.place.path} holds a key inside a command, an address or a header, which cannot be moved.",
            hint="Take the key out of that text, or discard it with --forget-keys.",
            code="ai.plain_key",
        )
    return [
        key
        for each in file.effects
        if each.change.path in file.plain_keys
        for key in keys_in(each.before, each.change.path, client.is_secret)
    ]


def _require_same(site: Site, reference: Reference, secret: Secret) -> None:
    hint = (
        "Mahavishnu writes no encrypted file and no variable. Store the key there first; or move it into the"
        " keyring: --move-key keyring:mahavishnu"
    )
    try:
        there = resolve(reference, environ=site.environ, identity=site.identity, stores=site.stores)
    except NotFound as error:
        raise NotFound(error.message, hint=hint, code=error.code) from error
    if there.reveal() != secret.reveal():
        raise Conflict(
            f"The key at {reference} is not the one in plain text.",
            hint=hint,
            code="ai.move_other",
        )
