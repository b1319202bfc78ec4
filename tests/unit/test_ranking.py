"""Fusing two arms: bounded, complete, explained, ordered, monotone."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.memory.models import COLLECTIONS
from mahavishnu.memory.ranking import WEIGHTS, Ranked, fuse
from tests.support.strategies import bm25_scores, collections, cosines

numbers = st.integers(1, 40)
text_arms = st.dictionaries(numbers, bm25_scores, max_size=12)
vector_arms = st.dictionaries(numbers, cosines, max_size=12)
kinds = st.fixed_dictionaries(dict.fromkeys(range(1, 41), collections))
EPSILON = 1e-9
NOTES: dict[int, Any] = dict.fromkeys(range(1, 41), "note")


@given(text_arms, vector_arms, kinds)
def test_every_candidate_once_with_a_score_that_adds_up(
    text: dict[int, float], vector: dict[int, float], kinds: dict[int, Any]
) -> None:
    ranked = list(fuse(text, vector, collections=kinds))
    assert sorted(r.memory_no for r in ranked) == sorted(text.keys() | vector.keys())
    for candidate in ranked:
        assert 0 <= candidate.score <= 1 + EPSILON
        parts = [arm.contribution for arm in candidate.arms.values()]
        assert all(part >= 0 for part in parts)
        assert math.isclose(sum(parts), candidate.score, abs_tol=EPSILON)


@given(text_arms, vector_arms, kinds)
@example({1: 2.0, 2: 2.0}, {}, NOTES)
def test_best_first_and_of_equal_ones_the_newest(
    text: dict[int, float], vector: dict[int, float], kinds: dict[int, Any]
) -> None:
    ranked = list(fuse(text, vector, collections=kinds))
    keys = [(-r.score, -r.memory_no) for r in ranked]
    assert keys == sorted(keys)


@given(text_arms, vector_arms, kinds)
@example({1: 2.0}, {2: 0.5}, NOTES)
def test_an_arm_without_candidates_gives_its_share_away(
    text: dict[int, float], vector: dict[int, float], kinds: dict[int, Any]
) -> None:
    for fused, arm in (
        (fuse(text, {}, collections=kinds), "text"),
        (fuse({}, vector, collections=kinds), "vector"),
    ):
        ranked = list(fused)
        assert all(r.arms.keys() == {arm} for r in ranked)
        assert not ranked or math.isclose(ranked[0].score, 1.0)
        assert [r.arms[arm].rank for r in ranked] == list(range(1, len(ranked) + 1))


@given(text_arms, vector_arms, kinds, st.data())
def test_a_better_raw_score_never_lowers_the_place(
    text: dict[int, float], vector: dict[int, float], kinds: dict[int, Any], data: st.DataObject
) -> None:
    arm = text if data.draw(st.booleans()) else vector
    if not arm:
        return
    chosen = data.draw(st.sampled_from(sorted(arm)))
    before = {r.memory_no: r.score for r in fuse(text, vector, collections=kinds)}
    arm[chosen] += data.draw(st.integers(1, 64)) / 64
    after = {r.memory_no: r.score for r in fuse(text, vector, collections=kinds)}
    for other in before.keys() - {chosen}:
        if before[chosen] > before[other] + EPSILON:
            assert after[chosen] >= after[other] - EPSILON


@given(text_arms, vector_arms, kinds, st.data())
def test_ranks_count_what_the_vector_arm_itself_found(
    text: dict[int, float], vector: dict[int, float], kinds: dict[int, Any], data: st.DataObject
) -> None:
    found = frozenset(n for n in sorted(vector) if data.draw(st.booleans()))
    ranked = list(fuse(text, vector, collections=kinds, vector_candidates=found))
    ranks = {r.memory_no: r.arms["vector"].rank for r in ranked if "vector" in r.arms}
    assert {n for n, rank in ranks.items() if rank is not None} == set(found)
    assert sorted(filter(None, ranks.values())) == list(range(1, len(found) + 1))


def fused(
    text: dict[int, float], vector: dict[int, float], collection: str = "note"
) -> dict[int, Ranked]:
    known: Any = dict.fromkeys(text.keys() | vector.keys(), collection)
    return {r.memory_no: r for r in fuse(text, vector, collections=known)}


def test_text_is_scaled_by_the_best_and_cosine_from_the_worst() -> None:
    ranked = fused({1: 8.0, 2: 2.0}, {1: 0.2, 2: 0.8, 3: 0.5})
    assert ranked[1].score == pytest.approx(0.5)  # best words, worst vector
    assert ranked[2].score == pytest.approx(0.5 * 0.25 + 0.5)
    assert ranked[3].score == pytest.approx(0.5 * 0.5)  # no term in common counts as zero
    assert ranked[3].arms["text"].rank is None and ranked[3].arms["text"].score == 0


def test_equal_cosines_say_nothing_against_anyone() -> None:
    assert [r.score for r in fused({}, {1: 0.3, 2: 0.3}).values()] == [1.0, 1.0]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_the_collection_decides_what_words_weigh(collection: str) -> None:
    share = WEIGHTS[collection].text_share  # type: ignore[index]
    ranked = fused({1: 3.0}, {2: 0.9, 3: 0.1}, collection)
    assert ranked[1].score == pytest.approx(share)
    assert ranked[2].score == pytest.approx(1 - share)


def test_code_is_found_by_meaning_and_notes_by_both() -> None:
    assert WEIGHTS["code"].text_share < WEIGHTS["note"].text_share
    assert WEIGHTS.keys() == set(COLLECTIONS)


def test_nothing_to_fuse_is_nothing() -> None:
    assert list(fuse({}, {}, collections={})) == []
