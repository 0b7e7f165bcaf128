"""The method of the chapter on sperm whales, against autograd, slow loops and known generators."""

import numpy as np
import pytest
import torch
from scipy.signal import find_peaks
from seedbook import seeds
from seedbook.press import catalog, chapter

slug = "sperm_whales"


@pytest.fixture(scope="module")
def names():
    """What `setup`, `method` and the two further cells of definitions define."""
    return chapter.definitions(slug, cells=["networks", "examining"])


def by_hand(names, weights, m=2):
    """Stacked linear generators: one layer from bits and one noise input to a call."""
    w = torch.as_tensor(weights, dtype=torch.float32)  # (bits + 1, 2 * BINS)
    return [[w.expand(m, *w.shape).clone(), torch.zeros(m, 1, w.shape[1])]]


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("law", ["code", "noise", "constant"])
def test_what_was_planted_is_heard(names, law):
    codas, clicks, uneven, share = names["simulate"](3000, law, seeds.rng(1, law))
    assert codas.shape == (3000, 2 * names["BINS"]) and codas.dtype == np.float32
    heard = names["listen"](torch.from_numpy(codas)).numpy()
    np.testing.assert_array_equal(heard[:, 0], clicks)
    np.testing.assert_allclose(heard[:, 1].mean(), 6.5, atol=0.1)
    assert heard[uneven, 2].min() > heard[~uneven, 2].max() - 0.02
    np.testing.assert_allclose(heard[:, 3], share, atol=0.06)
    assert heard[:, 4].max() < 0.06  # all codas wobble alike
    expected = 0 if law == "constant" else np.hypot(0.2, 0.05)
    assert share.std() == pytest.approx(expected, abs=0.005)
    assert 0.45 < (clicks == 4).mean() < 0.55 and 0.45 < uneven.mean() < 0.55


def test_listening_is_what_a_loop_over_peaks_gives(names):
    rng, bins = seeds.rng(2, "listen"), names["BINS"]
    codas = rng.random((40, 2 * bins)).astype(np.float32)
    codas[0], codas[1] = 0, 0
    codas[1, [10, 20]] = 1  # two clicks: one interval, no irregularity
    heard = names["listen"](torch.from_numpy(codas)).numpy()
    for coda, found in zip(codas, heard, strict=True):
        lower, upper = np.split(coda, 2)
        energy = lower + upper
        at = find_peaks(energy, height=max(0.1, 0.35 * energy.max()))[0]
        gaps, shares = np.diff(at), (upper / np.where(energy > 0, energy, 1))[at]
        expected = [
            len(at),
            gaps.mean() if len(gaps) else np.nan,
            gaps.std() / gaps.mean() if len(gaps) > 1 else np.nan,
            shares.mean() if len(at) else np.nan,
            shares.std() if len(at) else np.nan,
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_mean_of_slopes_telescopes_on_an_even_grid(names):
    t = np.linspace(-1, 12.5, 40)
    curve = seeds.rng(3, "slopes").standard_normal((40, 3, 5))
    mean = (np.diff(curve, axis=0) / np.diff(t)[:, None, None]).mean(0)
    np.testing.assert_allclose(names["slope_of"](curve, t), mean)


@pytest.mark.parametrize("b", [3, 4, 5, 8])
def test_the_chance_of_one_odd_sign(names, b):
    """Equation (4), by enumeration of all signs."""
    signs = np.array(np.meshgrid(*[[-1, 1]] * b)).reshape(b, -1).T
    assert names["odd_one_out"](signs).mean() == 2 * b / 2**b


def test_a_perfect_code_looks_odd_no_more_often_than_chance(names):
    rng = seeds.rng(4, "perfect")
    effects = 1e-6 * rng.standard_normal((40_000, 5))
    effects[:, 2] = 1
    odd = names["odd_one_out"](effects)
    assert odd.mean() == pytest.approx(5 / 16, abs=0.01)
    right = (effects[odd, 0] < 0) & (effects[odd, 1] < 0) & (effects[odd, 3] < 0)
    assert (right & (effects[odd, 4] < 0)).mean() == pytest.approx(1 / 5, abs=0.02)
    assert (names["strongest"](effects) == 2).all()


def test_effects_of_nothing_are_neither_odd_nor_strong(names):
    nothing = np.array([[0.0, 0, 0, 0, 1], [np.nan] * 5, [np.nan, 1, -3, np.nan, 2]])
    np.testing.assert_array_equal(names["odd_one_out"](nothing), [False, False, False])
    np.testing.assert_array_equal(names["strongest"](nothing), [4, 0, 2])


def test_the_slope_of_the_critic_is_that_of_autograd(names):
    dice = seeds.torch(5, "critic")
    critic = names["draw"]([9, 16, 12, 1], 3, dice)
    x = torch.rand(3, 7, 9, generator=dice, requires_grad=True)
    for layer in critic:
        for v in layer:
            v.requires_grad_()
    by_rule = names["input_slope"](critic, x)
    (expected,) = torch.autograd.grad(names["forward"](critic, x).sum(), x, create_graph=True)
    torch.testing.assert_close(by_rule, expected)
    weights = [w for w, _ in critic]
    second = [
        torch.autograd.grad(grad.norm(dim=-1).sum(), weights, retain_graph=True)
        for grad in (by_rule, expected)
    ]
    for one, two in zip(*second, strict=True):  # its own slope in the weights, as trained with
        torch.testing.assert_close(one, two)


def test_stacked_networks_do_not_meet(names):
    layers = names["draw"]([5, 8, 2], 4, seeds.torch(6, "stack"))
    x = torch.rand(4, 3, 5, generator=seeds.torch(6, "inputs"))
    for i in range(4):
        h = torch.nn.functional.leaky_relu(x[i] @ layers[0][0][i] + layers[0][1][i], 0.2)
        expected = h @ layers[1][0][i] + layers[1][1][i]
        torch.testing.assert_close(names["forward"](layers, x)[i], expected)
    assert max(v.abs().max() for v in layers[0]) <= 5**-0.5


def test_turning_finds_the_bit_that_was_wired_by_hand(names):
    """Bit 1 moves energy from the lower to the upper half, the others do nothing."""
    bins = names["BINS"]
    base = torch.full((2 * bins,), -6.0)
    base[[8, 20, 32, 44, 56, 68, 80, 92]] = 3.0
    weights = torch.zeros(4, 2 * bins)  # three bits, one noise input
    weights[1, bins:], weights[1, :bins] = 1.0, -1.0
    net = by_hand(names, weights)
    net[0][1] += base + 1.5  # `generate` subtracts it again
    noise = torch.rand(2, 20, 1)
    low, high = (names["turn"](net, t, 0.0, 3, noise) for t in (-1, 1))
    effect = (high - low).mean(-2)  # (bits, m, 5)
    assert effect.shape == (3, 2, 5)
    assert (effect[[0, 2]] == 0).all() and (effect[1, :, 3] > 0.05).all()
    reader = [[torch.zeros(2, 2 * bins, 3), torch.zeros(2, 1, 3)]]
    reader[0][0][:, bins:, 1], reader[0][0][:, :bins, 1] = 1.0, -1.0
    reader[0][1][..., 1] = -0.3
    _, truth, right = names["coins"](net, reader, 1, 4000, seeds.torch(7, "coins"))
    assert truth.shape == (2, 5, 3) and (truth[:, 3, 1] > 0.02).all()
    assert (truth[:, 3, [0, 2]].abs() < 0.02).all()
    np.testing.assert_allclose(right, 2 / 3, atol=0.03)  # bit 1 always, the others by chance
