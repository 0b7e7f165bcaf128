"""The functions of the chapter on zeros by sampling, against mpmath, closed forms and brute force."""

import itertools

import mpmath
import numpy as np
import pytest
from scipy.stats import norm
from seedbook import seeds
from seedbook.press import chapter

slug = "riemann_cross_entropy"
KAPPA = (mpmath.sqrt(10 - 2 * mpmath.sqrt(5)) - 2) / (mpmath.sqrt(5) - 1)
OFF_LINE = 0.8085171825 + 85.6993484854j  # first of the control, by mpmath.findroot


def control(s):
    """The Davenport-Heilbronn function from mpmath's Hurwitz zeta."""
    a = [1, KAPPA, -KAPPA, -1]
    parts = [c * mpmath.zeta(s, mpmath.mpf(j) / 5) for j, c in enumerate(a, 1)]
    return mpmath.power(5, -s) * mpmath.fsum(parts)


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug, cells=["search-tools", "rare", "trees"])


def run_cell(space, name, **values):
    cell = next(c for c in chapter.read(slug).cells if c.id == name)
    exec(compile(cell.source, f"<{slug}: {name}>", "exec"), space | values)


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("height", [0.5, 14.2, 90, 200, 400])
@pytest.mark.parametrize("sigma", [-0.5, 0.5, 0.8, 2.5])
def test_both_functions_agree_with_mpmath(method, sigma, height):
    s = complex(sigma, height)
    for c, exact in ((method["ZETA"], mpmath.zeta), (method["CONTROL"], control)):
        want = complex(exact(mpmath.mpc(s)))
        assert method["dirichlet"](s, c) == pytest.approx(want, rel=1e-10, abs=1e-10)


def test_many_points_are_summed_like_few(method):
    s = 0.3 + 1j * np.linspace(2, 90, 20_003)
    many = method["dirichlet"](s, method["CONTROL"])
    assert many.shape == s.shape
    few = method["dirichlet"](s[[0, 777, -1]], method["CONTROL"])
    np.testing.assert_allclose(many[[0, 777, -1]], few, rtol=1e-10)


def test_the_phase_makes_both_functions_real_on_the_line(method):
    t = np.linspace(3, 119, 300)
    for c in (method["ZETA"], method["CONTROL"]):
        size = np.abs(method["dirichlet"](0.5 + 1j * t, c))
        np.testing.assert_allclose(np.abs(method["hardy"](t, c)), size, atol=1e-9)


def test_zeros_on_the_line_are_those_of_mpmath(method):
    found = method["line_zeros"](method["ZETA"], 10, 60)
    want = [float(mpmath.zetazero(k).imag) for k in range(1, len(found) + 1)]
    np.testing.assert_allclose(found, want, atol=1e-9)
    assert float(mpmath.zetazero(len(found) + 1).imag) > 60


def test_windings_count_all_zeros(method):
    zeta, step = method["winding"](method["ZETA"], 10, 100)
    assert zeta == pytest.approx(29) and step < np.pi / 4
    both, _ = method["winding"](method["CONTROL"], 80, 120)
    line = method["line_zeros"](method["CONTROL"], 80, 120)
    assert both == pytest.approx(28) and len(line) == 24  # two mirrored pairs are off it
    assert abs(control(mpmath.mpc(OFF_LINE))) < 1e-8


@pytest.mark.parametrize("mirrored", [False, True])
def test_search_finds_a_zero_off_the_line_and_says_so(method, mirrored):
    zero = 1 - OFF_LINE.conjugate() if mirrored else OFF_LINE
    start = np.array([[zero.real + 0.05, zero.imag - 0.1]])
    setting = [0.05, 0.1], 120, 0.1, 0.8, 40, seeds.rng(0, "search"), False
    found = method["cross_entropy"](method["CONTROL"], start, *setting)
    assert found[0][0] == pytest.approx(zero, abs=1e-6) and found[1][0] < 1e-6
    kept, recall, off, false = method["judge"](*found[:2], 80, 120, np.array([86.0]))
    assert (len(kept), recall, off, false) == (1, 0, 1, 1)


def test_shuffled_scores_find_nothing_and_costs_are_counted(method):
    mean = np.array([[0.5, 14.0], [0.4, 21.2]])
    setting = method["ZETA"], mean, [0.3, 0.5], 60, 0.1, 0.8, 25
    for shuffle, zeros in ((False, 2), (True, 0)):
        s, size, cost = method["cross_entropy"](*setting, seeds.rng(1, "few"), shuffle)
        truth = method["line_zeros"](method["ZETA"], 10, 24)
        kept, recall, off, false = method["judge"](s, size, 10, 24, truth)
        assert (len(kept), recall, off, false) == (zeros, zeros / 2, 0, 0)
        assert cost % 60 == 0 and 60 < cost <= 60 * 25 * 2
    assert (mean == [[0.5, 14.0], [0.4, 21.2]]).all()  # starts are left alone


def test_judge_merges_what_is_one_zero(method):
    s = np.array([0.5 + 14j, 0.5 + 14.00001j, 0.5 + 15j, 0.5 + 16j, 0.5 + 99j])
    size = np.array([0, 0, 0, 1e-3, 0])
    kept, recall, off, false = method["judge"](s, size, 10, 20, np.array([14, 16.0]))
    assert kept == [0.5 + 14j, 0.5 + 15j] and (recall, off, false) == (0.5, 0, 1)
    assert method["judge"](s, size + 1, 10, 20, np.array([14.0]))[1:] == (0, 0, 0)


def test_rare_events_against_the_exact_probability(method):
    free, only = method["mean_and_width"], method["mean_only"]
    rng = seeds.rng(2, "rare")
    p, se, cost = method["rare_event"](np.positive, only, (0, 1), 20_000, rng, False)
    assert p == pytest.approx(norm.sf(4.5), abs=4 * se) and se < 0.03 * p
    assert cost % 20_000 == 0
    p, se, _ = method["rare_event"](np.abs, free, (0, 1), 20_000, rng, False)
    assert p == pytest.approx(2 * norm.sf(4.5), abs=4 * se)
    p, se, _ = method["rare_event"](np.abs, only, (2, 1), 20_000, rng, False)
    assert p == pytest.approx(norm.sf(4.5), abs=4 * se)  # one of two sides, and sure of it
    p, se, _ = method["rare_event"](np.positive, only, (0, 1), 500, rng, True)
    assert p < 0.1 * norm.sf(4.5) or se > 0.3 * p  # shuffled scores lead nowhere


def test_fits_are_weighted_moments(method):
    x, w = np.array([1.0, 3.0]), np.array([0.25, 0.75])
    assert method["mean_and_width"](x, w) == pytest.approx((2.5, np.sqrt(0.75)))
    assert method["mean_only"](x, w) == pytest.approx((2.5, 1))


def random_levels(rng, depth):
    levels = [rng.standard_normal((6**k, 6)) for k in range(depth)]
    return [z - np.log(np.exp(z).sum(1, keepdims=True)) for z in levels]


def test_leaves_beams_and_greedy_by_brute_force(method):
    levels = random_levels(seeds.rng(3, "tree"), 3)
    total = method["leaves"](levels)
    assert np.exp(total).sum() == pytest.approx(1)
    for leaf, (a, b, c) in enumerate(itertools.product(range(6), repeat=3)):
        want = levels[0][0, a] + levels[1][a, b] + levels[2][6 * a + b, c]
        assert total[leaf] == pytest.approx(want)
    assert method["beam"](levels, 36) == total.argmax()  # keeps all prefixes: exhaustive
    a = levels[0][0].argmax()
    b = levels[1][a].argmax()
    assert method["beam"](levels, 1) == 36 * a + 6 * b + levels[2][6 * a + b].argmax()
    blind = {int(method["beam"](levels, 2, seeds.rng(k, "blind"))) for k in range(30)}
    assert len(blind) > 15


def test_nucleus_keeps_the_word_that_crosses(method):
    log_p = np.log([[0.5, 0.3, 0.15, 0.05], [0.05, 0.05, 0.1, 0.8]])
    kept = np.isfinite(method["nucleus"](log_p, 0.75))
    assert kept.tolist() == [[True, True, False, False], [False, False, False, True]]
    assert np.isfinite(method["nucleus"](log_p, 1.0)).all()
    cut = [method["nucleus"](z, 0.5) for z in random_levels(seeds.rng(4, "cut"), 3)]
    assert np.isfinite(method["leaves"](cut)[method["beam"](cut, 50)])


@pytest.mark.parametrize(("top", "failures"), [(26_860, 0), (26_862, 2)])
def test_statements_fail_where_they_are_known_to(method, top, failures):
    """The race is first lost at 26861 (Leech 1957), and won back at the prime 26863."""
    saved, space = {}, dict(method)
    space["frames"] = type("Frames", (), {"save": staticmethod(saved.__setitem__)})
    run_cell(space, "count", n_sieve=top, t_max=20, salmon=False, seed=0)
    row = saved["statements"].iloc[0]
    assert (row["mertens"], row["li"], row["race"]) == (0, 0, failures)
    last = saved["counts"].groupby("window").last()
    assert last["winding"].to_dict() == pytest.approx({"control": 68, "zeta": 1})
    assert last["on_line"].to_dict() == {"control": 64, "zeta": 1}


def test_a_spread_of_three_is_one_sentence(method):
    with pytest.raises(ValueError, match="spread has 3 numbers; give two"):
        run_cell(dict(method), "search", spread=[0.1, 0.2, 0.3])
