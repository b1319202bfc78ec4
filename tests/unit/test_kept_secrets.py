"""What the daemon remembers of keys: for a while, once for many, and not what has changed."""

import asyncio
from pathlib import Path

import pytest

from mahavishnu.ai.secrets.kept import MAX_KEPT, KeptSecrets
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.ai.secrets.table import SCHEMES
from mahavishnu.base.errors import Forbidden, UsageError
from tests.support import fifth_store
from tests.support.kept_secrets import lines, private, seal, stand_ins


class Home:
    """A file of keys, and how often it was opened."""

    def __init__(self, folder: Path) -> None:
        self.count = folder / "count"
        script = f"echo x >> {self.count}; sleep 0.1; tail -n +2 | tr A-Za-z N-ZA-Mn-za-m"
        self.environ = stand_ins(folder / "bin", age=script)
        self.identity = private(folder / "identity", "x")
        self.file = seal(folder / "keys.age", lines({"K": "sk-fake-one"}))
        self.reference = parse_reference(f"file:{self.file}#K")

    async def read(self, kept: KeptSecrets) -> str:
        """Return the key."""
        secret = await kept.read(self.reference, environ=self.environ, identity=self.identity)
        return secret.reveal()

    @property
    def opened(self) -> int:
        """How often age ran."""
        return self.count.read_text().count("x")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_many_who_ask_at_once_wait_for_one(home: Home) -> None:
    kept = KeptSecrets()
    assert set(await asyncio.gather(*(home.read(kept) for _ in range(20)))) == {"sk-fake-one"}
    assert home.opened == 1


async def test_a_key_is_forgotten_by_itself(home: Home) -> None:
    kept = KeptSecrets(ttl_s=0.5)
    await home.read(kept)
    assert kept._kept
    async with asyncio.timeout(60):
        while kept._kept:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    assert not kept._turns
    await home.read(kept)
    assert home.opened == 2


async def test_a_changed_file_is_read_again(home: Home) -> None:
    kept = KeptSecrets()
    await home.read(kept)
    seal(home.file, lines({"K": "sk-fake-two"}))
    assert await home.read(kept) == "sk-fake-two"
    home.file.chmod(0o644)
    with pytest.raises(Forbidden):
        await home.read(kept)


async def test_a_refusal_is_not_remembered(home: Home) -> None:
    kept = KeptSecrets()
    home.file.chmod(0o644)
    with pytest.raises(Forbidden):
        await home.read(kept)
    home.file.chmod(0o600)
    assert await home.read(kept) == "sk-fake-one" and not kept._turns


async def test_a_variable_of_the_daemon_is_nobodys_key(home: Home) -> None:
    with pytest.raises(UsageError) as caught:
        await KeptSecrets().read(
            Reference("env", "K"), environ={"K": "sk-fake"}, identity=home.identity
        )
    assert caught.value.code == "secret.own_environment"


async def test_the_number_is_bounded(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    monkeypatch.setitem(SCHEMES, "fifth", "tests.support.fifth_store")
    monkeypatch.setattr(fifth_store, "KEPT", {f"k{number}": f"k{number}" for number in range(99)})
    kept = KeptSecrets()
    for number in range(MAX_KEPT + 5):
        await kept.read(Reference("fifth", f"k{number}"), environ={}, identity=home.identity)
    assert len(kept._kept) == MAX_KEPT
    assert "k64" not in repr(list(kept._kept.values()))
