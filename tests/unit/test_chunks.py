"""Chunking: nothing lost, everything within budget, at good places, in linear time."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.embedding.chunks import Span, chunk_budget, chunk_spans, estimate_tokens, split
from mahavishnu.embedding.port import ModelIdentity
from tests.support.fakes import FakeEmbedder, fake_tokens

MIB = 1 << 20


def count(text: str) -> int:
    return len(fake_tokens(text))


def assert_covers(text: str, spans: list[Span]) -> None:
    position = 0
    for span in spans:
        assert span.start < span.end <= len(text)
        assert text[position : span.start].strip() == ""
        assert span.start >= position
        position = span.end
    assert text[position:].strip() == ""


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=3000)
    | st.lists(st.sampled_from(["word", "a.", "\n", "\n\n", " ", "é", "👩‍👩‍👧", "x" * 40])).map(
        "".join
    ),
    st.integers(16, 60),
    st.sampled_from([count, estimate_tokens]),
)
@example("x" * 200, 16, count)
def test_spans_cover_the_text_within_the_budget(text: str, budget: int, counter) -> None:  # type: ignore[no-untyped-def]
    spans = split(text, budget=budget, count=counter)
    assert_covers(text, spans)
    for span in spans:
        assert counter(text[span.start : span.end]) <= budget
        assert not text[span.start].isspace()
        assert not text[span.end - 1].isspace()


def test_a_short_text_is_one_span_without_its_margin() -> None:
    assert split("  two words \n", budget=16, count=count) == [Span(2, 11)]


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_blank_text_has_no_span(text: str) -> None:
    assert split(text, budget=16, count=count) == []


@pytest.mark.parametrize(
    ("separator", "unit"),
    [("\n\n", "one two. three four\nfive six"), ("\n", "one two. three four"), (" ", "one two.")],
    ids=["paragraphs", "lines", "sentences"],
)
def test_the_best_boundary_is_taken(separator: str, unit: str) -> None:
    text = separator.join([unit] * 40)
    spans = split(text, budget=30, count=count)
    assert len(spans) > 4
    for span in spans[:-1]:
        assert text[span.start : span.end].endswith(unit)
        assert text[span.end :].startswith(separator)


def test_words_stay_whole_where_nothing_better_is_near() -> None:
    text = " ".join(["memory"] * 500)
    spans = split(text, budget=20, count=count)
    assert len(spans) > 5
    for span in spans:
        assert set(text[span.start : span.end].split()) == {"memory"}


@pytest.mark.parametrize("mark", ["e\u0301", "👩‍👩‍👧", "👍🏽", "🇩🇪"])
def test_what_people_see_as_one_character_is_not_cut(mark: str) -> None:
    text = mark * 400
    spans = split(text, budget=50, count=estimate_tokens)
    assert len(spans) > 5
    for span in spans:
        piece = text[span.start : span.end]
        assert not unicodedata.category(piece[0]).startswith("M")
        assert piece[0] not in "\u200d🏽"
        assert piece[-1] != "\u200d"


@pytest.mark.parametrize(
    "text",
    [
        "The quick memory server stores notes. " * (MIB // 38),
        "a" * MIB,
        "😀" * (MIB // 4),
        "e\u0301\u0302" * (MIB // 3),
        "\n" * MIB + "end",
        ("a" + "\n " * 100) * (MIB // 201),
        "!?." * (MIB // 3),
        "\u0301" * (MIB // 2),
    ],
    ids=["prose", "no space", "emoji", "accents", "newlines", "sparse", "symbols", "only marks"],
)
def test_a_mebibyte_is_split_in_linear_time(text: str) -> None:
    counted = 0

    def counter(piece: str) -> int:
        nonlocal counted
        counted += len(piece)
        return estimate_tokens(piece)

    before = time.process_time()
    spans = split(text, budget=500, count=counter)
    assert time.process_time() - before < 10
    assert counted < 8 * len(text)
    assert_covers(text, spans)
    assert all(estimate_tokens(text[s.start : s.end]) <= 500 for s in spans)


def test_a_character_beyond_the_budget_is_still_kept() -> None:
    spans = split("ab", budget=16, count=lambda piece: 40 * len(piece))
    assert spans == [Span(0, 1), Span(1, 2)]


def test_a_cut_that_makes_more_tokens_is_moved() -> None:
    # The cut falls among the marks, moves to before "b", and there the count jumps.
    text = "a" * 120 + "b" + "\u0301" * 20 + "c" * 100

    def counter(piece: str) -> int:
        return 20 if len(piece) > 100 and piece.endswith("a") else 1

    spans = split(text, budget=16, count=counter)
    assert_covers(text, spans)
    assert all(counter(text[s.start : s.end]) <= 16 for s in spans)


def test_a_tokenizer_that_folds_a_blob_into_one_token_gives_bounded_chunks() -> None:
    spans = split("a" * 10_000, budget=100, count=lambda _: 1)
    assert max(s.end - s.start for s in spans) <= 800


@pytest.mark.parametrize(
    ("window", "prefix_tokens", "budget"), [(8192, 5, 503), (2048, 0, 508), (256, 2, 250)]
)
def test_the_budget_is_a_passage_and_leaves_room_for_prefix_and_marks(
    window: int, prefix_tokens: int, budget: int
) -> None:
    identity = ModelIdentity("ollama", "m", "", 3, "", "", window)
    assert chunk_budget(identity, prefix_tokens=prefix_tokens) == budget


def test_chunks_leave_room_for_the_prefix() -> None:
    embedder = FakeEmbedder(document_prefix="search_document: ", window_tokens=64)
    text = "word " * 300
    for span in chunk_spans(embedder, text):
        prefixed = "search_document: " + text[span.start : span.end]
        assert 30 < embedder.count_tokens(prefixed) <= 60


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("How do I reset my password?", 7),
        ("20240101", 4),
        ("日本語", 3),
        ("Привет", 6),
        ("안녕", 4),
        ("🙂", 3),
        ("a\nb", 3),
        ("9f86d081884c7d659a2feaa0c55ad015", 20),
    ],
)
def test_the_estimate_is_on_the_high_side(text: str, least: int) -> None:
    assert least <= estimate_tokens(text) <= 3 * least
