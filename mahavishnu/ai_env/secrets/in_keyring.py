"""Keys in the keyring of the system, through the library `keyring` (an extra), loaded when it is needed."""

import threading
from collections.abc import Callable
from typing import Any

from mahavishnu.ai_env.secrets.port import as_key
from mahavishnu.ai_env.secrets.reference import Reference
from mahavishnu.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.masking import Secret

TIMEOUT_S = 30.0  # somebody may have to unlock it
# Backends that keep what they are given readable on the disk.
PLAIN_BACKENDS = frozenset({"PlaintextKeyring"})


class KeyringStore:
    """Reads `keyring:SERVICE/NAME`."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def read(self, reference: Reference) -> Secret:
        """Return the password that the first backend with such an entry gives."""
        value = _bounded(lambda: _ask(reference), self._timeout_s)
        return as_key(
            value,
            reference,
            hint=f"Store it, for example: keyring set {reference.place} {reference.name}",
        )


def _ask(reference: Reference) -> str | None:
    try:
        import keyring  # noqa: PLC0415 - an extra, and a quarter of a second
        from keyring import errors  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable(
            "Keyrings need the library keyring, which is not installed.",
            hint="Install Mahavishnu with the extra keyring.",
            code="secret.no_keyring",
        ) from error
    try:
        for backend in _backends(keyring.get_keyring()):
            value = backend.get_password(reference.place, reference.name)
            if value is not None:
                return str(value)
    except errors.NoKeyringError as error:
        raise _no_backend() from error
    except (errors.KeyringLocked, errors.InitError) as error:
        raise _locked() from error
    except errors.KeyringError as error:
        raise Unavailable(
            "The keyring failed.",
            hint="See whether this works: keyring get SERVICE NAME",
            code="secret.keyring_failed",
        ) from error
    except (ValueError, OSError, EOFError) as error:  # what encrypted files and prompts let out
        raise _locked() from error
    return None


def _backends(chosen: Any) -> list[Any]:
    """Return the backends to ask, in order; those that keep keys readable are passed over."""
    found = list(getattr(chosen, "backends", [chosen]))
    sealed = [each for each in found if type(each).__name__ not in PLAIN_BACKENDS]
    if found and not sealed:
        raise Forbidden(
            f"The keyring is of a kind that keeps keys readable on the disk ({type(found[0]).__name__}).",
            hint="Choose another backend: keyring --list-backends",
            code="secret.exposed",
        )
    if not sealed:
        raise _no_backend()
    return sealed


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
