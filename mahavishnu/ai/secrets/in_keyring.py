"""Keys in the keyring of the system, through the library `keyring` (an extra), loaded when it is needed."""

import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference, bad_reference
from mahavishnu.ai.secrets.scheme import Requirement, Scheme, StoreAccess
from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.base.masking import Secret

TIMEOUT_S = 30.0  # somebody may have to unlock it
# Backends that keep what they are given readable on the disk.
PLAIN_BACKENDS = frozenset({"PlaintextKeyring"})


class KeyringStore:
    """Reads `keyring:SERVICE/NAME`, and writes it when the user has agreed to that."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def read(self, reference: Reference) -> Secret:
        """Return the password that the first backend with such an entry gives."""
        value = _bounded(lambda: _ask(reference, _find), self._timeout_s)
        return as_key(
            value,
            reference,
            hint=f"Store it, for example: keyring set {reference.place} {reference.name}",
        )

    def write(self, reference: Reference, secret: Secret) -> None:
        """
        Keep a key in the first backend that keeps none readable, and read it back from there.

        Raises:
            Unavailable: `secret.not_kept`, what is read is not what was written; else as `read`.
        """
        _bounded(lambda: _ask(reference, partial(_put, secret)), self._timeout_s)
        if _bounded(lambda: _ask(reference, _find), self._timeout_s) != secret.reveal():
            raise Unavailable(
                f"The keyring does not give back what was stored at {reference}.",
                hint="Look into it with: keyring get SERVICE NAME",
                code="secret.not_kept",
            )


class KeyringScheme(Scheme):
    """`keyring:SERVICE/NAME`. It may ask to be unlocked, and is not asked in passing."""

    form = "keyring:SERVICE/NAME"
    mark = "/"

    def parse(self, rest: str) -> tuple[str, str]:
        """Return service and name."""
        service, _, name = rest.rpartition("/")
        if not service or not name:
            raise bad_reference("After keyring: write a service and a name: keyring:SERVICE/NAME.")
        return service, name

    def open(self, access: StoreAccess, *, asking: bool = True) -> KeyringStore:  # noqa: ARG002
        """Return the keyring."""
        return KeyringStore()

    def where(self, reference: Reference) -> str:
        """Return which entry."""
        return f"the keyring: {reference.name} of {reference.place}"

    def requirements(self, reference: Reference, access: StoreAccess) -> tuple[Requirement, ...]:  # noqa: ARG002
        """Return that the library is installed."""
        return (("extra", _require_library),)

    def state(self, reference: Reference, access: StoreAccess) -> str:  # noqa: ARG002
        """Return that nobody asked."""
        return "not asked"


def _require_library() -> None:
    if find_spec("keyring") is None:
        raise _no_library()


def _find(backends: list[Any], reference: Reference) -> str | None:
    found = (each.get_password(reference.place, reference.name) for each in backends)
    return next((str(value) for value in found if value is not None), None)


def _put(secret: Secret, backends: list[Any], reference: Reference) -> None:
    backends[0].set_password(reference.place, reference.name, secret.reveal())


def _ask(
    reference: Reference, question: Callable[[list[Any], Reference], str | None]
) -> str | None:
    try:
        import keyring.errors  # noqa: PLC0415 - an extra, and a quarter of a second
    except ImportError as error:
        raise _no_library() from error
    try:
        return question(_backends(keyring.get_keyring()), reference)
    except keyring.errors.NoKeyringError as error:
        raise _no_backend() from error
    except (keyring.errors.KeyringLocked, keyring.errors.InitError) as error:
        raise _locked() from error
    except keyring.errors.KeyringError as error:
        raise Unavailable(
            "The keyring failed.",
            hint="See whether this works: keyring get SERVICE NAME",
            code="secret.keyring_failed",
        ) from error
    except (ValueError, OSError, EOFError) as error:  # what encrypted files and prompts let out
        raise _locked() from error


def _backends(chosen: Any) -> list[Any]:
    """Return the backends to ask, in order; those that keep keys readable are passed over."""
    found = list(getattr(chosen, "backends", [chosen]))
    sealed = [each for each in found if type(each).__name__ not in PLAIN_BACKENDS]
    if found and not sealed:
        raise Forbidden(
            f"This keyring keeps keys readable on the disk ({type(found[0]).__name__}).",
            hint="Choose another backend: keyring --list-backends",
            code="secret.exposed",
        )
    if not sealed:
        raise _no_backend()
    return sealed


def _no_library() -> Unavailable:
    """Return that the extra is not installed."""
    return Unavailable(
        "Keyrings need the library keyring, which is not installed.",
        hint="Install Mahavishnu with the extra keyring.",
        code="secret.no_keyring",
    )


def _no_backend() -> Unavailable:
    return Unavailable(
        "There is no keyring on this machine.",
        hint="Install a backend (keyring --list-backends), or use a GPG or age file: file:PATH#NAME",
        code="secret.no_keyring",
    )


def _locked() -> Unavailable:
    return Unavailable(
        "The keyring is locked.", hint="Unlock it and try again.", code="secret.locked"
    )


def _bounded(ask: Callable[[], str | None], timeout_s: float) -> str | None:
    """Return what `ask` does; the thread of one that never answers does not hold up the end."""
    values: list[str | None] = []
    failures: list[MahavishnuError] = []

    def run() -> None:
        try:
            values.append(ask())
        except MahavishnuError as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise Unavailable(
            f"The keyring did not answer within {timeout_s:g} seconds.",
            hint="It may wait for you to unlock it. Do so, and try again.",
            code="secret.locked",
        )
    if failures:
        raise failures[0]
    return values[0] if values else None


SCHEME: Scheme = KeyringScheme()
