"""The functions of the chapter on adaptive data analysis, against closed forms and slow loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf
from seedbook import seeds, stats
from seedbook.press import chapter

slug = "adaptive_data_analysis"


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug)


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_coins_are_fair_and_independent(method):
    x = method["coins"](seeds.rng(0, "coins"), 4000, 13)
    assert x.shape == (4000, 13) and x.dtype == np.float32
    assert set(np.unique(x)) == {-1.0, 1.0}
    # means and correlations of 4000 fair coins have standard deviation 0.016
    assert abs(x.mean(0)).max() < 0.08
    assert abs(x.T @ x / 4000 - np.eye(13)).max() < 0.08


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_odd(m):
    found = chapter.definitions(slug)["odd"](m)
    assert set(found) == {v if v % 2 else v + 1 for v in m}
    assert (np.diff(found) > 0).all()


def test_attack_is_the_majority_vote_of_the_signs(method):
    """The blocks, the running votes and the growing m against one loop over rows and queries."""
    n, ms, scales = 9, [3, 7], np.array([0.0, 0.3, np.inf])
    last, worst = method["attack"](n, ms, scales, seeds.rng(1, "attack"))
    rng, rows, answers = seeds.rng(1, "attack"), [], []
    for asked, m in ((0, 3), (3, 7)):  # the same draws in the same order
        X = method["coins"](rng, n, m - asked)
        noise = rng.standard_normal((m - asked, 1))
        ties = method["coins"](rng, m - asked, 3)
        for j in range(m - asked):
            rows.append(X[:, j])
            answers.append(
                [
                    X[:, j].mean() + s * noise[j, 0] + 1e-9 * t
                    for s, t in zip(scales, ties[j], strict=True)
                ]
            )
        for arm in range(3):
            votes = [
                sum(math.copysign(1, answers[j][arm]) * rows[j][i] for j in range(m))
                for i in range(n)
            ]
            i = ms.index(m)
            assert last[i, arm] == pytest.approx(sum(map(np.sign, votes)) / n)
            assert worst[i, arm] == pytest.approx(
                max(abs(answers[j][arm]) for j in range(m)), abs=1e-6
            )


@pytest.mark.parametrize(("n", "m", "sigma"), [(200, 201, 0.0), (200, 801, 0.1), (1000, 301, 0.05)])
def test_attack_follows_formula_1(method, n, m, sigma):
    """E_S of the last query = erf sqrt(m / (pi n (1 + n sigma^2))), and 0 for a deaf analyst."""
    scales = np.array([sigma, np.inf])
    errors = [method["attack"](n, [m], scales, seeds.rng(r, "formula"))[0, 0] for r in range(150)]
    listening, deaf = (stats.mean(v) for v in np.transpose(errors))
    expected = erf(math.sqrt(m / (math.pi * n * (1 + n * sigma**2))))
    assert listening.estimate == pytest.approx(expected, abs=0.025)
    assert listening.high - listening.low < 0.03  # so the line above could fail
    assert abs(deaf.estimate) < 0.025


def test_worst_answer_follows_the_largest_of_m_normal_values(method):
    n, m, sigma = 400, 1001, 0.1
    worst = method["attack"](n, [m], np.array([sigma]), seeds.rng(0, "worst"))[1, 0, 0]
    assert worst == pytest.approx(math.sqrt(2 * math.log(2 * m) * (sigma**2 + 1 / n)), rel=0.2)


def test_queries_at_inverts_a_power_law(method):
    ms = np.array([11, 21, 41, 81])
    assert method["queries_at"](0.2, ms, 0.03 * ms**0.5) == pytest.approx((0.2 / 0.03) ** 2)


@pytest.mark.parametrize("errors", [[0.1, -0.01], [0.0, 0.2], [0.1, math.nan]])
def test_queries_at_knows_no_answer_where_the_error_is_not_positive(method, errors):
    assert math.isnan(method["queries_at"](0.2, [3, 5], errors))
    assert math.isnan(method["queries_at"](0.2, [3], [0.2]))


def one_by_one(queries, exact, h, T, eta):
    """Multiplicative weights without noise, one query after the other."""
    answers = []
    for q, e in zip(queries, exact, strict=True):
        guess = q @ h
        if abs(e - guess) > T:
            answers.append(e)
            h = h * np.exp((1 if e > guess else -1) * eta * q)
            h = h / h.sum()
        else:
            answers.append(guess)
    return np.array(answers), h


@pytest.mark.parametrize("T", [0.01, 0.1, 0.3, 5.0])
def test_multiplicative_weights_without_noise(method, T):
    rng = seeds.rng(2, "weights")
    law = rng.dirichlet(np.ones(24) / 4)
    queries = method["coins"](rng, 300, 24).astype(float)
    uniform = np.full(24, 1 / 24)
    answers, h = method["multiplicative_weights"](queries, queries @ law, uniform, T, 0.1, 0.0, rng)
    expected, expected_h = one_by_one(queries, queries @ law, uniform, T, 0.1)
    np.testing.assert_allclose(answers, expected, atol=1e-12)
    np.testing.assert_allclose(h, expected_h, atol=1e-12)
    assert abs(answers - queries @ law).max() <= T  # no answer is worse than the threshold
    if T == 0.01:  # it learns: the law is nearer than the uniform one
        assert abs(h - law).sum() < 0.5 * abs(uniform - law).sum()
    if T == 5.0:
        np.testing.assert_array_equal(h, uniform)


def test_thresholdout_speaks_of_the_holdout_only_beyond_the_threshold(method):
    train = np.array([0.1, 0.2, 0.3])
    holdout = np.array([0.15, 0.5, -0.3])
    told = method["thresholdout"](train, holdout, 0.1, 0.0, seeds.rng(0, "quiet"))
    np.testing.assert_array_equal(told, [0.1, 0.5, -0.3])


def test_thresholdout_noise(method):
    """Far beyond the threshold the answer is the holdout's with noise; on it, half are told."""
    n = 20_000
    far = method["thresholdout"](np.zeros(n), np.ones(n), 0.2, 0.05, seeds.rng(0, "far"))
    assert far.mean() == pytest.approx(1, abs=0.002) and far.std() == pytest.approx(0.05, rel=0.03)
    edge = method["thresholdout"](np.zeros(n), np.full(n, 0.2), 0.2, 0.05, seeds.rng(0, "edge"))
    assert (edge == 0).mean() == pytest.approx(0.5, abs=0.02)
