"""The functions of the chapter on galaxies and haloes, against closed forms and slow loops."""

import numpy as np
import pytest
from seedbook import seeds
from seedbook.press import chapter

slug = "galaxy_halo"


@pytest.fixture(scope="module")
def chapter_names():
    """What `setup`, `method` and the two cells of the invented universe define."""
    return chapter.definitions(slug, cells=["haloes", "world"])


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_split_takes_whole_regions(chapter_names):
    region = np.repeat(np.arange(40), 3)
    parts = chapter_names["split"](region, seeds.rng(0, "split"))
    assert (sum(part.astype(int) for part in parts) == 1).all()
    assert [len(set(region[part])) for part in parts] == [24, 6, 10]
    assert [part.sum() for part in parts] == [72, 18, 30]


def test_borrow_takes_whole_rows_of_the_nearest_in_mass(chapter_names):
    rng = seeds.rng(1, "borrow")
    mass, at = rng.uniform(9.5, 12.5, 300), rng.uniform(9, 13, 500)
    rows = np.stack([np.arange(300), -np.arange(300)], 1)
    lent = chapter_names["borrow"](mass, rows, at, 9, rng)
    assert (lent.sum(1) == 0).all()  # never half of one row and half of another
    rank = np.argsort(np.argsort(mass))
    for value, donor in zip(at, lent[:, 0], strict=True):
        place = (mass < value).sum()
        low = min(max(place - 4, 0), 291)
        assert low <= rank[donor] < low + 9


def test_borrow_from_one_and_from_fewer_than_asked(chapter_names):
    mass, rows, at = np.array([10.0, 11.0]), np.array([[1.0], [2.0]]), np.array([9.0, 10.9, 12.0])
    lent = chapter_names["borrow"](mass, rows, at, 1, seeds.rng(0, "one"))
    np.testing.assert_array_equal(lent[[0, 2], 0], [1, 2])
    many = chapter_names["borrow"](mass, rows, np.full(2000, 10.5), 50, seeds.rng(0, "many"))
    assert many.mean() == pytest.approx(1.5, abs=0.05)


def test_at_fixed_mass_removes_the_line_and_nothing_else(chapter_names):
    rng = seeds.rng(2, "fixed")
    mass = rng.uniform(9.6, 10.2, 60_000)
    law = np.array([[0.04, 0.018], [0.018, 0.09]])
    y = np.outer(mass, [1.5, -2]) + rng.multivariate_normal([3, 4], law, len(mass))
    middles, found = chapter_names["at_fixed_mass"](mass, y)
    np.testing.assert_allclose(middles, [9.75, 10.05])
    np.testing.assert_allclose(found, [law, law], rtol=0.04)
    sd, tie = chapter_names["widths_and_tie"](found)
    np.testing.assert_allclose(sd, [[0.2, 0.3]] * 2, rtol=0.02)
    assert tie == pytest.approx(0.3, abs=0.02)
    middles, found = chapter_names["at_fixed_mass"](mass[:50], y[:50])
    assert len(middles) == 0 and found.shape == (0, 2, 2)


@pytest.mark.parametrize(("bias", "hidden"), [(0, 0), (0.3, 0), (0, 0.4)])
def test_floor_ratio_counts_what_two_runs_share(chapter_names, bias, hidden):
    """F = 1 + (bias^2 + hidden variance) / seed variance, from two runs of one truth."""
    rng = seeds.rng(3, "floor")
    shared = hidden * rng.standard_normal((200_000, 1))
    a, b = (shared + 0.5 * rng.standard_normal((200_000, 1)) for _ in range(2))
    found = chapter_names["floor_ratio"](a, b, np.full_like(a, bias))
    assert found[0] == pytest.approx(1 + (bias**2 + hidden**2) / 0.25, abs=0.02)


def test_r2_is_that_of_scikit_learn(chapter_names):
    from sklearn.metrics import r2_score

    rng = seeds.rng(4, "r2")
    y = rng.standard_normal((50, 3))
    g = y + 0.3 * rng.standard_normal((50, 3))
    expected = r2_score(y, g, multioutput="raw_values")
    np.testing.assert_allclose(chapter_names["r2"](y, g), expected)


def test_a_forest_never_leaves_the_range_of_its_training(chapter_names):
    rng = seeds.rng(5, "plateau")
    x = rng.uniform(0, 1, (400, 2))
    model = chapter_names["grow"](x, x[:, 0], rng, 10, 5)
    far = model.predict([[3, 0.5], [30, 0.5]])
    assert (far <= x[:, 0].max()).all() and far[0] == far[1]


@pytest.mark.parametrize("z", [0, 5])
def test_haloes_are_as_abundant_as_a_published_code_has_them(chapter_names, z):
    """Sheth and Tormen (1999) with Planck 2018, by colossus 1.4.0; another power spectrum."""
    mass = np.linspace(9.5, 12.6, 60)
    abundance, bias = chapter_names["halo_statistics"](mass, z)
    expected = {
        0: [0.2834, 3.312e-2, 3.921e-3, 5.028e-4],
        5: [0.2617, 1.519e-2, 4.180e-4, 2.325e-6],
    }[z]
    np.testing.assert_allclose(abundance[[0, 20, 40, 59]], expected, rtol=0.2)
    expected = {0: [0.725, 0.775, 1.014], 5: [2.154, 3.957, 9.274]}[z]  # another bias model
    np.testing.assert_allclose(bias[[0, 30, 59]], expected, rtol=0.06)


def test_seed_noise_has_the_declared_widths_and_ties(chapter_names):
    m = np.full(400_000, 10.0)
    e = chapter_names["seed_noise"](m, seeds.rng(6, "noise"), 8.0)
    np.testing.assert_allclose(e.std(0), chapter_names["SEED_SD"], rtol=0.01)
    tie = np.corrcoef(e.T)
    np.testing.assert_allclose(tie[0, 1:], [0.6, 0.3, 0], atol=0.02)
    heavy = chapter_names["seed_noise"](m + 4, seeds.rng(6, "noise"), 8.0)
    np.testing.assert_allclose(heavy, e / 4)  # the floor of the scale with mass


def test_two_runs_share_all_but_the_seed(chapter_names):
    """Equation (3): half the variance of the difference is the seed's, hidden state or not."""
    make, found = chapter_names["catalogue"], []
    for hidden in (0.0, 2.0):
        halo = make(seeds.rng(7, "world"), 300, hidden)
        assert set(halo.region) == set(range(40)) and halo.x.shape == (len(halo.m), 8)
        assert 9.5 <= halo.m.min() and halo.m.max() <= 12.6 + 1e-9
        found.append((halo.a - halo.b).std(0))
        light = halo.m < 9.7
        assert found[-1] == pytest.approx(2**0.5 * chapter_names["SEED_SD"], rel=0.15)
        assert abs((halo.a - halo.truth)[light].mean(0)).max() < 0.02
    np.testing.assert_allclose(*found)
