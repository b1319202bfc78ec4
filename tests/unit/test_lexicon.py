"""Terms: what counts as a word, what is left out, and that nothing can grow without bound."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.memory.lexicon import (
    MAX_COUNT,
    MAX_TERM_LENGTH,
    MAX_TERMS,
    STOP_WORDS,
    count_terms,
    split_query,
    split_terms,
)
from tests.support.strategies import any_text, mixed_text


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("running runs RUN", ["run", "run", "run"]),
        ("getUserName", ["user", "name", "getusernam"]),  # "get" is a stop word
        ("snake_case_name", ["snake", "case", "name", "snakecasenam"]),
        ("HTTPServer", ["http", "server", "httpserver"]),
        ("parseHTTPResponse", ["pars", "http", "respons", "parsehttprespons"]),
        ("utf8Decode", ["utf8", "decod", "utf8decod"]),
        ("__init__", ["init"]),
        ("ISO8601 v2 2023-05-08", ["iso8601", "v2", "2023", "05", "08"]),
        ("the user's cat’s toy", ["user", "cat", "toy"]),
        ("naïve ÉCOLE", ["naïv", "école"]),
        ("日本語", ["日本", "本語"]),
        ("語", ["語"]),
        ("한국어", ["한국", "국어"]),
        ("!?… -- ()", []),
        ("", []),
    ],
)
def test_text_becomes_terms(text: str, terms: list[str]) -> None:
    assert split_terms(text) == terms


def test_stop_words_are_gone_in_every_case() -> None:
    for word in STOP_WORDS:
        assert split_terms(f"{word} {word.upper()} {word.capitalize()}") == []


def test_a_stop_word_inside_an_identifier_stays_in_the_whole_one() -> None:
    assert split_terms("isOpen") == ["open", "isopen"]


def test_a_latin_word_beside_japanese_is_found() -> None:
    assert "postgresql" in split_terms("PostgreSQLを使う")


@given(any_text | mixed_text)
def test_any_text_gives_bounded_terms(text: str) -> None:
    terms = split_terms(text)
    assert all(0 < len(term) <= MAX_TERM_LENGTH for term in terms)
    assert not any(character.isspace() for term in terms for character in term)


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)).map(" ".join))
def test_case_does_not_matter(text: str) -> None:
    lower = split_terms(text)
    assert split_terms(text.upper()) == lower
    assert split_terms(text.title()) == lower
    assert all(term == term.lower() for term in lower)


@given(any_text | mixed_text)
def test_counts_are_those_of_the_terms(text: str) -> None:
    counts, length = count_terms(text)
    terms = split_terms(text)
    assert length == len(terms)
    assert {term: counts[term] for term in terms if len(term) > 1} == {
        term: terms.count(term) for term in terms if len(term) > 1
    }
    composed = unicodedata.normalize("NFC", text)
    assert all(len(term) == 1 and term in composed for term in counts.keys() - set(terms))


@given(any_text | mixed_text)
def test_a_question_has_the_terms_of_its_text_once_each(text: str) -> None:
    asked = split_query(text)
    assert len(set(asked)) == len(asked)
    assert set(asked) <= count_terms(text)[0].keys()
    assert asked == sorted(asked, key=split_terms(text).index)


def test_single_characters_are_stored_but_asked_for_only_alone() -> None:
    counts, length = count_terms("我的猫和猫")
    assert counts == {
        "我的": 1,
        "的猫": 1,
        "猫和": 1,
        "和猫": 1,
        "我": 1,
        "的": 1,
        "猫": 2,
        "和": 1,
    }
    assert length == 4
    assert split_query("猫和") == ["猫和"] and split_query("猫") == ["猫"]
    assert count_terms("猫")[0] == {"猫": 1}
    assert count_terms("집에서")[0].keys() == {"집에", "에서", "집", "에", "서"}
    assert count_terms("ねこ")[0] == {"ねこ": 1}  # kana and Thai letters are no words
    assert count_terms("กขค")[0].keys() == {"กข", "ขค"}


def test_a_long_blob_keeps_its_beginning() -> None:
    [term] = split_terms("x" * 5_000)
    assert term == "x" * MAX_TERM_LENGTH
    *_, whole = split_terms("aB" * 5_000)
    assert len(whole) == MAX_TERM_LENGTH


def test_the_most_frequent_terms_of_a_large_text_are_indexed() -> None:
    text = " ".join(f"w{n}" for n in range(MAX_TERMS + 500)) + " walrus walrus"
    counts, length = count_terms(text)
    assert len(counts) == MAX_TERMS and counts["walrus"] == 2
    assert length == MAX_TERMS + 502


def test_frequency_and_length_fit_their_columns() -> None:
    counts, length = count_terms("walrus " * (MAX_COUNT + 5))
    assert counts == {"walrus": MAX_COUNT} and length == MAX_COUNT


def test_a_mebibyte_without_spaces_gives_a_bounded_number_of_terms() -> None:
    for text in ("語日" * 170_000, "aB" * 520_000, "a_" * 520_000, "'s" * 520_000):
        counts, length = count_terms(text)
        assert len(counts) <= MAX_TERMS and length <= MAX_COUNT
