"""Estimates agree with SciPy and statsmodels, cover what they promise, and never invent numbers."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats as ss
from hypothesis import given, settings
from hypothesis import strategies as st
from seedbook import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

VALUES = st.lists(st.floats(-100, 100).map(lambda v: round(v, 3)), min_size=3, max_size=15)
COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SIDES = st.sampled_from(["two-sided", "greater", "less"])


@given(COUNTS, st.sampled_from(["wilson", "beta"]))
def test_proportion_against_statsmodels(count, method):
    k, n = count
    e = stats.proportion(k, n, method=method)
    assert (e.low, e.high) == pytest.approx(proportion_confint(k, n, method=method), abs=1e-12)
    assert 0 <= e.low <= e.estimate <= e.high <= 1
    assert e.n == n and e.p is None
    assert (e.low == 0) == (k == 0) and (e.high == 1) == (k == n)


@given(COUNTS, st.floats(0.01, 0.99), SIDES)
def test_binomial_p(count, null, side):
    k, n = count
    p = stats.proportion(k, n, null=null, alternative=side).p
    assert p == ss.binomtest(k, n, null, side).pvalue


def test_exact_interval_covers():
    """Clopper and Pearson: at least 95 % for every share, by enumeration."""
    n = 30
    es = [stats.proportion(k, n, method="beta") for k in range(n + 1)]
    for share in np.linspace(0.01, 0.99, 25):
        pmf = ss.binom.pmf(range(n + 1), n, share)
        assert sum(q for q, e in zip(pmf, es, strict=True) if e.low <= share <= e.high) >= 0.95


@given(VALUES, st.floats(-5, 5), SIDES)
def test_mean_against_scipy(x, null, side):
    e = stats.mean(x, null=null, alternative=side)
    if np.ptp(x) == 0:
        assert e.low == e.estimate == e.high
        assert e.p in (0, 0.5, 1)
        return
    test = ss.ttest_1samp(x, null, alternative=side)
    assert e.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
    two_sided = ss.ttest_1samp(x, 0).confidence_interval()
    assert (e.low, e.high) == pytest.approx((two_sided.low, two_sided.high), rel=1e-6, abs=1e-9)


def test_equal_values_give_the_limit_of_the_t_test():
    assert stats.mean([2.0] * 5, null=0).p == 0
    assert stats.mean([0.1] * 3, null=0.1).p == 1
    assert stats.mean([2.0] * 5, null=3, alternative="greater").p == 1


@given(VALUES, st.data(), SIDES)
def test_paired_against_scipy(x, data, side):
    y = data.draw(st.lists(st.floats(-9, 9), min_size=len(x), max_size=len(x)))
    d = np.subtract(x, y)
    if np.ptp(d) < 1e-9 or (d == 0).any() or len(set(abs(d))) < len(d):
        return
    t = stats.paired(x, y, test="t", alternative=side)
    assert t.p == pytest.approx(ss.ttest_rel(x, y, alternative=side).pvalue, rel=1e-6, abs=1e-12)
    w = stats.paired(x, y, test="wilcoxon", alternative=side)
    assert w.p == pytest.approx(ss.wilcoxon(d, alternative=side).pvalue)
    assert stats.paired(x, y) == stats.mean(d) == t._replace(p=None) == w._replace(p=None)


def test_mcnemar():
    x, y = np.r_[np.ones(12), np.zeros(30)], np.r_[np.ones(2), np.zeros(37), np.ones(3)]
    e = stats.paired(x, y, test="mcnemar")
    assert e.p == ss.binomtest(10, 13).pvalue
    assert e.estimate == pytest.approx(7 / 42)
    assert stats.paired([0, 1], [0, 1], test="mcnemar").p == 1
    with pytest.raises(ValueError, match="0/1 values only"):
        stats.paired([0.5, 1], [0, 1], test="mcnemar")


@given(VALUES, VALUES, SIDES)
def test_difference_against_scipy(x, y, side):
    if np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return
    e = stats.difference(x, y, test="t", alternative=side)
    test = ss.ttest_ind(x, y, equal_var=False, alternative=side)
    assert e.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
    both = ss.ttest_ind(x, y, equal_var=False).confidence_interval()
    assert (e.low, e.high) == pytest.approx((both.low, both.high), rel=1e-6, abs=1e-9)
    u = stats.difference(x, y, test="mannwhitney", alternative=side)
    assert u.p == ss.mannwhitneyu(x, y, alternative=side).pvalue


def test_difference_of_proportions_against_statsmodels():
    e = stats.proportion_difference(45, 60, 20, 60, test="fisher")
    assert e.p == ss.fisher_exact([[45, 15], [20, 40]]).pvalue
    assert e.estimate == pytest.approx(25 / 60)
    for k1, n1, k2, n2 in ((45, 60, 20, 60), (0, 8, 3, 9), (500, 500, 0, 7)):
        e = stats.proportion_difference(k1, n1, k2, n2)
        theirs = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb")
        assert (e.low, e.high) == pytest.approx(theirs, abs=1e-12)
        assert e.p is None


def test_clusters_are_the_units():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 50)
    values = rng.normal(size=6)[groups] + 0.01 * rng.normal(size=300)
    e = stats.clustered(values, groups)
    assert e.n == 6
    assert e.high - e.low > 3 * (stats.mean(values).high - stats.mean(values).low)
    assert stats.clustered(values, groups.astype(str)) == e


@given(VALUES, st.data())
def test_slope_against_scipy(x, data):
    y = data.draw(st.lists(st.floats(-9, 9), min_size=len(x), max_size=len(x)))
    if np.ptp(x) < 1e-3:
        return
    e, fit = stats.slope(x, y, null=0), ss.linregress(x, y)
    assert e.estimate == fit.slope
    if fit.stderr > 1e-9:
        assert e.p == pytest.approx(fit.pvalue, rel=1e-6, abs=1e-12)
        half = ss.t.ppf(0.975, len(x) - 2) * fit.stderr
        assert e.high - e.low == pytest.approx(2 * half)


def test_spearman_against_scipy_and_its_coverage():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40))
    e = stats.spearman(x, x + y, test="t")
    assert e.estimate == ss.spearmanr(x, x + y).statistic
    assert e.p == ss.spearmanr(x, x + y).pvalue
    rho = 6 / math.pi * math.asin(0.6 / 2)  # of a normal pair with correlation 0.6
    hits = 0
    for _ in range(400):
        u, v = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=60).T
        e = stats.spearman(u, v)
        hits += e.low <= rho <= e.high
    assert 0.92 <= hits / 400 <= 0.98
    perfect = stats.spearman([1, 2, 3, 4], [1, 4, 9, 16])
    assert perfect.low == perfect.estimate == perfect.high == pytest.approx(1)


def test_bootstrap_covers():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(150):
        e = stats.bootstrap(rng.exponential(size=60), np.median, rng, n_boot=300)
        hits += e.low <= math.log(2) <= e.high
    assert 0.88 <= hits / 150 <= 0.99


def test_bootstrap_resamples_rows_and_holds_the_estimate():
    rng = np.random.default_rng(3)
    pairs = rng.normal(size=(50, 2)) @ np.array([[1, 0.8], [0, 0.6]])
    e = stats.bootstrap(pairs, lambda r: np.corrcoef(r.T)[0, 1], rng, n_boot=200)
    assert e.low < e.estimate < e.high and e.n == 50
    top = stats.bootstrap(pairs[:, 0], np.max, rng, n_boot=200)
    assert top.estimate <= top.high
    same = [
        stats.bootstrap(pairs[:, 0], np.mean, np.random.default_rng(0), n_boot=50) for _ in "ab"
    ]
    assert same[0] == same[1]


def test_permutation_is_exact_and_level_holds():
    rng = np.random.default_rng(4)
    assert stats.permutation([3, 4, 5], [0, 1, 2], rng).p == pytest.approx(2 / 20)
    signs = stats.permutation([1, 2, 3, 4], [0, 0, 0, 0], rng, pairs=True)
    assert signs.p == pytest.approx(2 / 16)
    assert signs.estimate == 2.5
    ps = [stats.permutation(*rng.normal(size=(2, 6)), rng, n_perm=199).p for _ in range(200)]
    assert np.mean(np.array(ps) <= 0.1) < 0.17


def test_monte_carlo_p():
    assert stats.monte_carlo_p(5, np.zeros(99)) == 0.01
    assert stats.monte_carlo_p(0, np.zeros(99)) == 1
    assert stats.monte_carlo_p(-1, np.zeros(99), alternative="less") == 0.01
    assert math.isnan(stats.monte_carlo_p(math.nan, np.zeros(9)))
    assert math.isnan(stats.monte_carlo_p(1, []))
    assert stats.monte_carlo_p(2, [2.0, 1.0, 2.0]) == 0.75  # ties count against the finding
    with pytest.raises(ValueError, match="one draw a row"):
        stats.monte_carlo_p(1, 2)


def test_monte_carlo_p_is_uniform_when_all_are_alike():
    for order in itertools.permutations(range(5)):
        assert stats.monte_carlo_p(order[0], order[1:]) == (5 - order[0]) / 5


def test_monte_carlo_p_compares_each_value_with_its_own_draws():
    rng = np.random.default_rng(3)
    value, draws = rng.normal(size=(4, 5)), rng.normal(size=(19, 5))
    draws[3, 2] = math.nan
    p = stats.monte_carlo_p(value, draws[:, None])
    assert p.shape == (4, 5)
    for i, j in np.ndindex(4, 5):
        np.testing.assert_equal(p[i, j], stats.monte_carlo_p(value[i, j], draws[:, j]))
    assert np.isnan(p[:, 2]).all() and np.isfinite(p[:, [0, 1, 3, 4]]).all()


def test_monte_carlo_p_is_valid_when_the_null_repeats_the_search():
    """The best of 50 units against the best of 50 of each null: an error in twenty, no more."""
    scores = np.random.default_rng(4).normal(size=(20, 4000, 50)).max(2)
    p = stats.monte_carlo_p(scores[0], scores[1:])
    assert abs((p <= 0.05).mean() - 0.05) < 0.015
    one_unit = np.random.default_rng(5).normal(size=(19, 4000))  # the search is not repeated
    assert (stats.monte_carlo_p(scores[0], one_unit) <= 0.05).mean() > 0.4


@settings(max_examples=20)
@given(st.sampled_from([0, 1]))
def test_too_little_data_give_nan_and_never_a_bar(n):
    x, rng = np.ones(n), np.random.default_rng(0)
    for e in (
        stats.mean(x, null=0),
        stats.paired(x, x),
        stats.paired(x, x, test="t"),
        stats.difference(x, x, test="t"),
        stats.clustered(x, x),
        stats.bootstrap(x, np.mean, rng),
        stats.permutation(x, x, rng),
        stats.slope(x, x, null=0),
        stats.spearman(x, x, test="t"),
    ):
        assert math.isnan(e.low) and math.isnan(e.high)
        assert e.p is None
        if n == 0:
            assert math.isnan(e.estimate) and e.n == 0
    assert math.isnan(stats.proportion(0, 0).estimate)
    assert math.isnan(stats.proportion_difference(0, 0, 1, 2).estimate)


def test_nan_in_the_data_stays_nan():
    x = [1.0, math.nan, 2.0]
    for e in (stats.mean(x, null=0), stats.paired(x, [0, 0, 0], test="wilcoxon")):
        assert math.isnan(e.estimate) and math.isnan(e.low) and e.n == 3
        assert e.p is None or math.isnan(e.p)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.proportion(3, 2), "need 0 <= k <= n"),
        (lambda: stats.proportion(1, 2, method="wald"), "'beta'"),
        (lambda: stats.paired([1, 2], [1]), "must pair up: got 2 and 1"),
        (lambda: stats.mean([[1, 2]]), r"shape \(n,\)"),
        (lambda: stats.paired([1, 2], [2, 4], test="z"), "'wilcoxon'"),
        (lambda: stats.difference([1, 2], [2, 4], test="z"), "'mannwhitney'"),
        (lambda: stats.mean([1, 2, 4], null=0, alternative="up"), "'two-sided'"),
        (lambda: stats.clustered([1, 2], [1]), "2 values, 1 groups"),
    ],
)
def test_errors_say_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
