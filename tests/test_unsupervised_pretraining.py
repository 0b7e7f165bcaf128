"""The chapter on unsupervised pretraining, against closed forms and brute force."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtr
from seedbook import seeds
from seedbook.press import chapter

slug = "unsupervised_pretraining"


@pytest.fixture(scope="module")
def f():
    """What `setup`, `method`, `risks` and the mixture's cell define."""
    return SimpleNamespace(**chapter.definitions(slug, cells=["risks", "mixture"]))


def sigma(w):
    return w.b @ w.b.T + np.eye(len(w.b))


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_turned_keeps_lengths_and_makes_columns_orthogonal(f):
    b = np.array([[3.0, 0], [4, 0], [0, 2], [0, 0]])
    a = f.turned(seeds.rng(0, "turned"), b)
    np.testing.assert_allclose(a.T @ a, np.diag([25.0, 4]), atol=1e-12)
    assert not np.allclose(a, b)


@pytest.mark.parametrize("outside", [0.0, 0.3, 1.0])
def test_the_best_weights_and_the_rest_of_the_variance(f, outside):
    """w = Cov(x)^-1 Cov(x, y), and tau2 = Var(y) - w' Cov(x) w, with Cov(x, y) = b beta + g."""
    w = f.world(seeds.rng(1, "world"), 12, 3, 2.0, outside, 0.4)
    np.testing.assert_allclose((w.b**2).sum(0), [2, 3, 4])
    np.testing.assert_allclose(w.g @ w.b, 0, atol=1e-12)
    assert w.beta @ w.beta == pytest.approx(1 - outside)
    assert w.g @ w.g == pytest.approx(outside)
    with_y = w.b @ w.beta + w.g
    np.testing.assert_allclose(sigma(w) @ w.w, with_y, atol=1e-12)
    assert w.tau2 == pytest.approx(1 + 0.4**2 - w.w @ with_y)


def test_points_follow_their_world(f):
    w = f.world(seeds.rng(2, "world"), 5, 2, 1.0, 0.3, 0.5)
    x, y = f.draw(seeds.rng(2, "draw"), w, 400_000)
    np.testing.assert_allclose(x.T @ x / len(x), sigma(w), atol=0.03)
    rest = y - x @ w.w
    np.testing.assert_allclose(x.T @ rest / len(x), 0, atol=0.01)
    assert rest.var() == pytest.approx(w.tau2, rel=0.01)


@pytest.mark.parametrize("m", [3, 9])
def test_covariances_have_wisharts_moments(f, m):
    """m = 3 draws the points, m = 9 > d = 4 goes by Bartlett: one law."""
    w = f.world(seeds.rng(3, "world"), 4, 2, 1.0)
    rng, s = seeds.rng(3, f"wishart {m}"), sigma(w)
    drawn = np.array([f.covariance(rng, w.b, m) for _ in range(15_000)])
    np.testing.assert_allclose(drawn.mean(0), s, atol=0.08)
    variance = (s**2 + np.outer(np.diag(s), np.diag(s))) / m
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.15)


def test_ppca_maximises_the_likelihood(f):
    rng = seeds.rng(4, "ppca")
    x = rng.standard_normal((60, 6)) * [3, 2, 2, 1, 1, 1]
    s = x.T @ x / 60

    def log_likelihood(b):
        c = b @ b.T + np.eye(6)
        return -np.linalg.slogdet(c)[1] - np.trace(np.linalg.solve(c, s))

    b = f.ppca(s, 2)
    best = log_likelihood(b)
    assert all(log_likelihood(b + 0.03 * rng.standard_normal(b.shape)) < best for _ in range(200))
    assert log_likelihood(1.01 * b) < best > log_likelihood(0.99 * b)


def test_ppca_leaves_silent_directions_silent(f):
    assert np.abs(f.ppca(np.diag([0.2, 0.5, 4.0]), 2)).max(0) == pytest.approx([1e-3, 3**0.5])


def test_the_encoder_gives_expected_factors_and_rotations_change_nothing(f):
    w = f.world(seeds.rng(5, "world"), 7, 3, 2.0)
    np.testing.assert_allclose(f.encoder(w.b), np.linalg.solve(sigma(w), w.b))
    x, y = f.draw(seeds.rng(5, "draw"), w, 30)
    q = np.linalg.qr(seeds.rng(5, "q").standard_normal((3, 3)))[0]
    one, two = (p @ f.head(x @ p, y) for p in (f.encoder(w.b), f.encoder(w.b @ q)))
    np.testing.assert_allclose(one, two)


def test_heads_of_many_sets_are_those_of_numpy(f):
    rng = seeds.rng(6, "heads")
    z, y = rng.standard_normal((5, 12, 3)), rng.standard_normal((5, 12))
    expected = [np.linalg.lstsq(a, b)[0] for a, b in zip(z, y, strict=True)]
    np.testing.assert_allclose(f.head(z, y), expected)


@pytest.mark.parametrize("n", [15, 60])
def test_ridge_is_the_best_of_25_by_cross_validation(f, n):
    rng = seeds.rng(7, f"ridge {n}")
    x = rng.standard_normal((n, 30))
    y = x[:, 0] + rng.standard_normal(n)
    found = []
    for penalty in np.logspace(-2, 4, 25):
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(30), x.T @ y)
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(30), x.T)
        score = np.sum((y - x @ weights) ** 2) / (1 - np.trace(hat) / n) ** 2
        found.append((score, weights))
    np.testing.assert_allclose(f.ridge(x, y), min(found, key=lambda t: t[0])[1], atol=1e-8)


def test_excess_risk_is_a_difference_of_mean_squares(f):
    w = f.world(seeds.rng(8, "world"), 6, 2, 3.0, 0.2)
    v = w.w + 0.3
    x, y = f.draw(seeds.rng(8, "draw"), w, 400_000)
    expected = np.mean((y - x @ v) ** 2) - np.mean((y - x @ w.w) ** 2)
    assert f.excess(v, w) == pytest.approx(expected, rel=0.02)
    assert f.excess(w.w, w) == 0
    np.testing.assert_allclose(f.excess(np.stack([v, w.w]), w), [f.excess(v, w), 0])


def test_left_over_is_the_least_risk_on_an_encoder(f):
    w = f.world(seeds.rng(9, "world"), 8, 2, 3.0, 0.2)
    rng = seeds.rng(9, "encoder")
    p = rng.standard_normal((8, 3))
    root = np.linalg.cholesky(sigma(w)).T
    best = np.linalg.lstsq(root @ p, root @ w.w)[0]
    left = f.left_over(p, w)
    assert left == pytest.approx(f.excess(p @ best, w))
    others = best + 0.1 * rng.standard_normal((100, 3))
    assert (f.excess(others @ p.T, w) > left).all()
    assert f.left_over(f.encoder(w.b), w) == pytest.approx(w.g @ w.g)


def test_the_head_pays_what_equation_4_says(f):
    """E R = e + (tau2 + e) r / (n - r - 1) for any fixed encoder, also a poor one."""
    w = f.world(seeds.rng(10, "world"), 10, 3, 3.0, 0.3)
    p = f.pretrain(seeds.rng(10, "pretrain"), w.b, 30, 3)
    left, n, sets = f.left_over(p, w), 12, 20_000
    x, y = f.draw(seeds.rng(10, "draw"), w, n * sets)
    heads = f.head((x @ p).reshape(sets, n, 3), y.reshape(sets, n))
    expected = left + (w.tau2 + left) * 3 / (n - 4)
    assert left > 0.2
    assert f.excess(heads @ p.T, w).mean() == pytest.approx(expected, rel=0.03)


def test_pretraining_reaches_its_bound(f):
    rng = seeds.rng(11, "bound")
    ratios = []
    for _ in range(100):
        w = f.world(rng, 30, 3, 2.0)
        left = f.left_over(f.pretrain(rng, w.b, 20_000, 3), w)
        ratios.append(left / f.representation_bound(w, 20_000))
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)
    w = f.world(rng, 30, 3, 2.0, 0.4)
    assert f.representation_bound(w, 10**12) == pytest.approx(0.4)


@pytest.mark.parametrize(("strength", "expected"), [(0.4, 1.0), (2.0, 0.25), (4.0, 0.0625)])
def test_a_weak_factor_follows_the_squared_ratio(f, strength, expected):
    """Equation (7) at d/m = 1, in 300 dimensions; strengths in units of the threshold."""
    rng = seeds.rng(12, "law")
    shares = []
    for _ in range(10):
        w = f.world(rng, 300, 1, strength)
        left = f.left_over(f.pretrain(rng, w.b, 300, 1), w)
        shares.append(left / f.excess(0 * w.w, w))
    assert np.mean(shares) == pytest.approx(expected, rel=0.12)


def test_bayes_error_by_formula_and_by_counting(f):
    assert f.bayes_error(2, 3.0) == pytest.approx(1 - ndtr(1.5), abs=1e-9)
    rng = seeds.rng(13, "bayes")
    b = f.turned(rng, np.eye(6, 4) * 3 / 2**0.5)
    labels = rng.integers(4, size=200_000)
    guess = f.posterior(f.cloud(rng, b, labels), b.T).argmax(1)
    assert np.linalg.norm(b[:, 0] - b[:, 1]) == pytest.approx(3)
    assert (guess != labels).mean() == pytest.approx(f.bayes_error(4, 3.0), abs=0.004)


def test_posterior_is_bayes_rule(f):
    from scipy.stats import multivariate_normal

    rng = seeds.rng(14, "posterior")
    x, centres = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    density = np.stack([multivariate_normal(c).pdf(x) for c in centres], 1)
    np.testing.assert_allclose(f.posterior(x, centres), density / density.sum(1, keepdims=True))


def test_em_finds_the_centres(f):
    rng = seeds.rng(15, "em")
    b = f.turned(rng, np.eye(10, 3) * 5)
    found = f.em(f.cloud(rng, b, rng.integers(3, size=6000)), 3, rng)
    gaps = np.linalg.norm(found[:, None] - b.T[None], axis=2)
    assert sorted(gaps.argmin(1)) == [0, 1, 2]
    assert gaps.min(1).max() < 0.15


@pytest.mark.parametrize(
    ("id", "words", "changed"),
    [
        ("grid", "r = 4 needs widths above 4, labels above 5", {"d": 4}),
        ("grid", "r = 4 needs widths above 4, labels above 5", {"n_grid": [5]}),
        ("mixture", "must be at least k = 4", {"mix_n": [3]}),
    ],
)
def test_sizes_that_do_not_go_together_are_refused_in_a_sentence(id, words, changed):
    source = chapter.read(slug)
    cell = next(c for c in source.stage("experiment") if c.id == id)
    space = chapter.definitions(slug, cells=["risks", "mixture"])
    exec(source.only("parameters").source, space)
    with pytest.raises(ValueError, match=words):
        exec(cell.source, space | changed)
