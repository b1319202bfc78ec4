"""What stores of keys refuse: open files, open keyrings, programs that are not there or do not end."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringError, KeyringLocked
from keyrings.alt.file import PlaintextKeyring
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from mahavishnu.ai.secrets.decrypt import MAX_TEXT_BYTES, find_program
from mahavishnu.ai.secrets.in_file import MAX_BYTES, FileStore, recognise
from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.processes import identify
from tests.support.command import ROOT
from tests.support.daemon import wait_until
from tests.support.kept_secrets import PGP_HEAD, private, seal, stand_ins
from tests.support.secrets_contract import told

TEXT = "K=sk-fake-canary\n"


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return private(tmp_path / "identity", "AGE-SECRET-KEY-CANARY\n")


def refusal(path: Path, environ: dict[str, str], identity: Path, **options: Any) -> MahavishnuError:
    """Return the error of reading `K` from a file; it shows nothing of any key."""
    with pytest.raises(MahavishnuError) as caught:
        FileStore(environ, identity=identity, **options).read(parse_reference(f"file:{path}#K"))
    assert "canary" not in told(caught.value).lower()
    return caught.value


def test_a_whole_file_may_be_one_key(tmp_path: Path, identity: Path) -> None:
    path = seal(tmp_path / "key.age", " sk-fake-whole \n")
    store = FileStore(stand_ins(tmp_path / "bin"), identity=identity)
    assert store.read(parse_reference(f"file:{path}")).reveal() == "sk-fake-whole"


def test_a_path_may_begin_at_the_home(tmp_path: Path, identity: Path) -> None:
    environ = stand_ins(tmp_path / "bin")
    seal(Path(environ["HOME"]) / "keys.age", TEXT)
    store = FileStore(environ, identity=identity)
    assert store.read(parse_reference("file:~/keys.age#K")).reveal() == "sk-fake-canary"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, identity: Path, mode: int) -> None:
    path = seal(tmp_path / "keys.age", TEXT, mode=mode)
    assert refusal(path, stand_ins(tmp_path / "bin"), identity).code == "secret.exposed"


def test_an_identity_that_others_can_reach_is_refused(tmp_path: Path, identity: Path) -> None:
    identity.chmod(0o644)
    path = seal(tmp_path / "keys.age", TEXT)
    error = refusal(path, stand_ins(tmp_path / "bin"), identity)
    assert error.code == "secret.exposed" and str(identity) in error.message


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_a_file_of_someone_else_is_refused(tmp_path: Path, identity: Path) -> None:
    import os

    path = seal(tmp_path / "keys.age", TEXT)
    os.chown(path, 65534, 65534)
    assert refusal(path, stand_ins(tmp_path / "bin"), identity).code == "secret.exposed"


@pytest.mark.parametrize(
    "content",
    [TEXT.encode(), b"", b'{"K": "sk-fake-canary"}', b"\xcb\x0bb\x00\x00sk-fake-canary", "é".encode()[1:]],
    ids=["lines", "empty", "json", "an open OpenPGP packet", "a stray byte"],
)  # fmt: skip
def test_a_plaintext_file_is_refused(tmp_path: Path, identity: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    path.chmod(0o600)
    assert refusal(path, stand_ins(tmp_path / "bin"), identity).code == "secret.plaintext"


def test_a_message_that_was_only_signed_is_not_taken(tmp_path: Path, identity: Path) -> None:
    """gpg opens it with status 0, but it was never sealed."""
    path = seal(tmp_path / "keys.asc", TEXT, head=PGP_HEAD)
    environ = stand_ins(
        tmp_path / "bin", gpg="echo '[GNUPG:] GOODSIG' >&2; tail -n +2 | tr A-Za-z N-ZA-Mn-za-m"
    )
    assert refusal(path, environ, identity).code == "secret.not_decrypted"


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"age-encryption.org/v1\n", "age"), (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
        (b"-----BEGIN PGP MESSAGE-----\n", "gpg"), (b"\x85\x01", "gpg"), (b"\x8c\x0d", "gpg"),
        (b"\xc1\xc0", "gpg"), (b"\xc3\x2e", "gpg"), (b"\xa3\x01", None), (b"\xcb\x00", None), (b"K=", None),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\n", None), (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", None),
    ],
)  # fmt: skip
def test_what_encrypted_a_file(begin: bytes, kind: str | None) -> None:
    assert recognise(begin + b"\0" * 50) == kind


def test_what_is_no_file_of_keys(tmp_path: Path, identity: Path) -> None:
    environ = stand_ins(tmp_path / "bin")
    assert refusal(tmp_path / "none", environ, identity).code == "secret.missing"
    assert refusal(tmp_path, environ, identity).code == "secret.exposed"
    assert refusal(identity / "below", environ, identity).code == "secret.unreadable"
    huge = seal(tmp_path / "huge", "x" * MAX_BYTES)
    assert refusal(huge, environ, identity).code == "secret.malformed"
    wrong = seal(tmp_path / "wrong", TEXT)
    assert refusal(wrong, environ, identity, expected="gpg").code == "secret.encryption"


def test_a_program_that_is_not_there_is_named(tmp_path: Path, identity: Path) -> None:
    path = seal(tmp_path / "keys.age", TEXT)
    error = refusal(path, {"PATH": str(tmp_path / "nowhere")}, identity)
    assert error.code == "secret.no_program" and "age or rage" in error.message


def test_a_program_of_the_working_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned repository may hold one called gpg."""
    stand_ins(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in (".", "", "../" + tmp_path.name):
        with pytest.raises(MahavishnuError):
            find_program(("gpg",), {"PATH": path})
    assert find_program(("gpg",), {"PATH": f".:{tmp_path}"}) == str(tmp_path / "gpg")


def test_a_program_that_fails_is_told_without_its_words(tmp_path: Path, identity: Path) -> None:
    path = seal(tmp_path / "keys.age", TEXT)
    environ = stand_ins(tmp_path / "bin", age="echo sk-fake-canary; echo canary >&2; exit 1")
    assert refusal(path, environ, identity).code == "secret.not_decrypted"
    environ = stand_ins(tmp_path / "bin", age="printf 'canary\\377'")
    assert refusal(path, environ, identity).code == "secret.malformed"


def test_a_program_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, identity: Path
) -> None:
    path = seal(tmp_path / "keys.age", TEXT)
    pids = tmp_path / "pids"
    environ = stand_ins(
        tmp_path / "bin", age=f"sleep 600 & echo $! $$ > {pids}; echo sk-fake-canary; wait"
    )
    for timeout_s in (0.5, 5, 60):  # until it had begun before it was ended
        assert refusal(path, environ, identity, timeout_s=timeout_s).code == "secret.timeout"
        if pids.exists():
            break
    wait_until(lambda: not any(identify(int(pid)) for pid in pids.read_text().split()))


def test_a_program_sees_no_key_of_the_environment(tmp_path: Path, identity: Path) -> None:
    seen = tmp_path / "seen"
    path = seal(tmp_path / "keys.age", TEXT)
    environ = stand_ins(tmp_path / "bin", age=f"env > {seen}; pwd >> {seen}; echo K=k")
    environ |= {"ANTHROPIC_API_KEY": "sk-fake-canary", "PYTHONPATH": "canary", "GNUPGHOME": "/g"}
    FileStore(environ, identity=identity).read(parse_reference(f"file:{path}#K"))
    assert "canary" not in seen.read_text() and "GNUPGHOME=/g\n" in seen.read_text()
    assert seen.read_text().endswith("\n/\n")


def test_gpg_may_not_give_without_bound() -> None:
    from mahavishnu.ai.secrets.decrypt import _gpg

    words = _gpg("/usr/bin/gpg")
    assert words[words.index("--max-output") + 1] == str(MAX_TEXT_BYTES)


class Failing(KeyringBackend):
    """A backend that answers as it is told to."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, error: Exception | None = None, wait_s: float = 0) -> None:
        super().__init__()
        self.error, self.wait_s = error, wait_s

    def get_password(self, service: str, username: str) -> str | None:
        """Wait, or fail."""
        time.sleep(self.wait_s)
        if self.error:
            raise self.error
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep nothing."""


@pytest.fixture
def use_keyring(request: pytest.FixtureRequest) -> Any:
    before = keyring.get_keyring()
    request.addfinalizer(lambda: keyring.set_keyring(before))
    return keyring.set_keyring


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyringLocked("canary"), "secret.locked"), (InitError("x"), "secret.locked"),
        (ValueError("Incorrect Password"), "secret.locked"), (EOFError(), "secret.locked"),
        (KeyringError("x"), "secret.keyring_failed"),
    ],
)  # fmt: skip
def test_a_keyring_that_refuses(use_keyring: Any, error: Exception, code: str) -> None:
    use_keyring(Failing(error))
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore().read(parse_reference("keyring:s/n"))
    assert caught.value.code == code and caught.value.exit_code == 5 and caught.value.hint
    assert "canary" not in caught.value.message


def test_no_keyring_at_all(use_keyring: Any) -> None:
    from keyring.backends.fail import Keyring

    use_keyring(Keyring())
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore().read(parse_reference("keyring:s/n"))
    assert caught.value.code == "secret.no_keyring"


def test_a_keyring_that_waits_for_ever_is_left(use_keyring: Any) -> None:
    use_keyring(Failing(wait_s=600))
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore(timeout_s=0.1).read(parse_reference("keyring:s/n"))
    assert caught.value.code == "secret.locked"


def test_a_keyring_that_keeps_keys_readable_is_refused(use_keyring: Any, tmp_path: Path) -> None:
    plain = PlaintextKeyring()
    plain.file_path = str(tmp_path / "keyring")
    plain.set_password("s", "n", "sk-fake-canary")
    use_keyring(plain)
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore().read(parse_reference("keyring:s/n"))
    assert caught.value.code == "secret.exposed"


@pytest.fixture
def sealed(tmp_path: Path) -> CryptFileKeyring:
    backend = CryptFileKeyring()
    backend.file_path = str(tmp_path / "sealed")
    backend.keyring_key = "the passphrase of a test"
    backend.time_cost, backend.memory_cost = 1, 1024
    return backend


def test_a_key_is_written_where_none_is_readable(
    use_keyring: Any, tmp_path: Path, sealed: CryptFileKeyring
) -> None:
    class Chain(Failing):
        """The backend that Python's keyring takes where there are several."""

        backends: ClassVar[list[KeyringBackend]] = []

    plain = PlaintextKeyring()
    plain.file_path = str(tmp_path / "plain")
    chain = Chain()
    chain.backends.extend([plain, sealed])
    use_keyring(chain)
    reference = parse_reference("keyring:my service/n")
    KeyringStore().write(reference, Secret("sk-fake-canary"))
    assert KeyringStore().read(reference).reveal() == "sk-fake-canary"
    assert not (tmp_path / "plain").exists()
    assert "canary" not in (tmp_path / "sealed").read_text()
    use_keyring(plain)
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore().write(reference, Secret("sk-fake-canary"))
    assert caught.value.code == "secret.exposed" and not (tmp_path / "plain").exists()


@pytest.mark.parametrize(
    ("backend", "code"),
    [
        (Failing(), "secret.not_kept"),
        (Failing(KeyringLocked("sk-fake-canary")), "secret.locked"),
        (Failing(wait_s=600), "secret.locked"),
    ],
)
def test_a_key_counts_as_kept_only_when_it_is_read_back(
    use_keyring: Any, backend: Failing, code: str
) -> None:
    use_keyring(backend)
    with pytest.raises(MahavishnuError) as caught:
        KeyringStore(timeout_s=0.1 if backend.wait_s else 60).write(
            parse_reference("keyring:s/n"), Secret("sk-fake-canary")
        )
    assert caught.value.code == code and "canary" not in caught.value.message


def test_without_the_library_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['keyring'] = None\n"
        "from mahavishnu.ai.secrets.in_keyring import KeyringStore\n"
        "from mahavishnu.ai.secrets.reference import parse_reference\n"
        "from mahavishnu.base.errors import Unavailable\n"
        "try:\n    KeyringStore().read(parse_reference('keyring:s/n'))\n"
        "except Unavailable as error:\n    print(error.code, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("secret.no_keyring ") and "extra keyring" in done.stdout
