"""age in bounded memory, by the optional library pyrage: encrypt to recipients, decrypt by an identity file."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahavishnu.base.errors import (
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.database.backup.storage.port import PartWriter, Reader

if TYPE_CHECKING:
    from types import ModuleType

MAX_IDENTITY_BYTES = 1024 * 1024
_HEADER = b"age-encryption.org/v1\n->"


class PartEncryption:
    """Encrypts to all of the given recipients: `age1…`, or an SSH public key."""

    def __init__(self, recipients: Sequence[str]) -> None:
        """Parse them. Raises `UsageError` `backup.recipient`, `Unavailable` `backup.no_age`."""
        library = _load()
        self.recipients = tuple(recipients)
        self._parsed = [_parse_recipient(library, text) for text in recipients]

    def copy(self, source: Reader, sink: PartWriter) -> None:
        """Encrypt `source` into `sink`, piece by piece; an error of either of them is raised as it is."""
        library = _load()
        ends = _Ends(source, sink)
        try:
            library.encrypt_io(ends, ends, self._parsed)
        except (library.EncryptError, OSError):
            ends.raise_own()
            raise


class Decryption:
    """Decrypts by the identities in a file, as age-keygen writes it; the file is read when it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def copy(self, source: Reader, sink: PartWriter) -> None:
        """
        Decrypt `source` into `sink`, piece by piece; an error of either of them is raised as it is.

        Raises:
            Forbidden: `backup.wrong_key`.
            NotFound: `backup.no_key`.
            Corrupt: `backup.encrypted_damaged`, where the bytes were changed or cut.
        """
        library = _load()
        identities = self._identities(library)
        ends = _Ends(source, sink)
        try:
            library.decrypt_io(ends, ends, identities)
        except (library.DecryptError, OSError) as error:
            ends.raise_own()
            # The library has one error for damage and for another key; a whole header means the key.
            if isinstance(error, OSError) or not ends.beginning.startswith(_HEADER):
                raise Corrupt(
                    "The encrypted bytes of the backup were changed or cut.",
                    hint="List the other sets: mahavishnu backup list",
                    code="backup.encrypted_damaged",
                ) from error
            raise _wrong_key(f"The key in {self.path} does not decrypt this backup.") from error

    def _identities(self, library: "ModuleType") -> list[Any]:
        try:
            with self.path.open("rb") as stream:
                text = stream.read(MAX_IDENTITY_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound(
                f"The backup is encrypted, and {self.path} holds no key that can be read.",
                hint="Set MAHAVISHNU_AGE_IDENTITY to the file of the age identity.",
                code="backup.no_key",
            ) from error
        with contextlib.suppress(library.IdentityError):
            if text.startswith("-----BEGIN"):
                return [library.ssh.Identity.from_buffer(text.encode())]
            lines = [line.strip() for line in text.splitlines()]
            keys = [line for line in lines if line and not line.startswith("#")]
            if keys:
                return [library.x25519.Identity.from_str(each) for each in keys]
        raise _wrong_key(f"{self.path} holds no age identity.")


class _Ends:
    """The two ends of a copy: keeps the errors that they raise, which the library would hide."""

    def __init__(self, source: Reader, sink: PartWriter) -> None:
        self._source, self._sink = source, sink
        self._raised: OSError | MahavishnuError | None = None
        self.beginning = b""

    def read(self, size: int = -1) -> bytes:
        with self._keeping():
            piece = self._source.read(size)
            if len(self.beginning) < len(_HEADER):
                self.beginning += piece[:64]
            return piece

    def write(self, data: bytes) -> int:
        with self._keeping():
            return self._sink.write(data)

    def flush(self) -> None:
        """Nothing is held back."""

    @contextlib.contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except (OSError, MahavishnuError) as error:
            self._raised = error
            raise

    def raise_own(self) -> None:
        """Raise the error of one of the ends, if there was one."""
        if self._raised is not None:
            raise self._raised


def _parse_recipient(library: "ModuleType", text: str) -> Any:
    kind = library.ssh if text.startswith("ssh-") else library.x25519
    try:
        return kind.Recipient.from_str(text)
    except library.RecipientError as error:
        raise UsageError(
            "A recipient of backups is not a public key of age.",  # not shown: it may be the private key
            hint="Write the public key, which begins with age1, into backup.recipients.",
            code="backup.recipient",
        ) from error


def _wrong_key(message: str) -> Forbidden:
    return Forbidden(
        message,
        hint="Set MAHAVISHNU_AGE_IDENTITY to the file with the identity of one of its recipients.",
        code="backup.wrong_key",
    )


def _load() -> "ModuleType":
    try:
        import pyrage  # noqa: PLC0415 - optional: the extra `backup`
    except ImportError as error:
        raise Unavailable(
            "Encrypted backups need the library pyrage, which is not installed.",
            hint="Install Mahavishnu with the extra: mahavishnu-ai[backup]",
            code="backup.no_age",
        ) from error
    return pyrage  # type: ignore[no-any-return]
