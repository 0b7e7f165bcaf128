"""The chapter's own method against closed forms and brute force."""

import itertools

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.press import chapter
from seedbook.transformer import Transformer
from tiny import REPOSITORY

SLUG, SHARES = "utility_probability_duality", [0.6, 0.3, 0.1]


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(SLUG, REPOSITORY, ["deciding"])


@pytest.fixture
def rng():
    return seeds.rng(5, "utility probability duality")


@pytest.fixture
def network(method, rng):
    """An untrained network of four symbols with large weights, and a batch."""
    table = method["true_table"](4, SHARES, 0.1)
    _, ids, words = method["draw_pairs"](6, 3, table, rng)
    dice = seeds.torch(5, "weights")
    model = Transformer(17, 6, d_model=8, n_layers=1, gain=2.0, embedding_std=1.0, generator=dice)
    return model, (ids, words)


def gradient(model, loss):
    grads = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([g.flatten() for g in grads])


def test_the_truth_is_a_mixture_of_synonyms_and_noise(method):
    table = method["true_table"](4, [6, 3, 1], 0.12).numpy()
    assert table.shape == (4, 17) and table.sum(1) == pytest.approx(1)
    assert table[2, 6:9] == pytest.approx(0.88 * np.array(SHARES) + 0.01)
    assert table[2, [0, 5, 9, 11]] == pytest.approx(0.01)
    assert (table[:, 12:] == 0).all()


def test_pairs_follow_the_truth(method, rng):
    table = method["true_table"](4, SHARES, 0.2)
    sources, ids, words = method["draw_pairs"](30000, 3, table, rng)
    assert torch.equal(ids[:, :3], sources + 12) and (ids[:, 3] == 16).all()
    assert torch.equal(ids[:, 4:], words[:, :-1])
    for symbol in range(4):
        found = torch.bincount(words[sources[:, 2] == symbol][:, 0], minlength=17)
        assert (found / found.sum() - table[symbol]).abs().max() < 0.02


def test_broken_pairs_tell_nothing_of_the_source(method, rng):
    table = method["true_table"](4, SHARES, 0.0)
    sources, ids, words = method["draw_pairs"](4000, 2, table, rng, broken=True)
    assert torch.equal(ids[:, 3:], words[:, :-1])
    right = (words // 3 == sources.flip(1)).double().mean()
    assert right == pytest.approx(0.25, abs=0.03)


def test_the_likelihood_s_gradient_is_observed_less_expected_challenger(method, network):
    model, batch = network
    exact = gradient(model, method["likelihood_loss"](model, batch))
    expected = gradient(model, method["preference_loss"](model, batch, lambda law: law))
    torch.testing.assert_close(expected, exact, rtol=1e-4, atol=1e-6)
    flat = method["preference_loss"](model, batch, lambda law: torch.full_like(law, 1 / 17))
    other = gradient(model, flat)
    assert (other - exact).norm() > 0.1 * exact.norm()


def test_many_challengers_add_up_to_the_gradient(method, network):
    model, batch = network
    exact = gradient(model, method["likelihood_loss"](model, batch))

    def error(k, **options):
        draw = method["challenge"](k, seeds.torch(5, f"challengers {k}"), **options)
        found = gradient(model, method["preference_loss"](model, batch, draw))
        return float((found - exact).norm() / exact.norm())

    assert error(20000) < 0.05 < error(5)
    assert error(20000, blind=True) > 0.1


def test_challengers_are_drawn_from_their_law(method):
    law = torch.tensor([[[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.4, 0.4]]])
    draw = method["challenge"](20000, seeds.torch(5, "law"))
    assert draw(law).numpy() == pytest.approx(law.numpy(), abs=0.015)
    one = method["challenge"](1, seeds.torch(5, "one"))(law)
    assert one.sum(-1).tolist() == [[1.0, 1.0]] and set(one.unique().tolist()) == {0.0, 1.0}


def test_fit_of_the_truth_and_of_a_flat_guess(method, rng):
    table = method["true_table"](4, SHARES, 0.1)
    sources, _, words = method["draw_pairs"](500, 3, table, rng)
    truth = table[sources.flip(1)]
    u = truth.clamp(min=1e-30).log()
    row = method["fit"](u, words, truth, 3)
    log_p = u.gather(2, words[..., None])
    assert row["nll"] == pytest.approx(-log_p.mean().item())
    assert row["kl"] == pytest.approx(0, abs=1e-12) and row["order"] == 1
    flat = method["fit"](torch.zeros_like(truth), words, truth, 3)
    entropy = -torch.xlogy(truth, truth).sum(-1).mean().item()
    assert flat["nll"] == pytest.approx(np.log(17))
    assert flat["kl"] == pytest.approx(np.log(17) - entropy)
    u[:, 0] = -u[:, 0]  # the order is wrong at one word of three
    assert method["fit"](u, words, truth, 3)["order"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("rate", [0.05, 0.5, 3.0])
def test_utilities_and_play_give_back_the_frequencies(method, rng, rate):
    seen, u, played = np.eye(8)[rng.integers(8, size=60)], np.ones(8), []
    for observed in seen:
        played.append(np.exp(u) / np.exp(u).sum())
        u = u + rate * (observed - played[-1])
    found = method["recover"](u - np.ones(8), np.array(played), rate)
    assert found == pytest.approx(seen.mean(0), abs=1e-12)
    wrong = method["recover"](u - np.ones(8), np.array(played)[::-1] * 0.9, rate)
    assert np.abs(wrong - seen.mean(0)).max() > 1e-3


def chain_score(prefixes):
    """Utilities that depend on the last token, of four."""
    table = torch.tensor(
        [[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, -2.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]],
        dtype=torch.double,
    )
    return table[prefixes[:, -1]]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_samples_have_their_probabilities(method, power):
    start = torch.tensor([[0], [3]])
    dice = seeds.torch(5, f"power {power}")
    made = method["draw_outputs"](chain_score, start, 2, [power, np.inf], 20000, dice)
    assert made.shape == (2, 2, 20000, 2)
    law = [(power * chain_score(torch.tensor([[k]]))).softmax(-1)[0] for k in range(4)]
    for row, first in enumerate((0, 3)):
        for a, b in itertools.product(range(4), repeat=2):
            share = ((made[0, row, :, 0] == a) & (made[0, row, :, 1] == b)).double().mean()
            assert share == pytest.approx(float(law[first][a] * law[a][b]), abs=0.015)
        best = int(law[first].argmax())
        assert (made[1, row] == torch.tensor([best, int(law[best].argmax())])).all()


def test_a_shared_prefix_is_scored_once(method):
    scored = []

    def score(prefixes):
        scored.append(prefixes)
        return chain_score(prefixes)

    start = torch.tensor([[0], [0], [1]])
    method["draw_outputs"](score, start, 3, [1.0, 2.0], 50, seeds.torch(5, "shared"))
    assert [s.shape[1] for s in scored] == [1, 2, 3]
    assert len(scored[0]) == 3 and len(scored[1]) <= 12 and len(scored[2]) <= 48


def test_grades(method):
    sources = torch.tensor([[0, 1], [2, 3]])
    outputs = torch.tensor([[[5, 0], [3, 2]], [[9, 0], [0, 0]]])  # (sentences, draws, words)
    words, valid = method["grade"](outputs, sources, 3)
    assert words.item() == pytest.approx((2 + 2 + 1 + 0) / 8)
    assert valid.item() == pytest.approx(2 / 4)


def test_minimum_risk_is_brute_force(method, rng):
    outputs = torch.from_numpy(rng.integers(3, size=(2, 7, 5, 4)))
    found = method["minimum_risk"](outputs)
    assert found.shape == (2, 7, 1, 4)
    for i, j in itertools.product(range(2), range(7)):
        samples = outputs[i, j].tolist()
        alike = [sum(a == b for s in samples for a, b in zip(c, s, strict=True)) for c in samples]
        assert found[i, j, 0].tolist() == samples[alike.index(max(alike))]


@pytest.mark.parametrize(
    ("cells", "wrong", "sentence"),
    [
        (["pairs"], {"n_train": 20}, "n_train must be at least batch_size"),
        (["pairs", "training"], {"contrast_epochs": 2}, "contrast_epochs must reach the first"),
    ],
)
def test_parameters_that_do_not_fit_together_get_a_sentence(method, cells, wrong, sentence):
    source = chapter.read(SLUG, REPOSITORY)
    space = dict(method)
    exec(source.only("parameters").source, space)
    space |= wrong
    experiment = {c.id: c for c in source.stage("experiment")}
    with pytest.raises(ValueError, match=sentence):
        for cell in cells:
            exec(experiment[cell].source, space)
