"""The lattice and the condition of the chapter, against definitions, laws and worked examples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seedbook.press.chapter import definitions

LABELS = st.lists(st.integers(0, 3), min_size=6, max_size=6).map(np.array)
LAWS = st.lists(st.floats(0.05, 1), min_size=6, max_size=6).map(lambda w: np.divide(w, sum(w)))


@pytest.fixture(scope="module")
def chapter() -> SimpleNamespace:
    return SimpleNamespace(**definitions("perfect_reconstruction"))


def blocks(labels) -> set[frozenset[int]]:
    """The partition itself: the classes of outcomes with equal labels."""
    return {frozenset(np.flatnonzero(labels == v)) for v in set(labels.tolist())}


def finer(a, b) -> bool:
    return all(any(x <= y for y in blocks(b)) for x in blocks(a))


@given(LABELS, LABELS)
def test_join_and_meet_are_the_bounds_of_the_lattice(chapter, a, b):
    join, meet = chapter.canon(a, b), chapter.meet(a, b)
    assert finer(join, a) and finer(join, b) and finer(a, meet) and finer(b, meet)
    assert blocks(join) == {x & y for x in blocks(a) for y in blocks(b)} - {frozenset()}
    assert blocks(meet) == merged(blocks(a) | blocks(b))


def merged(sets) -> set[frozenset[int]]:
    """Unite sets that overlap until none do."""
    done: set[frozenset[int]] = set()
    for new in sets:
        touching = {old for old in done if old & new}
        done = done - touching | {new.union(*touching)}
    return done


def test_meet_of_the_exercise(chapter):
    meet = chapter.meet(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1]))
    assert blocks(meet) == {frozenset({0, 1}), frozenset({2, 3, 4, 5})}


@given(LABELS, LABELS, LAWS)
def test_common_information_is_at_most_mutual_information(chapter, a, b, p):
    common, x, y, both = (
        chapter.entropy(labels, p) for labels in (chapter.meet(a, b), a, b, chapter.canon(a, b))
    )
    assert common <= x + y - both + 1e-9


@given(LABELS, LABELS, LABELS, LAWS)
def test_rajski_is_a_metric_with_range_one(chapter, a, b, c, p):
    def d(x, y):
        return chapter.rajski(x, y, p)

    assert -1e-9 <= d(a, b) <= 1 + 1e-9
    assert d(a, b) == pytest.approx(d(b, a), abs=1e-12)
    assert (d(a, b) < 1e-9) == (blocks(a) == blocks(b))
    assert d(a, c) <= d(a, b) + d(b, c) + 1e-9


@given(st.lists(LABELS, min_size=1, max_size=4), LAWS)
def test_the_slack_is_repetition_minus_loss(chapter, summaries, p):
    slack, loss, repetition = chapter.score(summaries, p)
    assert slack == pytest.approx(repetition - loss, abs=1e-9)
    assert loss >= -1e-12 and repetition >= -1e-9
    rebuilt = blocks(chapter.canon(*summaries)) == {frozenset({i}) for i in range(6)}
    assert rebuilt == (loss < 1e-9)
    assert not (rebuilt and slack < -1e-9)


@pytest.mark.parametrize(
    ("moduli", "below", "slack", "loss"),
    [
        ([3, 5, 7], 105, 0, 0),
        ([4, 6], 24, 0, 1 / np.log2(24)),
        ([3, 4], 12, 0, 0),
        ([2, 6], 12, 0, 1 / np.log2(12)),
        ([6, 10, 15], 30, 1, 0),
    ],
)
def test_remainders(chapter, moduli, below, slack, loss):
    summaries = [np.arange(below) % r for r in moduli]
    got = chapter.score(summaries, np.full(below, 1 / below))
    assert got[:2] == pytest.approx((slack, loss), abs=1e-12)
