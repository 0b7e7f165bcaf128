"""Estimates with 95 % intervals, thin over SciPy.

Every function returns an `Estimate` of five numbers, which `Ledger.measure` takes as it is.
Too little data give NaN, never an invented number: the claim is then inconclusive.  A p value is
computed only where a test is asked for.

>>> proportion(45, 60)
Estimate(estimate=0.75, low=0.628, high=0.842, n=60, p=None)
>>> mean([1.1, 0.9, 1.2, 1.0, 0.8], null=0)
Estimate(estimate=1, low=0.804, high=1.2, n=5, p=0.000145)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Alternative = Literal["two-sided", "greater", "less"]


class Estimate(NamedTuple):
    """A number with its interval.

    Attributes
    ----------
    estimate, low, high : float
        Point estimate and 95 % interval; NaN where the data do not give one.
    n : int
        Number of units: of what was resampled or counted.
    p : float or None
        p value, where a test was asked for.
    """

    estimate: float
    low: float
    high: float
    n: int
    p: float | None = None

    def __repr__(self) -> str:
        p = None if self.p is None else f"{self.p:.3g}"
        numbers = f"estimate={self.estimate:.3g}, low={self.low:.3g}, high={self.high:.3g}"
        return f"Estimate({numbers}, n={self.n}, p={p})"


def proportion(
    k: float,
    n: float,
    *,
    level: float = 0.95,
    method: Literal["wilson", "beta"] = "wilson",
    null: float | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate a share from a count.

    Parameters
    ----------
    k, n : int
        Successes and trials, 0 <= k <= n.
    level : float
        Coverage of the interval.
    method : {"wilson", "beta"}
        Wilson's score interval, or the exact one of Clopper and Pearson, which covers at least
        `level` and so is wider.
    null : float, optional
        Share to test against (exact binomial test).
    alternative : {"two-sided", "greater", "less"}
        Side of that test.

    Examples
    --------
    >>> proportion(0, 3000, method="beta")
    Estimate(estimate=0, low=0, high=0.00123, n=3000, p=None)
    >>> proportion(0, 0)
    Estimate(estimate=nan, low=nan, high=nan, n=0, p=None)
    """
    from scipy.stats import binomtest

    _one_of("method", method, ("wilson", "beta"))
    k, n = int(k), int(n)
    if not 0 <= k <= n:
        raise ValueError(f"proportion({k}, {n}): need 0 <= k <= n")
    if n == 0:
        return _nothing(0)
    kind = "wilson" if method == "wilson" else "exact"
    low, high = binomtest(k, n).proportion_ci(level, kind)
    low = 0.0 if k == 0 else float(low)  # Wilson gives 4e-19 here
    high = 1.0 if k == n else float(high)
    p = None if null is None else float(binomtest(k, n, null, alternative).pvalue)
    return Estimate(k / n, low, high, n, p)


def proportion_difference(
    k1: float,
    n1: float,
    k2: float,
    n2: float,
    *,
    level: float = 0.95,
    test: Literal["fisher"] | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the difference of two independent shares, k1 / n1 - k2 / n2.

    The interval is Newcombe's hybrid score interval (1998, method 10), which joins the two Wilson
    intervals.  The unit count is n1 + n2; ``test="fisher"`` adds the p of Fisher's exact test.

    Examples
    --------
    >>> proportion_difference(45, 60, 20, 60, test="fisher")
    Estimate(estimate=0.417, low=0.241, high=0.557, n=120, p=8.26e-06)
    """
    from scipy.stats import fisher_exact

    k1, n1, k2, n2 = (int(v) for v in (k1, n1, k2, n2))
    if not (0 <= k1 <= n1 and 0 <= k2 <= n2):
        raise ValueError(f"proportion_difference({k1}, {n1}, {k2}, {n2}): need 0 <= k <= n")
    if n1 == 0 or n2 == 0:
        return _nothing(n1 + n2)
    one, two = proportion(k1, n1, level=level), proportion(k2, n2, level=level)
    gap = one.estimate - two.estimate
    low = gap - math.hypot(one.estimate - one.low, two.high - two.estimate)
    high = gap + math.hypot(one.high - one.estimate, two.estimate - two.low)
    p = None
    if test is not None:
        _one_of("test", test, ("fisher",))
        p = float(fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative).pvalue)
    return Estimate(gap, low, high, n1 + n2, p)


def mean(
    x: ArrayLike,
    *,
    level: float = 0.95,
    null: float | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate a mean with Student's interval; `null` asks for the t test against that value.

    One value gives an estimate without an interval.

    Parameters
    ----------
    x : array_like, shape (n,)
        One value a unit.
    """
    x = _vector("x", x)
    n = len(x)
    if n < 2:
        return Estimate(float(x[0]) if n else math.nan, math.nan, math.nan, n)
    return _student(float(x.mean()), _sem(x), n - 1, n, level, null, alternative)


def paired(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    test: Literal["t", "wilcoxon", "mcnemar"] | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the mean of x - y over units measured twice, with Student's interval.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        The same unit at the same place.
    test : {"t", "wilcoxon", "mcnemar"}, optional
        Test of no difference: paired t, Wilcoxon's signed ranks, or McNemar's exact test, which
        takes 0/1 or boolean values only.
    alternative : {"two-sided", "greater", "less"}
        "greater" means x above y.

    Examples
    --------
    >>> paired([3.1, 2.9, 3.6, 3.3], [2.6, 2.5, 2.8, 2.9], test="t", alternative="greater")
    Estimate(estimate=0.525, low=0.224, high=0.826, n=4, p=0.00578)
    """
    from scipy.stats import binomtest, wilcoxon

    x, y = _same_length(x, y)
    d = x - y
    e = mean(d, level=level, null=0.0 if test == "t" else None, alternative=alternative)
    if test is None or len(d) == 0 or not np.isfinite(d).all():
        return e
    _one_of("test", test, ("t", "wilcoxon", "mcnemar"))
    if test == "mcnemar":
        if not (np.isin(x, (0, 1)).all() and np.isin(y, (0, 1)).all()):
            raise ValueError("paired(test='mcnemar') takes 0/1 values only; use 't' or 'wilcoxon'")
        wins, losses = int((d > 0).sum()), int((d < 0).sum())
        p = binomtest(wins, wins + losses, 0.5, alternative).pvalue if wins + losses else 1.0
        return e._replace(p=float(p))
    if test == "wilcoxon":
        p = wilcoxon(d, alternative=alternative).pvalue if d.any() else 1.0
        return e._replace(p=float(p))
    return e


def difference(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    test: Literal["t", "mannwhitney"] | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate mean(x) - mean(y) of two independent samples, with Welch's interval.

    Parameters
    ----------
    x, y : array_like, shapes (n,), (m,)
        One value a unit.  The unit count is n + m.
    test : {"t", "mannwhitney"}, optional
        Welch's t test of equal means, or the Mann-Whitney test.

    Examples
    --------
    >>> difference([3.1, 2.9, 3.6, 3.3], [2.6, 2.5, 2.8, 2.9], test="t")
    Estimate(estimate=0.525, low=0.0743, high=0.976, n=8, p=0.0303)
    """
    from scipy.stats import mannwhitneyu

    x, y = _vector("x", x), _vector("y", y)
    n = len(x) + len(y)
    if len(x) == 0 or len(y) == 0:
        return _nothing(n)
    estimate = float(x.mean() - y.mean())
    if len(x) < 2 or len(y) < 2:
        return Estimate(estimate, math.nan, math.nan, n)
    sx, sy = _sem(x), _sem(y)
    se = math.hypot(sx, sy)
    df = se**4 / (sx**4 / (len(x) - 1) + sy**4 / (len(y) - 1)) if se > 0 else n - 2.0
    e = _student(estimate, se, df, n, level, 0.0 if test == "t" else None, alternative)
    if test in (None, "t"):
        return e
    _one_of("test", test, ("t", "mannwhitney"))
    return e._replace(p=float(mannwhitneyu(x, y, alternative=alternative).pvalue))


def clustered(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    level: float = 0.95,
    null: float | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate a mean whose unit is the group: Student's interval over the group means.

    Parameters
    ----------
    values, groups : array_like, shape (n_items,)
        Items of one group (a document, a seed) are not independent of one another.

    Examples
    --------
    >>> clustered([1, 1, 1, 0, 0, 1], ["a", "a", "b", "b", "c", "c"])
    Estimate(estimate=0.667, low=-0.0504, high=1.38, n=3, p=None)
    """
    import pandas as pd

    values, groups = _vector("values", values), np.asarray(groups)
    if len(values) != len(groups):
        raise ValueError(f"clustered: {len(values)} values, {len(groups)} groups; need as many")
    means = pd.Series(values).groupby(groups).mean().to_numpy()
    return mean(means, level=level, null=null, alternative=alternative)


def bootstrap(
    x: ArrayLike,
    statistic: Callable[[np.ndarray], float],
    rng: np.random.Generator,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Estimate any statistic with a percentile interval over resampled units.

    Parameters
    ----------
    x : array_like, shape (n, ...)
        One row a unit; rows are drawn with replacement.
    statistic : callable
        Takes rows like `x`, returns a number.
    rng : numpy.random.Generator
        ``seeds.rng(seed, "what is resampled")``.
    n_boot : int
        Number of resamples.

    Returns
    -------
    Estimate
        NaN interval for fewer than two rows or where a resample gave NaN.  The interval is
        widened to contain the estimate where the statistic is biased under resampling.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bootstrap(rng.normal(size=50), np.median, rng)
    Estimate(estimate=0.0995, low=-0.209, high=0.358, n=50, p=None)
    """
    x = np.asarray(x)
    n = len(x)
    if n == 0:
        return _nothing(0)
    estimate = float(statistic(x))
    if n < 2:
        return Estimate(estimate, math.nan, math.nan, n)
    draws = np.array([statistic(x[rng.integers(0, n, n)]) for _ in range(n_boot)], dtype=float)
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Estimate(
        estimate, float(np.minimum(low, estimate)), float(np.maximum(high, estimate)), n
    )


def permutation(
    x: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    *,
    pairs: bool = False,
    n_perm: int = 4999,
    level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Mean difference with the p of a permutation test.

    Parameters
    ----------
    x, y : array_like, shapes (n,), (m,)
        Two samples; with ``pairs=True`` the same units twice.
    rng : numpy.random.Generator
        Draws the permutations; all are enumerated where there are at most `n_perm`.
    pairs : bool
        Flip signs within pairs instead of exchanging units between samples.

    Returns
    -------
    Estimate
        Interval as of `difference` or `paired`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> permutation([3.1, 2.9, 3.6, 3.3], [2.6, 2.5, 2.8, 2.9], rng)
    Estimate(estimate=0.525, low=0.0743, high=0.976, n=8, p=0.0571)
    """
    from scipy.stats import permutation_test

    e = paired(x, y, level=level) if pairs else difference(x, y, level=level)
    x, y = _vector("x", x), _vector("y", y)
    if len(x) < 2 or len(y) < 2:
        return e
    test = permutation_test(
        (x, y),
        lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        permutation_type="samples" if pairs else "independent",
        n_resamples=n_perm,
        alternative=alternative,
        vectorized=True,
        rng=rng,
    )
    return e._replace(p=float(test.pvalue))


def monte_carlo_p(
    observed: ArrayLike, draws: ArrayLike, *, alternative: Literal["greater", "less"] = "greater"
) -> float | np.ndarray:
    """p of an observed value among draws from its null, (1 + number as extreme) / (1 + draws).

    The null must have gone through everything that the observed value went through, a search for
    the best of many units included: then p is valid at any number of draws (Phipson and Smyth
    2010). Ties count against the finding, and p never falls below 1 / (1 + draws).

    Parameters
    ----------
    observed : float or array_like, (...)
    draws : array_like, (draws, ...)
        One draw a row; beyond the first axis it broadcasts against `observed`, so that many
        values are each compared with their own draws.

    Returns
    -------
    float, or numpy.ndarray of the shape that broadcasting gives
        NaN where there is no draw, or a number is not finite.

    Examples
    --------
    >>> monte_carlo_p(3.0, np.arange(99) / 33)
    0.01
    >>> monte_carlo_p([3.0, 0.5], [[1.0, 1.0], [2.0, 0.0], [1.0, 1.0]])
    array([0.25, 0.75])
    """
    observed, draws = np.asarray(observed, dtype=float), np.asarray(draws, dtype=float)
    if draws.ndim == 0:
        raise ValueError("draws must have shape (draws, ...), one draw a row; got one number")
    _one_of("alternative", alternative, ("greater", "less"))
    extreme = draws >= observed if alternative == "greater" else draws <= observed
    valid = np.isfinite(draws).all(0) & np.isfinite(observed) & (len(draws) > 0)
    p = np.where(valid, (1 + extreme.sum(0)) / (1 + len(draws)), math.nan)
    return p if p.ndim else float(p)


def slope(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    null: float | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the least-squares slope of y on x, with the interval of its t statistic.

    Residuals must be independent: points of one seed are not, so fit one slope a seed and take
    their `mean`.

    Examples
    --------
    >>> slope([0, 1, 2, 3], [0.1, 0.9, 2.1, 2.9], null=0)
    Estimate(estimate=0.96, low=0.717, high=1.2, n=4, p=0.00345)
    """
    from scipy.stats import linregress

    x, y = _same_length(x, y)
    n = len(x)
    if n < 2 or np.ptp(x) == 0:
        return _nothing(n)
    fit = linregress(x, y)
    if n < 3:
        return Estimate(float(fit.slope), math.nan, math.nan, n)
    return _student(float(fit.slope), float(fit.stderr), n - 2, n, level, null, alternative)


def spearman(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    test: Literal["t"] | None = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    r"""Estimate the rank correlation.

    The interval is Fisher's with the variance of Bonett and Wright (2000),
    :math:`\tanh(\operatorname{artanh} r \pm z \sqrt{(1 + r^2 / 2) / (n - 3)})`; it is NaN for
    fewer than four pairs.  ``test="t"`` adds SciPy's p of no association.

    Examples
    --------
    >>> spearman([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    Estimate(estimate=0.829, low=-0.127, high=0.986, n=6, p=None)
    """
    from scipy.stats import norm, spearmanr

    x, y = _same_length(x, y)
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _nothing(n)
    result = spearmanr(x, y, alternative=alternative)
    r = float(result.statistic)
    p = None
    if test is not None:
        _one_of("test", test, ("t",))
        p = float(result.pvalue)
    if n < 4:
        return Estimate(r, math.nan, math.nan, n, p)
    if abs(r) >= 1 - 1e-12:  # Fisher's transform is infinite: the interval shrinks to the point
        return Estimate(r, r, r, n, p)
    half = norm.isf((1 - level) / 2) * math.sqrt((1 + r**2 / 2) / (n - 3))
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n, p)


def _student(
    estimate: float,
    se: float,
    df: float,
    n: int,
    level: float,
    null: float | None,
    alternative: Alternative,
) -> Estimate:
    """Interval, and p against `null`, of an estimate with standard error `se`."""
    from scipy.stats import t

    _one_of("alternative", alternative, ("two-sided", "greater", "less"))
    half = float(t.isf((1 - level) / 2, df)) * se
    p = None
    if null is not None:
        gap = estimate - null
        if abs(gap) <= 1e-12 * max(1.0, abs(null)):  # rounding decides nothing
            gap = 0.0
        z = gap / se if se != 0 else math.copysign(math.inf, gap) if gap else 0.0
        upper, lower = float(t.sf(z, df)), float(t.cdf(z, df))
        tails = {"greater": upper, "less": lower, "two-sided": 2 * min(upper, lower)}
        p = tails[alternative]
    return Estimate(estimate, estimate - half, estimate + half, n, p)


def _sem(x: np.ndarray) -> float:
    """Return the standard error of a mean; exactly 0 for equal values, whatever the rounding."""
    return 0.0 if np.ptp(x) == 0 else float(x.std(ddof=1)) / math.sqrt(len(x))


def _nothing(n: int) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, n)


def _vector(name: str, x: ArrayLike) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    if x.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), one value a unit; got shape {x.shape}")
    return x


def _same_length(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = _vector("x", x), _vector("y", y)
    if len(x) != len(y):
        raise ValueError(f"x and y must pair up: got {len(x)} and {len(y)} values")
    return x, y


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: allowed are {', '.join(map(repr, allowed))}")
