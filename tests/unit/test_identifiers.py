"""Ids: the bits of RFC 9562, their order, and what people may type for them."""

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import SHOWN_LENGTH, new_id, parse_reference, shown


def milliseconds(identifier: UUID) -> int:
    return identifier.int >> 80


def test_an_id_has_the_bits_of_version_7() -> None:
    for _ in range(200):
        made = new_id()
        assert made.version == 7 and made.variant == RFC_4122
        assert made.hex[12] == "7" and made.hex[16] in "89ab"


def test_an_id_begins_with_its_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert before <= milliseconds(made) <= time.time_ns() // 1_000_000


def test_ids_of_later_milliseconds_sort_later() -> None:
    earlier = new_id()
    until = milliseconds(earlier) + 2
    while time.time_ns() // 1_000_000 < until:
        pass
    assert earlier < new_id()


def test_every_random_bit_is_used() -> None:
    ids = [new_id().int for _ in range(400)]
    ones = zeros = 0
    for identifier in ids:
        ones |= identifier
        zeros |= ~identifier
    free = (2**74 - 1) & ~(0b11 << 62)  # below the version, without the variant
    assert ones & free == free and zeros & free == free


def test_twenty_thousand_ids_in_a_row_differ_also_in_what_is_shown() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert len(set(ids)) == 20_000
    # 32 random bits: one pair in twenty runs is chance; more than a few would be a fault.
    assert len({shown(identifier) for identifier in ids}) >= 20_000 - 5


def test_what_is_shown_is_the_end() -> None:
    identifier = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert shown(identifier) == "099a8057"


@given(st.uuids())
def test_an_id_is_read_back_in_every_form(identifier: UUID) -> None:
    for text in (str(identifier), identifier.hex, str(identifier).upper(), f"  {identifier}\n"):
        assert parse_reference(text) == identifier
    assert parse_reference(shown(identifier)) == shown(identifier)


@given(st.uuids(), st.integers(4, 31))
def test_the_digits_an_id_ends_with_are_read(identifier: UUID, length: int) -> None:
    digits = identifier.hex[-length:]
    assert parse_reference(digits.upper()) == digits


def test_digits_with_their_dashes_are_read() -> None:
    assert parse_reference("bcce-b302099a8057") == "bcceb302099a8057"


@pytest.mark.parametrize(
    "text",
    ["", " ", "abc", "ghij", "g" * SHOWN_LENGTH, "%", "_" * 8, "0" * 33, "12 34", "a'; DROP", "é" * 8],
)  # fmt: skip
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert caught.value.code == "input.id" and caught.value.hint


@given(st.text(max_size=40))
def test_any_text_gives_an_id_its_end_or_a_usage_error(text: str) -> None:
    try:
        read = parse_reference(text)
    except UsageError:
        return
    assert isinstance(read, UUID) or (4 <= len(read) <= 32 and int(read, 16) >= 0)
