"""What of a hit fits a budget, and where its nearest part stands then."""

from datetime import UTC, datetime

from mahavishnu.base.identifiers import new_id
from mahavishnu.memory.models import Hit, Memory
from mahavishnu.memory.search import within_budget

CONTENT = "A first part. " * 50 + "NEAREST PART. " * 10 + "The rest. " * 50
START, END = 14 * 50, 14 * 60


def hit(start: int | None, end: int | None) -> Hit:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    memory = Memory(
        new_id(), 1, CONTENT, "", "agent", "note", "cli", "", None, "me", "private", {}, None,
        None, None, None, None, None, moment, moment, None, None,
    )  # fmt: skip
    return Hit(memory=memory, score=1.0, arms={}, char_start=start, char_end=end)


def test_the_nearest_part_is_where_the_cut_hit_says() -> None:
    for most in (5, 20, 60, 150):
        [cut] = within_budget([hit(START, END)], most)
        assert cut.truncated and cut.memory.content and cut.char_start == 0
        assert cut.char_end is not None and 0 < cut.char_end <= len(cut.memory.content)
        assert CONTENT[START:END].startswith(cut.memory.content[: cut.char_end])
    assert cut.char_end == END - START  # the last budget holds all of it


def test_a_hit_of_words_alone_has_no_nearest_part() -> None:
    [cut] = within_budget([hit(None, None)], 20)
    assert (cut.char_start, cut.char_end) == (None, None)
    assert CONTENT.startswith(cut.memory.content)


def test_a_hit_that_fits_stays_as_it_is() -> None:
    whole = hit(START, END)
    assert within_budget([whole], 10_000) == within_budget([whole], None) == (whole,)
