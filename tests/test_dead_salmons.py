"""The functions of the chapter dead_salmons against closed forms, brute force and libraries."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, pearsonr
from seedbook import seeds, stats
from seedbook.press.chapter import definitions


@pytest.fixture(scope="module")
def chapter() -> SimpleNamespace:
    return SimpleNamespace(**definitions("dead_salmons"))


@pytest.fixture
def rng() -> np.random.Generator:
    return seeds.rng(0, "tests of the dead salmons")


def test_every_document_has_both_marks_in_the_order_that_its_label_says(chapter, rng):
    ids, labels = chapter.documents(500, 0.35, rng)
    assert ids.shape == (500, 16)
    assert labels.shape == (500, 2)
    assert ((ids == 198).sum(1) == 1).all()
    assert ((ids == 199).sum(1) == 1).all()
    first = (ids == 198).argmax(1) < (ids == 199).argmax(1)
    assert (first == labels[:, 1]).all()


def test_words_agree_with_the_lexical_label_in_65_of_100_cases(chapter, rng):
    ids, labels = chapter.documents(5000, 1.0, rng)
    words = ids < 40  # all but the two marks
    assert (words.sum(1) == 14).all()
    agree = (ids < 20) == labels[:, :1]
    share = stats.proportion(agree[words].sum(), words.sum(), level=0.999)
    assert share.low < 0.65 < share.high


def test_without_leak_no_word_tells_the_lexical_label(chapter, rng):
    ids, _ = chapter.documents(500, 0.0, rng)
    assert (ids >= 40).all()


def test_a_bag_of_words_does_not_know_the_order(chapter, rng):
    ids, labels = chapter.documents(2000, 0.35, rng)
    bags = np.stack([(ids == k).sum(1) for k in range(200)], 1).astype(float)
    words, order = chapter.probe(bags, labels)
    assert words > 0.65
    assert binomtest(round(order * 1000), 1000, 0.5).pvalue > 0.001


def test_probe_is_the_ridge_classifier(chapter, rng):
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    x = rng.normal(2, 3, (201, 12))
    labels = (x[:, :3] + 4 * rng.normal(size=(201, 3)) > 2).astype(int)
    found = chapter.probe(x, labels)
    scaler = StandardScaler().fit(x[:100])
    for k in range(3):
        ridge = RidgeClassifier(alpha=1.0).fit(scaler.transform(x[:100]), labels[:100, k])
        assert found[k] == ridge.score(scaler.transform(x[100:]), labels[100:, k])


def test_correlations_are_pearsons_and_dead_features_score_zero(chapter, rng):
    x, labels = rng.normal(size=(60, 5)), rng.integers(0, 2, (60, 3))
    x[:, 4] = 7.0
    found = chapter.correlations(x, labels)
    assert found.shape == (3, 5)
    for label, feature in itertools.product(range(3), range(4)):
        r = pearsonr(labels[:, label], x[:, feature]).statistic
        assert found[label, feature] == pytest.approx(abs(r))
    assert (found[:, 4] == 0).all()


@pytest.mark.parametrize("n", [40, 41])
def test_naive_p_of_a_probe_is_the_binomial_test(chapter, n):
    n_test = n - n // 2
    for correct in range(n_test + 1):
        p = chapter.naive_p(np.array(correct / n_test), n, "probe")
        assert p == pytest.approx(binomtest(correct, n_test, 0.5, "greater").pvalue)


def test_naive_p_of_a_unit_is_that_of_one_correlation(chapter, rng):
    x, y = rng.normal(size=(2, 30))
    found = pearsonr(x, y)
    p = chapter.naive_p(np.array([abs(found.statistic)]), 30, "neuron")
    assert p[0] == pytest.approx(found.pvalue)


def test_gradient_map_is_the_gradient(chapter, rng):
    import torch

    w1, b1, w2, b2 = (rng.normal(size=s) for s in ((7, 5), (5,), (5, 3), (3,)))
    x, y = rng.normal(size=(11, 7)), rng.integers(0, 3, 11)
    inputs = torch.tensor(x, requires_grad=True)
    first, second = torch.tensor(w1), torch.tensor(w2)
    logits = torch.relu(inputs @ first + torch.tensor(b1)) @ second + torch.tensor(b2)
    logits[torch.arange(11), torch.tensor(y)].sum().backward()
    np.testing.assert_allclose(chapter.gradient_map((w1, b1, w2, b2), x, y), inputs.grad)


@given(st.lists(st.booleans(), min_size=16, max_size=16))
@settings(max_examples=60, deadline=None)
def test_minimal_circuits_are_those_without_a_valid_part(chapter, valid):
    circuits = [
        frozenset(edge for edge in range(4) if bits >> edge & 1) for bits in range(16)
    ]  # a circuit as a set of edges
    expected = [
        valid[i] and not any(valid[j] and circuits[j] < circuits[i] for j in range(16))
        for i in range(16)
    ]
    assert chapter.minimal(np.array([valid]))[0].tolist() == expected
