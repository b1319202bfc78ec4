"""Keys in files that the real gpg and age encrypted: the contract, and what only the real ones can show."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mahavishnu.ai.secrets.in_file import FileStore, recognise
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import MahavishnuError
from tests.support.kept_secrets import Kept, lines, private
from tests.support.missing_programs import skip_or_fail
from tests.support.peers.debian import NotFetched, fetch
from tests.support.secrets_contract import KEY, SecretStoreContract, told

pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Sealer:
    """A real program with keys of a test's own."""

    environ: dict[str, str]
    words: tuple[str, ...]
    identity: Path

    def seal(self, path: Path, text: str, *more: str) -> Path:
        """Encrypt a text into a file for its owner alone."""
        done = run((*self.words, *more), self.environ, text.encode())
        path.write_bytes(done)
        path.chmod(0o600)
        return path

    def store(self, **options: float) -> FileStore:
        """Return the product's store, which runs the same program."""
        return FileStore(self.environ, identity=self.identity, **options)


def run(words: tuple[str, ...], environ: Mapping[str, str], text: bytes = b"") -> bytes:
    """Run a program of a test and return what it prints."""
    done = subprocess.run(words, env=environ, input=text, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def program(package: str, name: str) -> tuple[Path, dict[str, str]]:
    """Return a program of this machine, or one out of Debian's packages; skips where there is none."""
    if found := shutil.which(name):
        return Path(found), {"PATH": os.defpath}
    try:
        return fetch(package, f"usr/bin/{name}")
    except NotFetched as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def age(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    home = tmp_path_factory.mktemp("age")
    age, environ = program("age", "age")
    keygen, _ = program("age", "age-keygen")
    environ = environ | {"PATH": f"{age.parent}:{os.defpath}", "HOME": str(home)}
    identity = private(home / "identity", run((str(keygen),), environ).decode())
    recipient = run((str(keygen), "-y", str(identity)), environ).decode().strip()
    return Sealer(environ, (str(age), "--encrypt", "--recipient", recipient), identity)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Sealer]:
    gpg, environ = program("gpg", "gpg")
    agent, _ = program("gpg-agent", "gpg-agent")
    connect, _ = program("gpgconf", "gpg-connect-agent")
    with tempfile.TemporaryDirectory(
        prefix="mv-gpg-", dir="/tmp"
    ) as folder:  # a socket's short path
        home = Path(folder)
        (home / "gpg.conf").write_text(f"agent-program {agent}\n")
        environ = environ | {
            "PATH": f"{gpg.parent}:{os.defpath}",
            "HOME": folder,
            "GNUPGHOME": folder,
        }
        make = (str(gpg), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase")
        for name, passphrase in (("open", ""), ("locked", "a passphrase")):
            run(
                (
                    *make,
                    passphrase,
                    "--quick-generate-key",
                    f"{name}@mahavishnu.test",
                    "default",
                    "default",
                ),
                environ,
            )
        run(
            (str(connect), "reloadagent", "/bye"), environ
        )  # else it would know the passphrase still
        words = (
            str(gpg),
            "--batch",
            "--quiet",
            "--trust-model",
            "always",
            "--encrypt",
            "--recipient",
        )
        try:
            yield Sealer(environ, (*words, "open@mahavishnu.test"), home / "none")
        finally:
            run((str(connect), "killagent", "/bye"), environ)


@pytest.fixture(params=["gpg", "gpg --armor", "age", "age --armor"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    name, *more = str(request.param).split()
    sealer: Sealer = request.getfixturevalue(name)
    path = tmp_path / "keys of mine"

    def put(values: Mapping[str, str]) -> None:
        sealer.seal(path, lines(values), *more)
        assert recognise(path.read_bytes()) == name

    return Kept(sealer.store(), put, f"file:{path}#{{}}".format)


class TestRealPrograms(SecretStoreContract):
    """Both, armored and not."""


@pytest.mark.verifies("GPG, files of keys")
def test_the_real_gpg_opens_what_it_sealed(gpg: Sealer, tmp_path: Path) -> None:
    gpg.seal(tmp_path / "keys.gpg", lines({"K": KEY}))
    found = gpg.store().read(parse_reference(f"file:{tmp_path}/keys.gpg#K"))
    assert found.reveal() == KEY


@pytest.mark.verifies("age, files of keys")
def test_the_real_age_opens_what_it_sealed(age: Sealer, tmp_path: Path) -> None:
    age.seal(tmp_path / "keys.age", lines({"K": KEY}))
    found = age.store().read(parse_reference(f"file:{tmp_path}/keys.age#K"))
    assert found.reveal() == KEY


def refusal(store: FileStore, path: Path) -> MahavishnuError:
    """Return the error of reading `K`; it shows nothing of the key."""
    with pytest.raises(MahavishnuError) as caught:
        store.read(parse_reference(f"file:{path}#K"))
    assert KEY not in told(caught.value)
    return caught.value


def test_a_file_for_somebody_else_is_refused(age: Sealer, tmp_path: Path) -> None:
    keygen, environ = program("age", "age-keygen")
    other = private(tmp_path / "other", run((str(keygen),), environ).decode())
    path = age.seal(tmp_path / "keys.age", lines({"K": KEY}))
    assert refusal(FileStore(age.environ, identity=other), path).code == "secret.not_decrypted"
    path.write_bytes(path.read_bytes()[:-4])
    assert refusal(age.store(), path).code == "secret.not_decrypted"


def test_a_damaged_file_is_refused(gpg: Sealer, tmp_path: Path) -> None:
    path = gpg.seal(tmp_path / "keys.gpg", lines({"K": KEY}))
    sealed = path.read_bytes()
    for damaged in (sealed[:-5], sealed[:-8] + bytes(8), sealed[: len(sealed) // 2]):
        path.write_bytes(damaged)
        assert refusal(gpg.store(), path).code == "secret.not_decrypted"


def test_what_gpg_only_signed_or_packed_is_no_sealed_file(gpg: Sealer, tmp_path: Path) -> None:
    for words in (["--store"], ["--sign", "--local-user", "open@mahavishnu.test"]):
        for more in ([], ["--armor"]):
            text = run(
                (gpg.words[0], "--batch", *more, *words), gpg.environ, lines({"K": KEY}).encode()
            )
            path = tmp_path / "keys"
            path.write_bytes(text)
            path.chmod(0o600)
            code = "secret.not_decrypted" if more else "secret.plaintext"
            assert refusal(gpg.store(), path).code == code, (words, more)


def test_a_locked_key_is_told_and_waits_for_nobody(gpg: Sealer, tmp_path: Path) -> None:
    words = (*gpg.words[:-1], "locked@mahavishnu.test")
    path = Sealer(gpg.environ, words, gpg.identity).seal(tmp_path / "keys.gpg", lines({"K": KEY}))
    error = refusal(gpg.store(timeout_s=10), path)
    assert error.code in ("secret.not_decrypted", "secret.timeout"), error.message


def test_a_bomb_is_not_unpacked(gpg: Sealer, tmp_path: Path) -> None:
    path = gpg.seal(tmp_path / "keys.gpg", "K=" + "0" * 50_000_000)
    assert path.stat().st_size < 1_000_000
    assert refusal(gpg.store(), path).code in ("secret.not_decrypted", "secret.malformed")
