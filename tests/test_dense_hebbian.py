"""The functions of the chapter on dense Hebbian networks, against brute force and closed forms."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import erf
from seedbook import seeds
from seedbook.press import chapter

slug = "dense_hebbian"


@pytest.fixture(scope="module")
def chapter_names():
    """What `setup` and the two cells of definitions give."""
    return chapter.definitions(slug, cells=("dynamics",))


def energy(stored, states, p):
    """Equation (1) up to constants: minus the sum of powers, for states (..., N)."""
    return -((states @ stored.T) ** p).sum(-1)


def tuple_energy(stored, states, p):
    """The same with products over distinct neurons, one by one; h = -(its slope in a spin)."""
    n = stored.shape[1]
    total = np.zeros(states.shape[:-1])
    for index in map(list, itertools.combinations(range(n), p)):
        coupling = stored[:, index].prod(1).sum()
        total -= coupling * states[..., index].prod(-1)
    return math.factorial(p - 1) * total / n ** (p - 1)


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("p", [2, 3, 4])
def test_flips_are_differences_of_energy(chapter_names, p):
    rows = seeds.rng(0, "flips").normal(size=(5, 7))
    found = chapter_names["flips"](rows, p).sum(0)
    up = np.ones(7)
    for i in range(7):
        down = up.copy()
        down[i] = -1
        assert found[i] == pytest.approx(energy(rows, down, p) - energy(rows, up, p))


def test_recall_of_nested_loads_is_that_of_each_load(chapter_names):
    """One draw for all loads gives what storing that many rows of it gives."""
    n, p, counts = 31, 3, np.array([1, 40, 90, 200])
    found = chapter_names["recall"](n, p, counts, seeds.rng(1, "recall"))
    rows = chapter_names["signs"]((200, n), seeds.rng(1, "recall"))
    rows[0] = 1
    for k, m in zip(counts, found, strict=True):
        fields = [((rows[:k] @ np.ones(n)) ** p).sum() for _ in range(n)]
        down = np.ones((n, n)) - 2 * np.eye(n)
        fields = np.array(fields) - ((rows[:k] @ down) ** p).sum(0)
        assert m == pytest.approx(np.sign(fields).mean())
    assert found[0] == 1


@pytest.mark.parametrize(("p", "n", "alpha"), [(2, 400, 0.37), (3, 80, 0.123), (4, 40, 0.0246)])
def test_recall_follows_the_formula(chapter_names, p, n, alpha):
    """Equation (4): at these loads one step keeps an overlap of 0.9."""
    counts = np.array([round(alpha * n ** (p - 1))])
    rng = seeds.rng(2, f"formula {p}")
    found = np.mean([chapter_names["recall"](n, p, counts, rng) for _ in range(6000 // n)])
    assert chapter_names["one_step"](p, alpha) == pytest.approx(0.9, abs=0.002)
    assert found == pytest.approx(0.9, abs=0.03)


def test_formula_at_its_ends(chapter_names):
    assert chapter_names["one_step"](4, 1e-9, 0.5) == pytest.approx(erf(1))  # examples only
    assert chapter_names["one_step"](2, 0.5) == pytest.approx(erf(1))  # patterns only
    loads = [chapter_names["one_step"](3, 0.1, rho) for rho in (0, 0.3, 1)]
    assert loads == sorted(loads, reverse=True)


@pytest.mark.parametrize("p", [2, 3])
def test_noise_on_couplings(chapter_names, p):
    """No noise, perfect recall; then erf(N^((p-1)/2) / (omega sqrt 2)); at last nothing."""
    n, relative = {2: 300, 3: 60}[p], np.array([1e-9, 0.6, 1.5, 1e6])
    rng = seeds.rng(3, f"noise {p}")
    noises = relative * n ** ((p - 1) / 2)
    nets = [chapter_names["noisy_recall"](n, p, noises, rng) for _ in range(9000 // n)]
    expected = erf(1 / (relative * math.sqrt(2)))
    np.testing.assert_allclose(np.mean(nets, 0), expected, atol=0.04)
    assert nets[0][0] == 1


def test_example_means_have_the_declared_moments(chapter_names):
    """Mean r on the archetype, second moment r^2 (1 + rho)."""
    m, r = 10, 0.3
    means = chapter_names["example_means"](3, 60_000, m, r, seeds.rng(4, "means"))
    assert means[0].mean() == pytest.approx(r, abs=0.006)
    assert abs(means[1:].mean(1)).max() < 0.006
    rho = (1 - r**2) / (m * r**2)
    np.testing.assert_allclose((means**2).mean(1), r**2 * (1 + rho), rtol=0.03)
    strange = chapter_names["example_means"](3, 60_000, m, r, seeds.rng(4, "means"), True)
    assert abs(strange.mean(1)).max() < 0.006
    np.testing.assert_array_equal(abs(strange), abs(means))  # only the archetype is another


@pytest.mark.parametrize("p", [2, 3, 4])
def test_one_copy_needs_no_teacher_and_two_do(chapter_names, p):
    rng = seeds.rng(5, "copies")
    copies = chapter_names["signs"]((2, 9, 41), rng)
    copies[0, :, 5:] = 1
    counts = np.array([1, 2, 9])
    taught, untaught = (chapter_names["learned"](copies, counts, p, t) for t in (True, False))
    assert taught[0] == pytest.approx(untaught[0])
    for found, by_hand in (
        (taught, lambda m: copies[:, :m].mean(1)),
        (untaught, lambda m: copies[:, :m].reshape(-1, 41)),
    ):
        for k, m in enumerate(counts):
            fields = chapter_names["flips"](by_hand(m), p).sum(0)
            assert found[k] == pytest.approx(np.sign(fields).mean())


def test_passing_interpolates_and_says_when_never(chapter_names):
    passing, x = chapter_names["passing"], np.array([1.0, 10.0, 100.0])
    assert passing(x, np.array([0.0, 0.4, 0.8]), 0.6) == pytest.approx(10**1.5)
    assert passing(x, np.array([0.7, 0.4, 0.8]), 0.6) == 1
    assert passing(x, np.array([0.0, 0.6, 0.1]), 0.6) == pytest.approx(10)
    assert math.isnan(passing(x, np.array([0.0, 0.1, 0.2]), 0.6))


@pytest.mark.parametrize("p", [2, 3, 4, 5])
def test_sums_over_distinct_neurons(chapter_names, p):
    rng, n = seeds.rng(6, "distinct"), 8
    products = rng.choice([-1, 1], (20, n - 1))
    x = rng.choice([-1, 1], 20)
    index = map(list, itertools.combinations(range(n - 1), p - 1))
    sums = sum(products[:, i].prod(1) for i in index)
    expected = x * math.factorial(p - 1) * sums / n ** (p - 1)
    found = chapter_names["distinct"](products.sum(1), x, p, n)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_heat_bath_samples_the_boltzmann_distribution(chapter_names):
    """Mean overlap against the sum over all 2^7 states, energies from the tuples themselves."""
    n, p, t = 7, 3, np.array([0.3, 0.8])
    stored = chapter_names["signs"]((1, 4, n), seeds.rng(7, "stored"))
    stored[:, 0] = 1
    states = np.array(list(itertools.product([-1, 1], repeat=n)))
    weight = np.exp(-tuple_energy(stored[0], states, p)[:, None] / t)
    expected = (weight * states.mean(1, keepdims=True)).sum(0) / weight.sum(0)
    many = np.repeat(stored, 400, 0)
    found = chapter_names["warmed"](many, t, p, 60, seeds.rng(7, "heat")).mean(0)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("p", [2, 4, 8])
def test_cold_dynamics_never_climbs(chapter_names, p):
    """At zero temperature every sweep lowers the energy (1), of real-valued rows too."""
    rng = seeds.rng(8, "cold")
    stored = rng.normal(size=(1, 6, 25)).astype(np.float64)
    start = rng.choice([-1.0, 1.0], (1, 50, 25))
    power = chapter_names["power"]

    def field(c, x):
        return power(c + x, p) - power(c - x, p)

    before = energy(stored[0], start[0], p)
    for states in chapter_names["relax"](stored, start, np.zeros(50), 5, rng, field):
        after = energy(stored[0], states[0], p)
        assert (after <= before + 1e-6 * abs(before)).all()
        before = after
    assert (after < energy(stored[0], start[0], p)).mean() > 0.9


def test_theory_without_load_is_the_mean_field_equation(chapter_names):
    """m = tanh(m^2 / T) for P = 3: a root below T = 0.583, none above."""
    m = chapter_names["theory"](3, 0.0, np.array([0.3, 0.57, 0.6]))
    np.testing.assert_allclose(m[:2], np.tanh(m[:2] ** 2 / [0.3, 0.57]), atol=1e-6)
    assert m[1] > 0.8 and m[2] < 0.01


def test_theory_at_low_temperature_has_the_known_critical_load(chapter_names):
    """Distinct triples: max erf(x)^4 / (4 x^2) = 0.126; below it m = erf(m^2 / sqrt(4 alpha))."""
    m = chapter_names["theory"](3, np.array([0.06, 0.12, 0.14]), 0.02)
    assert m[0] == pytest.approx(erf(m[0] ** 2 / math.sqrt(4 * 0.06)), abs=0.005)
    assert m[1] > 0.8 and m[2] < 0.3


def test_too_many_couplings_are_refused_in_a_sentence(chapter_names):
    space, cells = dict(chapter_names), {cell.id: cell.source for cell in chapter.read(slug).cells}
    exec(cells["parameters"], space)
    space |= {"p_heat": 5, "n_heat": 400}
    with pytest.raises(ValueError, match="lower n_heat or loads"):
        exec(cells["heat"], space)
