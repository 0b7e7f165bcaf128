"""The functions of the chapter on bandlimited random weights, against closed forms."""

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from seedbook import seeds
from seedbook.press import catalog, chapter

slug = "bandlimited_random_weights"


@pytest.fixture(scope="module")
def names():
    return chapter.definitions(slug, cells=("world", "spectra", "edge", "limit"))


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("shape", ["tanh", "cos", "relu"])
def test_weights_stay_in_their_range_and_ridges_on_the_domain(names, shape):
    a, b = names["draw_weights"](shape, 5.0, 20_000, seeds.rng(0, shape))
    assert abs(a).max() <= 5 and a.std() == pytest.approx(5 / 3**0.5, rel=0.02)
    if shape == "cos":
        assert abs(b).max() <= np.pi and b.std() == pytest.approx(np.pi / 3**0.5, rel=0.02)
    else:
        assert (abs(b) <= abs(a)).all()  # the ridge a x = b lies within [-1, 1]


def test_ridge_is_that_of_scikit_learn_and_gives_the_objective(names):
    from sklearn.linear_model import Ridge

    rng = seeds.rng(1, "ridge")
    x, y, alpha = np.linspace(-1, 1, 30), rng.standard_normal(30), 1e-3
    h = names["features"]("tanh", x, *names["draw_weights"]("tanh", 3.0, 12, rng))
    c = names["ridge"](h, y, alpha)
    assert_allclose(c, Ridge(alpha * 30, fit_intercept=False, solver="svd").fit(h, y).coef_)
    least, v = names["objective"](h @ h.T, y, alpha)
    assert least == pytest.approx(((h @ c - y) ** 2).mean() + alpha * c @ c)
    assert_allclose(alpha * 30 * v, y - h @ c, atol=1e-12)  # v is the scaled residual


@pytest.mark.parametrize("law", ["uniform", "cauchy"])
def test_gram_matrices_tend_to_the_closed_form(names, law):
    x, z = np.linspace(-1, 1, 7), np.linspace(-0.9, 0.8, 5)
    a, b = names["draw_weights"]("cos", 4.0, 400_000, seeds.rng(2, law), law)
    h, g = (names["features"]("cos", at, a, b) for at in (x, z))
    assert_allclose(h @ g.T, names["kernel"](x, z, 4.0, law), atol=0.006)


def test_relu_knows_its_range_only_through_the_price(names):
    """Range L at price alpha is range 1 at alpha / L^2; without the constant, exactly."""
    rng = seeds.rng(3, "relu")
    x, y = np.linspace(-1, 1, 40), rng.standard_normal(40)
    a, b = names["draw_weights"]("relu", 1.0, 25, rng)
    one, wide = (names["features"]("relu", x, r * a, r * b)[:, :-1] for r in (1, 16))
    fits = one @ names["ridge"](one, y, 1e-3 / 256), wide @ names["ridge"](wide, y, 1e-3)
    assert_allclose(*fits)


def test_mean_objective_lies_above_the_closed_form_by_c_over_n(names):
    """Brute force: 4000 small nets against (3) and (4), away from a singular price."""
    x, alpha, n = np.linspace(-1, 1, 25), 0.1, 60
    y = np.sin(7 * x)
    floor, _ = names["objective"](names["kernel"](x, x, 5.0), y, alpha)
    c = names["constant"](x, y, 5.0, alpha)
    found = []
    for i in range(4000):
        net = names["draw_weights"]("cos", 5.0, n, seeds.rng(4, f"net {i}"))
        h = names["features"]("cos", x, *net)
        found.append(names["objective"](h @ h.T, y, alpha)[0] - floor)
    assert np.mean(found) > 0
    assert n * np.mean(found) == pytest.approx(c, rel=0.2)


def test_packet_tail_is_the_integral_of_the_spectrum(names):
    s, w, phase = 0.2, 11.0, 0.7
    x = np.linspace(-6, 6, 2**15, endpoint=False)
    f = np.exp(-((x / s) ** 2) / 2) * np.cos(w * x + phase)
    frequency = 2 * np.pi * np.fft.rfftfreq(len(x), x[1] - x[0])
    power = abs(np.fft.rfft(f)) ** 2
    middles = (frequency[:-1] + frequency[1:]) / 2
    for reach in middles[np.searchsorted(middles, [3, 9, 11, 15])]:
        share = np.sqrt(power[frequency > reach].sum() / power.sum())
        assert names["packet_tail"](s, w, phase, reach) == pytest.approx(share, rel=2e-2)
    assert names["packet_tail"](s, w, phase, 0.0) == pytest.approx(1)


def test_spectral_tail_of_a_sine_is_a_step_at_its_frequency(names):
    x = np.linspace(-1, 1, 4096)
    f = np.stack([np.sin(np.pi * 8 * x), np.sin(np.pi * 16 * x)], 1)
    assert_allclose(names["spectral_tail"](f, np.pi * 4), 1, atol=1e-3)
    assert_allclose(names["spectral_tail"](f, np.pi * 12), [0, 1], atol=1e-3)
    assert_allclose(names["spectral_tail"](f, np.pi * 20), 0, atol=1e-3)


def test_rank_correlation_ignores_the_trend_that_targets_share(names):
    from scipy.stats import spearmanr

    rng = seeds.rng(5, "ranks")
    errors, tails = rng.standard_normal((2, 30, 4))
    trend = 100 * np.arange(4)
    found = names["rank_correlation"](np.hstack([errors + trend, tails + trend]))
    each = [spearmanr(errors[:, j], tails[:, j]).statistic for j in range(4)]
    assert found == pytest.approx(np.mean(each))
    assert names["rank_correlation"](np.hstack([errors, errors**3])) == pytest.approx(1)


def test_crossing_interpolates_and_says_when_there_is_none(names):
    reach = np.array([1.0, 2.0, 4.0, 8.0])
    assert names["crossing"](reach, np.array([0, -0.5, -1.5, -4]), 0.1) == pytest.approx(8**0.5)
    assert np.isnan(names["crossing"](reach, np.array([-2.0, -3, -4, -5]), 0.1))
    assert np.isnan(names["crossing"](reach, np.zeros(4), 0.1))


def test_targets_have_their_names_and_values(names):
    x = np.linspace(-1, 1, 101)
    t = names["targets"](x, ["sin1", "sin4"], np.array([[0.2, 30.0, 0.5]]))
    assert list(t) == ["sin1", "sin4", "bumps", "step", "packet0", "packet1"]
    assert t["bumps"][50] == pytest.approx(0.5 + 0.2 * np.exp(-1))
    assert t["packet1"][50] == pytest.approx(np.cos(0.5))


def test_exact_fit_finds_its_own_neuron_and_gains_from_a_lower_price(names):
    a, b = np.array([3.0, 1.0, 2.0]), np.array([-0.3, 0.4, 0.9]) + np.pi / 2
    # sin(3 x + 0.3) is the first neuron, since cos(z - pi / 2) = sin z
    assert names["exact_fit"]("cos", a, b, 3.0, 14) < -9
    net = names["draw_weights"]("cos", 4.0, 26, seeds.rng(6, "digits"))
    errors = []
    for d in (16, 60):
        with mp.workdps(d + 10):
            errors.append(names["exact_fit"]("cos", *net, 4 * np.pi, d))
    assert errors[1] < -4 and errors[1] < errors[0] - 1


def test_exact_fit_agrees_with_double_precision_at_a_high_price(names):
    n, w, d = 12, 5.0, 4
    a, b = names["draw_weights"]("tanh", 3.0, n, seeds.rng(7, "double"))
    x, z = (np.cos(np.pi * (2 * np.arange(m) + 1) / (2 * m)) for m in (n, 2 * n + 1))
    h, g = (names["features"]("tanh", t, a, b)[:, :-1] for t in (x, z))
    gap = g @ names["ridge"](h, np.sin(w * x + 0.3), 10.0**-d) - np.sin(w * z + 0.3)
    found = names["exact_fit"]("tanh", a, b, w, d)
    assert found == pytest.approx(np.log10(np.sqrt(2 * (gap**2).mean())), abs=1e-6)
