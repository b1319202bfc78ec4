"""Keys in a file that GPG or age encrypted: opened by the program that is installed, never kept open."""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference, bad_reference, is_name
from mahavishnu.ai.secrets.scheme import Requirement, Scheme, StoreAccess
from mahavishnu.base.errors import Conflict, Corrupt, Forbidden, NotFound
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.decrypt import FileEncryption

TIMEOUT_S = 30.0  # somebody may have to type a passphrase
MAX_BYTES = 1024 * 1024
_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_PGP = b"-----BEGIN PGP MESSAGE-----"
_PGP_TAGS = (1, 3)  # session keys, to a public key and to a passphrase: OpenPGP, RFC 9580, 10.3


class FileStore:
    """
    Reads `file:PATH` and `file:PATH#NAME`.

    `identity` is age's own key file. `expected` refuses a file of the other kind. Without `asking`, one
    that a passphrase would have to be typed for is not decrypted.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        identity: Path,
        expected: "FileEncryption | None" = None,
        timeout_s: float = TIMEOUT_S,
        asking: bool = True,
    ) -> None:
        self._environ = environ
        self._identity = identity
        self._expected = expected
        self._timeout_s = timeout_s
        self._asking = asking

    def read(self, reference: Reference) -> Secret:
        """Return the entry, or the whole content where the reference names none."""
        return _pick(self._open(reference), reference)

    def find_missing(self, references: Sequence[Reference]) -> list[Reference]:
        """Return those of one file's entries that are not in it; it is decrypted once."""
        text = self._open(references[0])
        missing = []
        for each in references:
            try:
                _pick(text, each)
            except NotFound:
                missing.append(each)
        return missing

    def check(self, reference: Reference) -> None:
        """Raise what `read` would of a file that is missing, open to others, or not encrypted."""
        self._seal(reference)

    def _open(self, reference: Reference) -> str:
        from mahavishnu.ai.secrets.decrypt import decrypt  # noqa: PLC0415 - slow, and references need none

        kind, sealed = self._seal(reference)
        return decrypt(
            kind,
            sealed,
            environ=self._environ,
            identity=self._identity,
            timeout_s=self._timeout_s,
            asking=self._asking,
        )

    def _seal(self, reference: Reference) -> "tuple[FileEncryption, bytes]":
        """Return what encrypted the file, and its content."""
        path = find_file(reference, self._environ)
        sealed = read_private(path)
        kind = recognise(sealed)
        if kind is None:
            raise Forbidden(
                f"{path} is not encrypted.",
                hint="Encrypt it: gpg --encrypt --recipient YOU FILE, or age --encrypt; remove the open one.",
                code="secret.plaintext",
            )
        if self._expected not in (None, kind):
            raise Conflict(
                f"{path} was encrypted by {kind}, and secrets.file.encryption says {self._expected}.",
                hint="Correct the setting.",
                code="secret.encryption",
            )
        if kind == "age":
            read_private(self._identity, what="age's identity, the key to it, ")
        return kind, sealed


class FileScheme(Scheme):
    """`file:PATH` and `file:PATH#NAME`. What is decrypted may have its passphrase asked for."""

    form = "file:PATH#NAME for a GPG or age file"
    locked = frozenset({"secret.not_decrypted", "secret.no_program", "secret.timeout"})

    def parse(self, rest: str) -> tuple[str, str]:
        """Return the path, and the name in the file."""
        path, mark, name = rest.rpartition("#") if "#" in rest else (rest, "", "")
        if not path.startswith(("/", "~/")) or path.endswith("/"):
            raise bad_reference("After file: write an absolute path, or one that begins with ~/.")
        if mark and not is_name(name):
            raise bad_reference(
                "After # write the name of a key in the file: letters, digits and _."
            )
        return path, name

    def open(self, access: StoreAccess, *, asking: bool = True) -> FileStore:
        """Return what reads files."""
        return FileStore(access.environ, identity=access.identity, asking=asking)

    def where(self, reference: Reference) -> str:
        """Return which file, and the name in it."""
        return f"the file {reference.place}{f', {reference.name}' if reference.name else ''}"

    def file(self, reference: Reference, access: StoreAccess) -> Path:
        """Return the file."""
        return find_file(reference, access.environ)

    def require_there(self, reference: Reference, access: StoreAccess) -> None:
        """Raise what is wrong with the file; it is not decrypted."""
        self.open(access).check(reference)

    def requirements(self, reference: Reference, access: StoreAccess) -> tuple[Requirement, ...]:
        """Return the file, and the program that decrypts it."""
        return (
            ("key", lambda: self.require_there(reference, access)),
            ("program", lambda: _require_program(reference, access)),
        )


def _require_program(reference: Reference, access: StoreAccess) -> None:
    from mahavishnu.ai.secrets.decrypt import PROGRAMS, find_program  # noqa: PLC0415 - as above

    kind = recognise(read_private(find_file(reference, access.environ)))
    if kind is not None:
        find_program(PROGRAMS[kind], access.environ)


def _pick(text: str, reference: Reference) -> Secret:
    name = reference.name
    return as_key(
        pick_entry(text, name) if name else text,
        reference,
        hint=f"Add the line {name}=... to the file and encrypt it again."
        if name
        else "Put the key into the file and encrypt it again.",
    )


def find_file(reference: Reference, environ: Mapping[str, str]) -> Path:
    """Return the path of a `file:` reference; `~` is HOME of that environment."""
    if reference.place.startswith("~/"):
        return Path(environ.get("HOME", "/")) / reference.place[2:]
    return Path(reference.place)


def read_private(path: Path, *, what: str = "") -> bytes:
    """
    Return the content of a regular file that nobody but its owner, this user, can reach.

    Raises:
        NotFound: `secret.missing`.
        Forbidden: `secret.exposed`, `secret.unreadable`.
        Corrupt: `secret.malformed`, beyond all measure.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no file {what}at {path}.",
            hint="Correct the path, or make the file.",
            code="secret.missing",
        ) from error
    except OSError as error:
        raise Forbidden(
            f"{path} cannot be read ({error.strerror}).",
            hint="Check the owner and the rights of the file and the folders above it.",
            code="secret.unreadable",
        ) from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise Forbidden(
                f"{path} is not a file that you alone can read and write.",
                hint="Keep it to yourself: chmod 600 FILE",
                code="secret.exposed",
            )
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise Corrupt(
            f"{path} is longer than {MAX_BYTES:,} bytes.",
            hint="Keep keys in a file of their own.",
            code="secret.malformed",
        )
    return content


def recognise(content: bytes) -> "FileEncryption | None":
    """Return what encrypted a file, by how it begins; None for what nothing did."""
    if content.startswith(_AGE):
        return "age"
    if content.startswith(_PGP):
        return "gpg"
    first = content[0] if content else 0
    tag = first & 0x3F if first & 0x40 else (first & 0x3C) >> 2
    return "gpg" if first & 0x80 and tag in _PGP_TAGS else None


def pick_entry(text: str, name: str) -> str | None:
    """
    Return the value of `name` in a decrypted text; None where it has none. Nothing is evaluated.

    Of lines, `#` begins a comment, `export` and quotes around a value are passed over, and the last
    of two lines with one name counts, as in a shell.
    """
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None  # the error would hold the whole text
        value = values.get(name)
        return value if isinstance(value, str) else None
    found = None
    for line in text.splitlines():
        key, mark, value = line.strip().removeprefix("export ").partition("=")
        if mark and key.strip() == name:
            found = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


SCHEME: Scheme = FileScheme()
