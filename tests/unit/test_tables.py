"""Tables for people: what is short stays whole, what is long wraps between words, and a row is a line for programs."""

from mahavishnu.interfaces.cli.tables import lay_out

COLUMNS = ("name", "says", "key")
ROWS = [
    ("kimi-coding", "a membership of theirs for coding, with a key of its own", "env:KIMI_API_KEY"),
    ("x", "", "env:ANOTHER_KEY"),
]


def lines(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    return lay_out(COLUMNS, rows, width=width, styled=False).splitlines()


def test_without_a_width_each_row_is_a_line() -> None:
    head, first, second = lines(ROWS, None)
    assert head.split() == ["name", "says", "key"]
    assert first == "  ".join(ROWS[0])
    assert second.split() == ["x", "env:ANOTHER_KEY"]


def test_what_is_too_wide_wraps_between_words() -> None:
    printed = lines(ROWS, 60)
    assert max(map(len, printed)) <= 60
    for word in " ".join(ROWS[0]).split():
        assert any(word in line.split() for line in printed), word
    assert printed[1].startswith("kimi-coding  a membership of") and len(printed) > 3


def test_where_words_would_break_each_row_is_a_block() -> None:
    assert lines(ROWS, 30) == [
        "kimi-coding",
        f"  says  {ROWS[0][1]}",
        "  key   env:KIMI_API_KEY",
        "x",
        "  key   env:ANOTHER_KEY",
    ]


def test_a_block_keeps_the_lines_of_a_cell_together() -> None:
    assert lines([("x", "one\ntwo", "k" * 40)], 30)[:3] == ["x", "  says  one", "        two"]


def test_only_a_very_long_word_is_broken() -> None:
    printed = lines([("x", "w" * 90, "k")], 60)
    assert max(map(len, printed)) <= 60
    assert "".join(printed[1:]).count("w") == 90


def test_wide_characters_take_two_columns() -> None:
    head, row = lines([("資料", "a", "b")], None)
    assert head.index("says") == row.index("a") + len("資料")


def test_no_rows_are_a_heading() -> None:
    assert lines([], 80) == ["name  says  key"]
