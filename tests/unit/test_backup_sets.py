"""What a set says of itself, how sets are named, encryption, and configuration without secrets."""

import asyncio
import io
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from mahavishnu.base.errors import Corrupt, MahavishnuError, Unavailable
from mahavishnu.base.paths import locate
from mahavishnu.database.backup.backups import Backups
from mahavishnu.database.backup.encryption import Decryption, PartEncryption
from mahavishnu.database.backup.manifest import (
    FORMAT,
    PARTS,
    BackupManifest,
    Part,
    Proof,
    encode,
    parse_manifest,
    parse_proof,
    write_manifest,
)
from mahavishnu.database.backup.programs import find_programs, first_error
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.storage.port import StoredSet
from mahavishnu.database.backup.verify import choose
from mahavishnu.operations.ai.backed_up import encode_configuration
from tests.support.missing_programs import skip_or_fail

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CANARY = "sk-ant-api03-CANARY0123456789abcdefXYZ"
SETTINGS = f"""
postgresql: {{password: hunter2, dsn: "postgresql://u:p4ss@h/d"}}
backup: {{dsn: "postgresql://h/d?password=p5ss"}}
embedding:
  openai_api_key: ${{OPENAI_API_KEY}}
  ollama_base_url: http://user:w0rd@127.0.0.1:1
  model: nomic-embed-text
ai_environments:
  llm_profiles:
    raw: {{anthropic_base_url: https://api.example, key: {CANARY}}}
    good: {{anthropic_base_url: https://api.example, key: "env:GOOD_KEY", title: "with {CANARY} in it",
      apikey: canary-5}}
server: {{port: 1234}}
"""
MANIFEST = BackupManifest(
    format=FORMAT, token="0123abcd", created_at=NOW, product="1", revision="0003", postgresql="18.4",
    pgvector="0.8.5", program=18, members=(), last_memory=3, tables=(), structure=(), models=(),
    parts=tuple(Part(name, 1, "0" * 64) for name in PARTS), recipients=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((b'"last_memory": 3', b'"last_memory": 4'), "backup.manifest_changed"),
        ((b"0123abcd", b"0123abce"), "backup.manifest_changed"),
        ((b"{", b""), "backup.manifest_damaged"),
        ((b'"name": "database.dump"', b'"name": "/etc/passwd"'), "backup.manifest_damaged"),
        ((b'"format": 1', b'"format": 2'), "backup.newer"),
    ],
)
def test_a_changed_manifest_is_refused(change: tuple[bytes, bytes], code: str) -> None:
    content = write_manifest(MANIFEST)
    assert parse_manifest(content, token=MANIFEST.token).parts == MANIFEST.parts
    with pytest.raises(MahavishnuError) as caught:
        parse_manifest(content.replace(*change, 1), token=MANIFEST.token)
    assert caught.value.code == code


def test_the_manifest_and_the_proof_of_another_set_do_not_count() -> None:
    content = write_manifest(MANIFEST)
    with pytest.raises(Corrupt) as caught:
        parse_manifest(content, token="76543210")
    assert caught.value.code == "backup.manifest_changed"
    manifest = parse_manifest(content, token=MANIFEST.token)
    proof = Proof(manifest=manifest.digest, at=NOW, proven=True)
    assert parse_proof(encode(proof), manifest) == proof
    other = msgspec.structs.replace(proof, manifest="0" * 64)
    for text in (encode(other), b"nonsense", None):
        assert parse_proof(text, manifest) is None


def test_sets_are_found_by_number_name_and_token(tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path / "sets")

    def make() -> StoredSet:
        with storage.begin() as draft:
            return draft.publish(NOW)

    with pytest.raises(MahavishnuError, match="no backup yet"):
        choose(storage, "latest")
    first, second = make(), make()
    for reference in ("1", "0001", first.name, first.token):
        assert choose(storage, reference) == first
    assert choose(storage, "latest") == second
    for reference in ("7", "../x", "", "latest2"):
        with pytest.raises(MahavishnuError) as missing:
            choose(storage, reference)
        assert missing.value.code == "backup.not_found"


async def test_a_slow_place_is_asked_for_its_proof_once(tmp_path: Path) -> None:
    answered, asked = threading.Event(), []

    def open_slowly() -> LocalFolder:
        asked.append(1)
        answered.wait()
        return LocalFolder(tmp_path)

    backups = Backups(
        database=cast(Any, None), server=cast(Any, None), storage=open_slowly, recipients=(),
        identity=tmp_path, search=cast(Any, None), replaced=(), retention=cast(Any, None),
    )  # fmt: skip
    impatient, patient = (asyncio.create_task(backups.newest_proven()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    answered.set()
    assert impatient.cancelled() and await patient is None and len(asked) == 1


def keys(tmp_path: Path) -> tuple[PartEncryption, Decryption, str]:
    try:
        import pyrage
    except ImportError:
        skip_or_fail("pyrage is missing")
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# made by a test\n{identity}\n")
    return PartEncryption([str(identity.to_public())]), Decryption(path), str(identity)


def test_age_decrypts_what_it_encrypted_and_tells_damage_from_a_wrong_key(tmp_path: Path) -> None:
    encryption, decryption, secret = keys(tmp_path)
    plain, sealed, opened = os.urandom(300_000), io.BytesIO(), io.BytesIO()
    encryption.copy(io.BytesIO(plain), sealed)
    assert plain[:100] not in sealed.getvalue()
    decryption.copy(io.BytesIO(sealed.getvalue()), opened)
    assert opened.getvalue() == plain
    (tmp_path / "other").mkdir()
    _, stranger, _ = keys(tmp_path / "other")
    whole = sealed.getvalue()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for content, by, code in (
        (whole, stranger, "backup.wrong_key"),
        (whole[:-20], decryption, "backup.encrypted_damaged"),
        (bytes(changed), decryption, "backup.encrypted_damaged"),
        (b"", decryption, "backup.encrypted_damaged"),
        (whole, Decryption(tmp_path / "absent"), "backup.no_key"),
    ):
        with pytest.raises(MahavishnuError) as caught:
            by.copy(io.BytesIO(content), io.BytesIO())
        assert caught.value.code == code
    with pytest.raises(MahavishnuError) as refused:
        PartEncryption([secret])
    assert refused.value.code == "backup.recipient" and secret not in str(vars(refused.value))


def test_an_error_of_the_disk_comes_through_age(tmp_path: Path) -> None:
    encryption, _, _ = keys(tmp_path)

    class Full(io.RawIOBase):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        encryption.copy(io.BytesIO(b"x" * 1_000_000), Full())  # type: ignore[arg-type]


def test_encryption_takes_bounded_memory(tmp_path: Path) -> None:
    encryption, _, _ = keys(tmp_path)
    code = f"""
import resource
from mahavishnu.database.backup.encryption import PartEncryption
class Many:
    left, read_bytes = 30_000, 0
    def read(self, size=-1):
        self.left -= 1
        self.read_bytes += size
        return b"x" * size if self.left >= 0 else b""
class Nowhere:
    def write(self, data): return len(data)
encryption, source = PartEncryption({list(encryption.recipients)!r}), Many()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
encryption.copy(source, Nowhere())
assert source.read_bytes > 200_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60_000  # KiB


def test_programs_that_do_not_fit_are_not_taken() -> None:
    assert find_programs(18, configured=None, path="").major >= 18
    with pytest.raises(Unavailable) as caught:
        find_programs(99, configured=None, path="")
    assert caught.value.code == "backup.no_programs" and "99" in (caught.value.hint or "")


def test_an_error_of_a_program_is_shown_without_values_of_rows() -> None:
    text = (
        "pg_restore: while PROCESSING TOC:\n"
        'pg_restore: error: COPY failed for table "memories": ERROR:  invalid input syntax for type uuid: "canary"\n'
        'CONTEXT:  COPY memories, line 1: "canary"\n'
    )
    error = first_error(text)
    assert error is not None and "COPY failed" in error and "canary" not in error
    assert first_error("nothing") is None


def test_configuration_is_backed_up_without_secrets(tmp_path: Path) -> None:
    locations = locate({"MAHAVISHNU_HOME": str(tmp_path / "m")})
    profiles = locations.config / "profiles"
    profiles.mkdir(parents=True)
    locations.user_settings.write_text(SETTINGS)
    (profiles / "mine.yaml").write_text(f"key: {CANARY}\nmodel: m\n")
    (profiles / "by_hand.yaml").write_text(
        "api_key: canary-1\nheaders: {Authorization: Bearer canary-2}\nmodel: {secret: canary-3}\n"
        "clients: [{token: canary-4}]\ntitle: t\n"
    )
    (profiles / "broken.yaml").write_text("a: [")
    content = encode_configuration(locations)
    for secret in (CANARY, "hunter2", "p4ss", "p5ss", "w0rd", "canary-"):
        assert secret.encode() not in content
    files = msgspec.json.decode(content)
    settings = files["mahavishnu.yaml"]
    assert settings["values"]["embedding.openai_api_key"] == "${OPENAI_API_KEY}"
    assert settings["values"]["ai_environments.llm_profiles.good.key"] == "env:GOOD_KEY"
    assert set(settings["withheld"]) == {
        "postgresql.password", "postgresql.dsn", "backup.dsn", "embedding.ollama_base_url",
        "ai_environments.llm_profiles.raw.key", "ai_environments.llm_profiles.good.title",
        "ai_environments.llm_profiles.good.apikey",
    }  # fmt: skip
    assert files["profiles/mine.yaml"] == {"values": {"model": "m"}, "withheld": ["key"]}
    by_hand = files["profiles/by_hand.yaml"]
    assert by_hand["values"] == {"title": "t"} and len(by_hand["withheld"]) == 4
    assert files["profiles/broken.yaml"] == {"unreadable": "settings.unparsable"}
