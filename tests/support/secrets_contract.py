"""What every store of keys promises; `tests/contracts` and `tests/peers` hold each one to it."""

import pickle
from typing import ClassVar

import pytest

from mahavishnu.base.errors import Corrupt, MahavishnuError, NotFound
from tests.support.kept_secrets import Kept

KEY = "sk-fake-Aq7._/+=~:canary"


class SecretStoreContract:
    """Take it as a base, with a fixture `kept`."""

    hidden: ClassVar[tuple[str, ...]] = (KEY,)

    def test_a_key_is_read_back_as_it_was_put(self, kept: Kept) -> None:
        kept.put({"ONE": KEY, "OTHER": "sk-fake-other"})
        assert kept.store.read(kept.parsed("ONE")).reveal() == KEY
        assert kept.store.read(kept.parsed("OTHER")).reveal() == "sk-fake-other"

    def test_what_was_changed_is_read_anew(self, kept: Kept) -> None:
        kept.put({"ONE": "sk-fake-before"})
        assert kept.store.read(kept.parsed("ONE")).reveal() == "sk-fake-before"
        kept.put({"ONE": "sk-fake-after"})
        assert kept.store.read(kept.parsed("ONE")).reveal() == "sk-fake-after"

    def test_a_missing_key_is_named_by_its_reference(self, kept: Kept) -> None:
        kept.put({"ONE": KEY})
        with pytest.raises(NotFound) as caught:
            kept.store.read(kept.parsed("NONE"))
        assert caught.value.code == "secret.missing"
        assert kept.reference("NONE") in caught.value.message and caught.value.hint

    @pytest.mark.parametrize("value", ["sk fake canary", "sk-fäke-canary", "sk-fake\tcanary"])
    def test_what_can_be_no_key_is_refused_and_not_shown(self, kept: Kept, value: str) -> None:
        kept.put({"ONE": value})
        with pytest.raises(Corrupt) as caught:
            kept.store.read(kept.parsed("ONE"))
        assert caught.value.code == "secret.malformed"
        assert "canary" not in told(caught.value)

    def test_the_key_shows_itself_to_reveal_alone(self, kept: Kept) -> None:
        kept.put({"ONE": KEY})
        secret = kept.store.read(kept.parsed("ONE"))
        assert KEY not in f"{secret} {secret!r} {secret!s} {[secret]} {kept.store!r}"
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def told(error: MahavishnuError) -> str:
    """Return all that an error and what led to it say, and hold."""
    seen: list[str] = []
    each: BaseException | None = error
    while each is not None:
        seen.append(f"{each!r} {each} {vars(each)} {getattr(each, 'hint', '')}")
        each = each.__cause__ or each.__context__
    return " ".join(seen)
