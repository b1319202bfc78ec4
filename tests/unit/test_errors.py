"""The tree of errors: what each class promises to its edges."""

import pytest

from mahavishnu.base import errors
from mahavishnu.base.errors import MahavishnuError


def tree(kind: type[MahavishnuError] = MahavishnuError) -> list[type[MahavishnuError]]:
    """Return the classes that a command can leave by; those of one interface have no exit code."""
    kinds = [kind, *(each for child in kind.__subclasses__() for each in tree(child))]
    return [kind for kind in kinds if kind.__module__ == errors.__name__]


def test_exit_and_http_codes_are_those_that_scripts_rely_on() -> None:
    own = [kind for kind in tree() if kind.__module__ == errors.__name__]
    assert {k.__name__: (k.default_code, k.exit_code, k.http_status) for k in own} == {
        "MahavishnuError": ("internal", 1, 500),
        "UsageError": ("usage", 2, 400),
        "NotFound": ("not_found", 3, 404),
        "Conflict": ("conflict", 4, 409),
        "Unavailable": ("unavailable", 5, 503),
        "Forbidden": ("forbidden", 6, 403),
        "Corrupt": ("corrupt", 7, 500),
    }


def test_no_two_classes_leave_with_the_same_exit_code() -> None:
    codes = [kind.exit_code for kind in tree()]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes and 130 not in codes


def test_every_class_is_directly_below_the_root() -> None:
    """Nobody can catch one of them by another's name."""
    assert all(kind.__bases__ == (MahavishnuError,) for kind in tree()[1:])


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_message_hint_and_code_are_kept(kind: type[MahavishnuError]) -> None:
    plain = kind("It is so.")
    assert (plain.message, plain.hint, plain.code) == ("It is so.", None, kind.default_code)
    told = kind("It is so.", hint="Do that.", code="area.what")
    assert (str(told), told.hint, told.code) == ("It is so.", "Do that.", "area.what")
    with pytest.raises(MahavishnuError):
        raise told
