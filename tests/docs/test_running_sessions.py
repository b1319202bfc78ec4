"""The page of what a switch does to running sessions has each row that the tests with the real clients assert."""

import re

from tests.support.peers.observed import HEADER, PAGE, ROWS


def test_the_page_has_each_row_with_what_was_seen() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    rows = [what for what, effect in found if what != "what" and effect.strip()]
    assert rows == [what for each in ROWS.values() for what in each]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(ROWS)
