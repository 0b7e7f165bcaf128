"""The functions of the chapter on deep probabilities, against torch, scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.press import chapter
from seedbook.training import draw_perceptrons
from torch.nn import functional as F

slug = "deep_probability_estimation"


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug)


@pytest.fixture(scope="module")
def worlds():
    return chapter.definitions(slug, cells=["worlds"])


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def layers(weights, k):
    """Network k of the stack as torch builds it."""
    network = torch.nn.Sequential()
    for i, (w, b) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        linear = torch.nn.Linear(*w.shape[1:])
        linear.weight.data, linear.bias.data = w[k].T.clone(), b[k, 0].clone()
        network.append(linear)
        if i < 2:
            network.append(torch.nn.ReLU())
    return network


def test_fit_trains_each_network_as_if_it_were_alone(method):
    """Two data sets, three networks: as torch's own Adam on the same batches."""
    of = torch.tensor([0, 0, 1])
    start = draw_perceptrons(3, [4, 6, 6, 1], seeds.torch(2, "start"))
    x = torch.randn(2, 300, 4, generator=seeds.torch(3, "x"))
    t = torch.rand(3, 300, generator=seeds.torch(4, "t"))
    epochs_seen = []
    fitted = method["fit"](
        start,
        x,
        of,
        lambda epoch, weights: t,
        2,
        1e-2,
        seeds.torch(5, "order"),
        lambda epoch, weights: epochs_seen.append(epoch),
    )
    assert epochs_seen == [0, 1, 2]
    order = seeds.torch(5, "order")
    alone = [layers(start, k) for k in range(3)]
    optimizers = [torch.optim.Adam(network.parameters(), 1e-2) for network in alone]
    for _ in range(2):
        turn = torch.rand(2, 300, generator=order).argsort(1)
        for rows in turn.split(128, 1):
            for k, (network, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
                mine = rows[of[k]]
                out = network(x[of[k], mine])[:, 0]
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(out, t[k, mine]).backward()
                optimizer.step()
    for k, network in enumerate(alone):
        torch.testing.assert_close(
            method["logits"](fitted, x[of])[k], network(x[of[k]])[:, 0], atol=1e-4, rtol=1e-4
        )


def test_group_targets(method):
    q = torch.tensor([[0.1, 0.2, 0.8, 0.9], [0.9, 0.1, 0.8, 0.2]])
    y = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 0]])
    two = method["group_targets"](q, y, 2)
    assert two.tolist() == [[0, 0, 1, 1], [0, 0.5, 0, 0.5]]
    assert (method["group_targets"](q, y, 1) == y.mean(1, keepdim=True)).all()
    assert (method["group_targets"](q, y, 4) == y).all()  # the salmon: nothing is averaged
    rng = seeds.torch(6, "groups")
    q, y = torch.rand(5, 103, generator=rng), (torch.rand(5, 103, generator=rng) < 0.3).float()
    for n_bins in (1, 5, 17, 103):
        t = method["group_targets"](q, y, n_bins)
        torch.testing.assert_close(t.mean(1), y.mean(1))
        assert (t.sort(1).values.diff(dim=1) > 0).sum(1).max() < n_bins


def test_scores_by_hand(method):
    y = np.array([0, 0, 1, 1, 0, 1, 1, 1, 0, 1.0])
    q = np.linspace(0.05, 0.95, 10)
    got = method["scores"](q, y)
    assert got["brier"] == pytest.approx(np.mean((q - y) ** 2))
    assert got["ece"] == pytest.approx(np.mean(np.abs(q - y)))  # one case a group
    assert got["mce"] == pytest.approx(np.abs(q - y).max())
    assert got["ks"] == pytest.approx(max(abs(np.cumsum(q - y))) / 10)
    pairs = [(a > b) for a in q[y == 1] for b in q[y == 0]]
    assert got["auc"] == pytest.approx(-np.mean(pairs))


def test_the_brier_score_is_the_error_plus_a_constant(method):
    """Equation (3), in expectation over outcomes."""
    rng = seeds.rng(7, "identity")
    p, q = rng.random(400_000), rng.random(400_000)
    y = (rng.random(400_000) < p).astype(float)
    want = np.mean((p - q) ** 2) + np.mean(p * (1 - p))
    assert method["scores"](q, y)["brier"] == pytest.approx(want, abs=3e-3)


def test_blobs_show_z_and_nothing_else(worlds):
    z = np.repeat([0.05, 0.95], 400)
    pictures = worlds["blobs"](z, 10, 0.0, seeds.rng(8, "blobs"))
    assert pictures.shape == (800, 100) and pictures.min() >= 0
    light = pictures.sum(1)
    assert light[400:].mean() > 2 * light[:400].mean()  # longer streaks
    noisy = worlds["blobs"](np.full(300, 0.5), 10, 0.25, seeds.rng(8, "noise"))
    clean = worlds["blobs"](np.full(300, 0.5), 10, 0.0, seeds.rng(8, "noise"))
    assert (noisy - clean).std() == pytest.approx(0.25, rel=0.03)


def test_risks_are_probabilities(worlds):
    z = np.linspace(1e-6, 1 - 1e-6, 1001)
    for name, risk in worlds["RISKS"].items():
        assert 0 <= risk(z).min() and risk(z).max() <= 1, name
    assert sorted(set(worlds["RISKS"]["discrete"](z).round(9))) == [0.1, 0.3, 0.5, 0.7, 0.9]


def test_an_unknown_scenario_is_one_sentence(worlds):
    cell = next(c for c in chapter.read(slug).cells if c.id == "worlds").source
    space = dict(worlds, scenarios=["linear", "cubic"])
    with pytest.raises(ValueError, match="cubic.*linear"):
        exec(compile(cell, "<worlds>", "exec"), space)
