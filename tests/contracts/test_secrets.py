"""The contract of the stores of keys: variables, a real keyring, and files behind stand-ins for age and gpg."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import keyring
import pytest
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from mahavishnu.ai.secrets.in_file import FileStore
from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.port import EnvironmentStore
from tests.kept_secrets import AGE_HEAD, PGP_HEAD, Kept, lines, private, seal, stand_ins
from tests.secrets_contract import SecretStoreContract


@pytest.fixture(params=["env", "keyring", "age-file", "gpg-file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "env":
        yield _variables()
    elif request.param == "keyring":
        before = keyring.get_keyring()
        yield _keyring(tmp_path)
        keyring.set_keyring(before)
    else:
        yield _file(tmp_path, head=AGE_HEAD if request.param == "age-file" else PGP_HEAD)


class TestStores(SecretStoreContract):
    """All of them."""


def _variables() -> Kept:
    environ: dict[str, str] = {}

    def put(values: Mapping[str, str]) -> None:
        environ.clear()
        environ.update(values)

    return Kept(EnvironmentStore(environ), put, "env:{}".format)


def _keyring(folder: Path) -> Kept:
    backend = CryptFileKeyring()
    backend.file_path = str(folder / "keyring.cfg")
    backend.keyring_key = "the passphrase of a test"
    backend.time_cost, backend.memory_cost = 1, 1024  # its usual cost is a second a call
    keyring.set_keyring(backend)

    def put(values: Mapping[str, str]) -> None:
        for name, value in values.items():
            keyring.set_password("https://service/mahavishnu", name, value)
        assert not any(v in Path(backend.file_path).read_text() for v in values.values())

    return Kept(KeyringStore(), put, "keyring:https://service/mahavishnu/{}".format)


def _file(folder: Path, *, head: str) -> Kept:
    path = folder / "keys of mine.sealed"
    identity = private(folder / "identity", "AGE-SECRET-KEY-FAKE\n")
    store = FileStore(stand_ins(folder / "bin"), identity=identity)

    def put(values: Mapping[str, str]) -> None:
        seal(path, lines(values), head=head)
        os.utime(path)

    return Kept(store, put, f"file:{path}#{{}}".format)
