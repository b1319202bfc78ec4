"""
The contract of the stores of keys: variables, a real keyring, and files behind stand-ins for age and gpg.

And one of the tests' own, `tests/support/fifth_store.py`: a further store is a module and a line of the table.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import keyring
import pytest
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.in_environment import EnvironmentStore
from mahavishnu.ai.secrets.in_file import FileStore
from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.oneiric.stores import no_stores
from mahavishnu.ai.secrets.reading import where
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.secrets.table import SCHEMES
from mahavishnu.ai.switching.requirements import find_missing_requirements
from mahavishnu.ai.switching.status import key_state
from mahavishnu.base.errors import UsageError
from tests.support.fifth_store import KEPT, FifthStore
from tests.support.kept_secrets import AGE_HEAD, PGP_HEAD, Kept, lines, private, seal, stand_ins
from tests.support.secrets_contract import KEY, SecretStoreContract
from tests.support.switching import site_in


@pytest.fixture(params=["env", "keyring", "fifth", "age-file", "gpg-file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "env":
        yield _variables()
    elif request.param == "keyring":
        before = keyring.get_keyring()
        yield _keyring(tmp_path)
        keyring.set_keyring(before)
    elif request.param == "fifth":
        yield Kept(FifthStore(), KEPT.update, "fifth:{}".format)
        KEPT.clear()
    else:
        yield _file(tmp_path, head=AGE_HEAD if request.param == "age-file" else PGP_HEAD)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "fifth", "tests.support.fifth_store")


class TestStores(SecretStoreContract):
    """All of them."""


def test_a_further_store_is_a_line_of_the_table(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    reference = parse_reference("fifth:one")
    profile = Profile(name="p", key=reference)
    assert key_state(site, profile) == "missing" and [
        (each.what, each.code)
        for each in find_missing_requirements(site, profile)
        if each.what != "client"
    ] == [("key", "secret.missing")]
    KEPT["one"] = KEY
    key = resolve(reference, environ={}, identity=tmp_path, stores=no_stores)
    assert key.reveal() == KEY and key_state(site, profile) == "present"
    assert where(reference) == "the fifth store: one"
    with pytest.raises(UsageError) as caught:
        parse_reference("sixth:one")
    assert caught.value.hint is not None and caught.value.hint.endswith("or fifth:NAME.")
    KEPT.clear()


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
