"""The functions of the chapter on the chaos benchmark, against closed forms and references."""

import numpy as np
import pytest
from seedbook import seeds
from seedbook.press import chapter

slug = "chaos_benchmark"


@pytest.fixture(scope="module")
def chapter_names():
    """What the cells that define functions give, without what they run."""
    return chapter.definitions(slug, cells=["methods", "forecasts", "sparse", "intervals"])


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def orbit(f, x, dt, n):
    from scipy.integrate import odeint

    return odeint(lambda x, t: f(x), x, np.arange(n) * dt, rtol=1e-8, atol=1e-8)


def lorenz(x):
    return np.array([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])


def test_runge_kutta_is_of_fourth_order(chapter_names):
    error = [
        abs(chapter_names["runge_kutta"](lambda x: -x, 1.0, 1 / n, n) - np.exp(-1)) for n in (8, 16)
    ]
    assert error[0] < 1e-5 and error[0] / error[1] == pytest.approx(16, rel=0.15)


def test_exponent_of_a_linear_flow_is_its_largest_eigenvalue(chapter_names):
    law = np.array([[-0.3, 1.0, 0], [0, 0.2, 0.5], [0, 0, -1]])
    x = orbit(lambda x: law @ x, [1, 1, 1], 0.1, 400)
    found = chapter_names["exponent"](lambda x: law @ x, x, 0.1, np.ones(3), 200)
    assert found / 0.1 == pytest.approx(0.2, abs=1e-4)


def test_exponent_of_lorenz_is_the_published_one(chapter_names):
    x = orbit(lorenz, [-9, -15, 20], 0.02, 6000)[500:]
    found = chapter_names["exponent"](lorenz, x, 0.02, x.std(0), 100)
    assert found / 0.02 == pytest.approx(0.906, abs=0.06)


def test_flow_takes_many_states_at_once(chapter_names):
    from seedbook import data

    try:
        data.dysts()
    except data.Missing as missing:
        pytest.skip(str(missing))
    from dysts import flows

    for name in ("Lorenz", "Lorenz96", "DoubleGyre", "Hopfield"):
        one, many = chapter_names["flow"](system := getattr(flows, name)())
        states = np.outer(system.ic, [1, 1.01, 0.99])
        np.testing.assert_allclose(many(states).T, [one(x, 0) for x in states.T])
    one, _ = chapter_names["flow"](flows.Lorenz())
    np.testing.assert_allclose(one(np.array([1.0, 2, 3]), 0), [10, 23, 2 - 2.667 * 3])


def test_ridge_is_that_of_scikit_learn(chapter_names):
    from sklearn.linear_model import Ridge

    rng = seeds.rng(0, "ridge")
    x, y = rng.standard_normal((4, 30, 5)), rng.standard_normal((4, 30))
    found = chapter_names["ridge"](x, y, 0.7)
    expected = [Ridge(0.7, fit_intercept=False).fit(a, b).coef_ for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(found, expected)


def test_regression_goes_on_with_a_sine(chapter_names):
    t = np.arange(400)
    y = np.stack([np.sin(2 * np.pi * t / 20), np.sin(2 * np.pi * t / 31 + 1)])
    found = chapter_names["regress"](y[:, :300], 100, 1, 20, lambda z: z, 1e-8)
    np.testing.assert_allclose(found, y[:, 300:], atol=1e-3)


def test_cubic_has_every_monomial_once(chapter_names):
    z = np.array([2.0, 3, 5, 7, 11, 13])
    found = chapter_names["cubic"](z)
    assert len(found) == len(set(found)) == 1 + 6 + 21 + 10
    assert {1, 13, 7 * 11, 169, 8, 2 * 3 * 5, 125} <= set(found)
    assert 7**3 not in found


def test_delays_are_the_newest_ones_at_the_asked_lag(chapter_names):
    """Increments that are twice the value three steps back, learnt from lags 0 and 3."""
    y = np.zeros((1, 60))
    y[0, :4] = [0.1, -0.2, 0.05, 0.1]
    for k in range(4, 60):
        y[0, k] = y[0, k - 1] - 0.5 * y[0, k - 4]
    found = chapter_names["regress"](y[:, :40], 20, 3, 2, lambda z: z, 1e-12)
    np.testing.assert_allclose(found, np.clip(y[:, 40:], -4, 4)[:, :20], atol=1e-4)


def test_analogues_find_the_period(chapter_names):
    y = np.tile(np.random.default_rng(1).standard_normal(25), 12)[None]
    found = chapter_names["analogues"](y[:, :250], 50, 3)
    np.testing.assert_allclose(found, y[:, 250:], atol=1e-12)


def test_analogues_are_the_brute_force_ones(chapter_names):
    y, h, lag = np.random.default_rng(2).standard_normal((1, 120)), 7, 2
    z, now = y[0], y[0, -9::2]
    ends = range(8, 120 - h)
    near = sorted(ends, key=lambda e: np.sum((z[e - 8 : e + 1 : 2] - now) ** 2))[:4]
    expected = z[-1] + np.mean([z[e + 1 : e + 1 + h] - z[e] for e in near], axis=0)
    found = chapter_names["analogues"](y, h, lag)[0]
    np.testing.assert_allclose(found, np.clip(expected, -4, 4))


def test_echo_state_learns_a_sine_and_ignores_its_neighbours(chapter_names):
    t = np.arange(360)
    y = np.stack([np.sin(2 * np.pi * t / 30), np.cos(2 * np.pi * t / 30) ** 3])

    def run(y):
        return chapter_names["echo_state"](y, 30, 0.4, 30, 60, seeds.rng(3, "esn"))

    both = run(y[:, :330])
    np.testing.assert_allclose(both, y[:, 330:], atol=0.1)
    np.testing.assert_allclose(run(y[:1, :330]), both[:1], atol=1e-6)


def test_surrogate_keeps_the_spectrum_and_nothing_else(chapter_names):
    t = np.arange(100 + 20)
    y = np.sin(2 * np.pi * t / 10) + 0.5 * np.sin(2 * np.pi * t / 5 + 1)
    y += 0.01 * np.random.default_rng(4).standard_normal(120)
    found = chapter_names["surrogate"](y, 100, seeds.rng(5, "surrogate"))
    assert found.shape == (100,) and np.isrealobj(found)
    np.testing.assert_allclose(
        *(np.abs(np.fft.rfft(z))[[10, 20]] for z in (found, y[:100])), rtol=0.1
    )
    noise = np.random.default_rng(6).standard_normal(1020)
    draws = [chapter_names["surrogate"](noise, 1000, seeds.rng(k, "s")) for k in range(20)]
    assert max(abs(np.corrcoef(d, noise[:1000])[0, 1]) for d in draws) < 0.2
    assert np.mean([d.var() for d in draws]) == pytest.approx(noise[:1000].var(), rel=0.05)


@pytest.mark.parametrize(("kind", "d", "p"), [("polynomial", 3, 20), ("polynomial", 6, 28)])
def test_polynomial_library_has_every_monomial_once(chapter_names, kind, d, p):
    primes = np.array([[2.0, 3, 5, 7, 11, 13][:d]])
    found = chapter_names["library"](kind, d)(primes)[0]
    assert len(set(found)) == len(found) == p and 1 in found


def test_fourier_library(chapter_names):
    z = np.array([[0.3, 1.1]])
    expected = [1, *np.sin(z[0]), *np.cos(z[0]), *np.sin(2 * z[0]), *np.cos(2 * z[0])]
    np.testing.assert_allclose(chapter_names["library"]("fourier", 2)(z)[0], expected)


def test_sparse_fit_finds_the_lorenz_equations(chapter_names):
    x = orbit(lorenz, [-9, -15, 20], 0.02, 1000)
    terms = chapter_names["library"]("polynomial", 3)
    rate = lorenz(x.T).T + 1e-3 * np.random.default_rng(7).standard_normal(x.shape)
    w = chapter_names["sparse_fit"](terms(x), rate, 0.005)
    assert (w != 0).sum() == 7
    trial = np.array([[1.0, 2, 3]])
    np.testing.assert_allclose(terms(trial) @ w, lorenz(trial.T).T, rtol=1e-2)


def test_rank_correlation_is_that_of_scipy(chapter_names):
    from scipy.stats import spearmanr

    rng = np.random.default_rng(8)
    x, y = rng.integers(0, 9, (2, 5, 30))
    found = chapter_names["rank_correlation"](x, y)
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(found, expected)
