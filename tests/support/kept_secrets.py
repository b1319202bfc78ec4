"""Places where keys are kept, for the contract of their stores: how one is put there, and read back."""

import codecs
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.secrets.port import SecretStore
from mahavishnu.ai.secrets.reference import Reference, parse_reference

AGE_HEAD = "age-encryption.org/v1\n"
PGP_HEAD = "-----BEGIN PGP MESSAGE-----\n"
BACKEND = """
from keyrings.cryptfile.cryptfile import CryptFileKeyring

class Sealed(CryptFileKeyring):
    priority = 9
    time_cost, memory_cost = 1, 1024
    keyring_key = "the passphrase of a test"
    file_path = {path!r}
"""


@dataclass(frozen=True)
class Kept:
    """A store over a place of the test's own; `put` takes all that is to be in there."""

    store: SecretStore
    put: Callable[[Mapping[str, str]], None]
    reference: Callable[[str], str]

    def parsed(self, name: str) -> Reference:
        """Return where the key `name` is."""
        return parse_reference(self.reference(name))


def lines(values: Mapping[str, str]) -> str:
    """Return the text of a file with these keys."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def seal(path: Path, text: str, *, head: str = AGE_HEAD, mode: int = 0o600) -> Path:
    """Write what the stand-ins for age and gpg open: letters turned by half of the alphabet."""
    path.write_text(head + codecs.encode(text, "rot13"), encoding="utf-8")
    path.chmod(mode)
    return path


def stand_ins(folder: Path, **scripts: str) -> dict[str, str]:
    """Make stand-ins for age and gpg, or scripts of the caller's own; returns the environment for them."""
    folder.mkdir(exist_ok=True)
    known = {
        "age": "tail -n +2 | tr A-Za-z N-ZA-Mn-za-m",
        "gpg": "echo '[GNUPG:] DECRYPTION_OKAY' >&2; tail -n +2 | tr A-Za-z N-ZA-Mn-za-m",
    }
    for name, script in (known | scripts).items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.defpath}", "HOME": str(folder)}


def private(path: Path, text: str) -> Path:
    """Write a file for its owner alone."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def sealed_keyring(home: Path, folder: Path) -> Path:
    """Let commands with this home use an encrypting keyring, whose code is in `folder`; returns its file."""
    path = home / "keyring.cfg"
    (folder / "sealed_backend.py").write_text(BACKEND.format(path=str(path)))
    rc = home / ".config/python_keyring/keyringrc.cfg"
    rc.parent.mkdir(parents=True)
    rc.write_text(f"[backend]\ndefault-keyring=sealed_backend.Sealed\nkeyring-path={folder}\n")
    return path
