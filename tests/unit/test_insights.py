"""Insights found in texts, and what recurs among them: no text is lost, and time grows with the length."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.knowledge.dependencies import find_dependents
from mahavishnu.memory.insights.extraction import LONGEST, SHORTEST, extract_insights, key_of
from mahavishnu.memory.insights.recurrence import (
    FailedRun,
    FoundInsight,
    find_patterns,
    fingerprint,
)

LONG_MARK, LONG_RULE = "`★ Insight " + "─" * 37 + "`", "`" + "─" * 49 + "`"
MARK, RULE = "★ Insight ─────", "─────"
FORMS = (
    (LONG_MARK, LONG_RULE),
    (MARK, RULE),
    (f"**{MARK}**", RULE),
    ("★\ufe0f Insight ─────", RULE),
)
TEXT = "COPY loads rows ten times as fast as INSERT does."
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def block(text: str, mark: str = MARK, rule: str = RULE) -> str:
    return f"{mark}\n{text}\n{rule}"


@pytest.mark.parametrize(("mark", "rule"), FORMS)
def test_both_forms_are_found_between_other_text(mark: str, rule: str) -> None:
    text = f"Before.\n\n{block(TEXT, mark, rule)}\n\nAfter."
    assert extract_insights(text) == [TEXT]
    assert extract_insights(text.replace("\n", "\r\n")) == [TEXT]


# Lines of anything but marks, rules and fences, which mean something.
LINES = st.text(
    st.characters(exclude_characters="\n\r─━`~★>", exclude_categories=("Cs",)), max_size=80
)


@given(st.lists(LINES, min_size=1, max_size=8).map("\n".join), st.sampled_from(FORMS), LINES)
def test_the_text_of_a_block_is_whole(text: str, form: tuple[str, str], before: str) -> None:
    found = extract_insights(f"{before}\n{block(text, *form)}\n{before}")
    size = len("\n".join(line.strip() for line in text.split("\n")).strip())
    if size >= SHORTEST and len(text) <= LONGEST:
        [insight] = found
        assert insight.split() == text.split()
    assert len(found) <= 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"```\n{block(TEXT)}\n```", []),
        (f"~~~text\n{block(TEXT)}\n~~~\n{block(TEXT)}", [TEXT]),
        (f"```\n{block(TEXT)}", []),  # code goes on to the end
        (f"{MARK}\n{TEXT}\n```\n{RULE}\n```\n{RULE}", [f"{TEXT}\n```\n{RULE}\n```"]),
        (f"{MARK}\n{TEXT}", []),
        (f"{MARK}\nUnfinished.\n{block(TEXT)}", [TEXT]),
        (f"> {MARK}\n> {TEXT}\n> {RULE}", [TEXT]),
        (f"> > {MARK}\n> > {TEXT}\n> > {RULE}", [TEXT]),
        (f"> {MARK}\n> {TEXT}\n\n{RULE}", []),  # the quotation ends before the rule
        (block(f"{TEXT}\n> {MARK}\n> cited\n> {RULE}"), [f"{TEXT}\n> {MARK}\n> cited\n> {RULE}"]),
        (f"  - {MARK}\n", []),
        (f"   {MARK}\n   {TEXT}\n     inner\n   {RULE}", [f"{TEXT}\n  inner"]),
        (f"I write ★ Insight ───── above them.\n{TEXT}\n{RULE}", []),
        (block("x" * (SHORTEST - 1)), []),
        (block("x" * SHORTEST), ["x" * SHORTEST]),
        (block("x" * LONGEST), ["x" * LONGEST]),
        (block("x" * (LONGEST + 1)), []),
        (f"{block(TEXT)}\n{block('Another thing that is worth a line.')}\n{block(TEXT.upper())}",
         [TEXT, "Another thing that is worth a line."]),
    ],
)  # fmt: skip
def test_what_is_an_insight_and_what_is_none(text: str, found: list[str]) -> None:
    assert extract_insights(text) == found


def test_other_marks_are_those_of_the_setting() -> None:
    text = (
        f"{block(TEXT, '◆ Decision ─────')}\n{block('Not a mark of this setting, so left alone.')}"
    )
    assert extract_insights(text, ["◆ Decision", "? (odd"]) == [TEXT]
    assert extract_insights(text, []) == []


def test_the_key_leaves_out_what_does_not_matter() -> None:
    assert key_of("Straße  ist\nZU é") == key_of(" strasse ist zu e\u0301 ")
    assert key_of("One.") != key_of("Two.")


@pytest.mark.parametrize(
    "part",
    ["★ Insight ─────\n", "> " * 9 + "★ Insight ─────\n", "`★ Insight ─", "> ", "```\n★ Insight ─────\n", "★ ", "─"],
)  # fmt: skip
def test_time_grows_with_the_length_alone(part: str) -> None:
    def seconds(times: int) -> float:
        text, best = "★ " + part * times, []
        for _ in range(3):
            began = time.process_time()
            extract_insights(text)
            best.append(time.process_time() - began)
        return min(best)

    few = 60_000 // len(part)
    assert seconds(8 * few) < 40 * seconds(few) + 0.02  # a square would be 64


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TimeoutError: no answer after 30.5 s", "TimeoutError: no answer after 7 s"),
        ("cannot open /srv/a/b.txt", "cannot open /home/x/c.txt"),
        ("no row 018f2b7e-1111-7222-8333-444455556666", "no row 018f2b7e-9999-7222-8333-444455556666"),
        ("at 2026-01-02T03:04:05Z: refused", "at 2026-11-12 13:14:15.5: refused"),
        ("GET http://127.0.0.1:8000/a failed", "GET http://127.0.0.1:9000/b failed"),
        ("commit deadbeef1 is gone", "commit 0123abcd is gone"),
    ],
)  # fmt: skip
def test_an_error_is_known_again_by_what_does_not_vary(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint("KeyError: 'port'")


def failed(number: int, workflow: str, error: str | None, project: str = "api") -> FailedRun:
    at = MOMENT + timedelta(days=number)
    return FailedRun(UUID(int=number), workflow, error, (project,), at)


def test_three_of_an_error_or_of_a_workflow_are_a_pattern_and_two_are_none() -> None:
    runs = [failed(1, "a", "x\nTimeout after 3 s"), failed(2, "b", "Timeout after 4 s", "web")]
    assert find_patterns(runs, []) == []
    runs.append(failed(3, "a", "Timeout after 5 s"))
    [pattern] = find_patterns(runs, [])
    assert (pattern.kind, pattern.times, pattern.projects) == ("error", 3, ("api", "web"))
    assert pattern.sources == (UUID(int=3), UUID(int=2), UUID(int=1)) and not pattern.workflow_id
    assert pattern.text == (
        "The same error ended 3 runs of a, b in api, web from 2026-01-02 to 2026-01-04: Timeout after 5 s"
    )
    runs.append(failed(4, "a", None))  # a third failure of a, of another kind
    kinds = [(each.kind, each.times, each.workflow_id) for each in find_patterns(runs, [])]
    assert kinds == [("error", 3, None), ("workflow", 3, "a")]


def test_a_workflow_that_always_ends_alike_is_one_pattern() -> None:
    runs = [failed(number, "a", f"Timeout after {number} s") for number in range(3)]
    assert [each.kind for each in find_patterns(runs, [])] == ["error"]


def test_an_insight_of_two_projects_is_a_pattern() -> None:
    found = [
        FoundInsight(UUID(int=1), "insight:k", TEXT, ("api",), 2, MOMENT),
        FoundInsight(UUID(int=2), "insight:k", TEXT, ("web",), 1, MOMENT),
        FoundInsight(UUID(int=3), "insight:other", "Alone.", ("web",), 9, MOMENT),
    ]
    [pattern] = find_patterns([], found)
    assert (pattern.kind, pattern.times, pattern.key) == ("insight", 3, "k")
    assert pattern.text == f"Found 3 times, in api, web: {TEXT}"


def test_dependents_are_found_through_others_and_in_circles() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["b"], "e": []}
    assert find_dependents(graph, "c") == ["a", "b", "d"]
    assert find_dependents(graph, "e") == [] == find_dependents(graph, "unknown")
