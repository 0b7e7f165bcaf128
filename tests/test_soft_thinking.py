"""Soft thinking: the chapter's method against closed forms, brute force and the plain model."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from seedbook import lm
from seedbook.press import catalog, chapter
from tiny import REPOSITORY, llama


@pytest.fixture(scope="module")
def method():
    return chapter.definitions("soft_thinking", REPOSITORY)


@pytest.fixture(scope="module")
def network():
    return lm.LM(llama(41, tie_word_embeddings=True), None, "tiny").model


def test_the_chapter_keeps_the_contract():
    source = chapter.read("soft_thinking", REPOSITORY)
    assert chapter.check(source, catalog.load(REPOSITORY).chapter("soft_thinking")) == []


def laws(*shape, seed=0, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(*shape, generator=generator)).softmax(-1)


def test_divergence_is_scipys(method):
    p, q = laws(5, 30, seed=1), laws(5, 30, seed=2)
    p[0, :20] = 0  # words that never come
    p = p / p.sum(-1, keepdim=True)
    expected = jensenshannon(p.double().numpy(), q.double().numpy(), axis=-1) ** 2
    assert method["js"](p, q).numpy() == pytest.approx(expected, abs=1e-5)


def test_divergence_of_laws_without_a_common_word_is_the_logarithm_of_two(method):
    p = torch.tensor([0.5, 0.5, 0, 0])
    assert method["js"](p, p.flip(0)).item() == pytest.approx(np.log(2))
    assert method["js"](p, p).item() == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.75, 1.0])
def test_a_superposition_lies_on_the_diagonal(method, share):
    """A network whose output is linear in the mixture: alpha is lambda, dominance one half."""
    q1, q2 = laws(6, 50, seed=3), laws(6, 50, seed=4)
    fitted = method["fitted_share"](share * q1 + (1 - share) * q2, q1, q2)
    assert fitted.numpy() == pytest.approx(share, abs=2e-3)


def test_fitted_share_is_the_best_of_a_grid(method):
    q, q1, q2 = laws(8, 40, seed=5), laws(8, 40, seed=6), laws(8, 40, seed=7)
    grid = torch.linspace(0, 1, 1001)[:, None, None]
    best = method["js"](q, grid * q1 + (1 - grid) * q2).argmin(0) / 1000
    fitted = method["fitted_share"](q, q1, q2)
    assert fitted.numpy() == pytest.approx(best.numpy(), abs=2e-3)
    assert fitted.std() > 0.05  # not one answer for all


def test_log_linear_mixtures_of_two_words_have_a_closed_form(method):
    """Two words: the share of q1 in softmax(lam z1 + (1 - lam) z2) by hand."""
    z1, z2, lam = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0]), 0.75
    q1, q2 = z1.softmax(-1), z2.softmax(-1)
    q = (lam * z1 + (1 - lam) * z2).softmax(-1)
    expected = (q[0] - q2[0]) / (q1[0] - q2[0])
    fitted = method["fitted_share"](q, q1, q2)
    assert fitted.item() == pytest.approx(expected.item(), abs=1e-3)
    assert fitted.item() > lam  # the softmax alone takes sides


def test_one_pass_for_all_inputs_equals_a_pass_for_each(method, network):
    ids, places = [4, 8, 15, 16, 23, 2, 40, 7], [3, 6, 8]
    embeddings = network.get_input_embeddings().weight
    inputs = torch.stack([embeddings[[1, 9]].mean(0), embeddings[5], 2 * embeddings[30]])
    inputs = torch.stack([inputs, inputs.flip(0), -inputs])  # (places, n, width)
    before, logits = method["read"](network, ids, 2)
    plain = network(torch.tensor([ids])).logits[0]
    torch.testing.assert_close(logits, plain[-2:], rtol=1e-4, atol=1e-4)
    together = method["after_inputs"](network, before, places, inputs)
    for place, some, found in zip(places, inputs, together, strict=True):
        for one, got in zip(some, found, strict=True):
            text = torch.cat([embeddings[ids[:place]], one[None]])
            alone = network(inputs_embeds=text[None]).logits[0, -1]
            torch.testing.assert_close(got, alone, rtol=1e-3, atol=1e-3)


def test_a_single_word_as_input_is_that_word_read(method, network):
    ids = [4, 8, 15, 16]
    before, _ = method["read"](network, ids, 1)
    word = network.get_input_embeddings().weight[15][None, None]
    got = method["after_inputs"](network, before, [2], word)[0, 0]
    expected = network(torch.tensor([ids])).logits[0, 2]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_redrawn_networks_keep_the_spread_and_nothing_else(method, network):
    kept = {name: x.clone() for name, x in network.named_parameters()}
    fresh = method["redrawn"](network, torch.Generator().manual_seed(1))
    for name, weights in fresh.named_parameters():
        if weights.ndim == 2:
            assert weights.std().item() == pytest.approx(kept[name].std().item(), rel=0.15)
            both = torch.stack([weights.ravel(), kept[name].ravel()])
            assert abs(torch.corrcoef(both)[0, 1]) < 0.15
        else:
            assert torch.equal(weights, kept[name])
    for name, weights in network.named_parameters():
        assert torch.equal(weights, kept[name])  # the trained one is left alone


def longest_common(one, two):
    if not one or not two:
        return 0
    if one[-1] == two[-1]:
        return longest_common(one[:-1], two[:-1]) + 1
    return max(longest_common(one[:-1], two), longest_common(one, two[:-1]))


def test_shared_words_are_counted_as_by_brute_force(method):
    rng = np.random.default_rng(8)
    for _ in range(60):
        one, two = (rng.integers(4, size=rng.integers(0, 8)).tolist() for _ in range(2))
        expected = longest_common(one, two) / max(len(one), len(two), 1)
        assert method["shared"](one, two) == pytest.approx(expected)
