"""The functions of the chapter on adversarial universality, against torch and closed forms."""

import math

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.press import catalog, chapter
from torch.nn import functional as F

slug = "adversarial_universality"


@pytest.fixture(scope="module")
def space():
    """What the cells of definitions and, up to its run, the cell of worlds define."""
    space = chapter.definitions(slug, cells=("attacks",))
    source = cell("worlds")
    head = source[: source.index("if set(worlds)")]
    space |= {"salmon": False, "separation": 1.0}
    exec(compile(head, "<worlds>", "exec"), space)
    return space


def cell(name):
    return next(c for c in chapter.read(slug).cells if c.id == name).source


def normal(name, *shape):
    return torch.randn(shape, generator=seeds.torch(0, name))


@pytest.fixture(scope="module")
def net(space):
    """Three perceptrons of 12 inputs and five classes, and cases with classes for each."""
    weights = space["draw_perceptrons"](3, [12, 16, 16, 5], seeds.torch(1, "net"))
    x = normal("x", 3, 40, 12)
    return weights, x, torch.arange(40).expand(3, 40) % 5


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_filters_are_a_convolution(space):
    draw = space["draw_perceptrons"]
    filters, readout = (
        draw(2, [5, 8], seeds.torch(2, "filters")),
        draw(2, [8 * 26, 10], seeds.torch(2, "readout")),
    )
    x = normal("series", 2, 7, 30)
    got = space["logits"](filters + readout, x)
    for k in range(2):
        hidden = F.conv1d(x[k][:, None], filters[0][k].T[:, None], filters[1][k, 0]).relu()
        want = hidden.transpose(1, 2).flatten(1) @ readout[0][k] + readout[1][k]
        torch.testing.assert_close(got[k], want, atol=1e-5, rtol=1e-4)


def test_the_losses_by_hand(space, net):
    h, y = normal("logits", 3, 40, 5), net[2]
    hard, soft = (space["loss"](h, y, kind) for kind in ("hard", "soft"))
    for i, k in ((0, 0), (1, 7), (2, 39)):
        own, rivals = h[i, k, y[i, k]], [h[i, k, j] for j in range(5) if j != y[i, k]]
        assert hard[i, k] == pytest.approx(float(max(rivals) - own))
        assert soft[i, k] == pytest.approx(
            math.log(sum(map(math.exp, rivals))) - float(own), abs=1e-5
        )
    torch.testing.assert_close(space["loss"](h, y), F.softplus(soft))


def test_exact_and_naive_directions_agree_until_rounding_parts_them(space, net):
    weights, x, y = net
    naive, soft = (space["gradient"](weights, x, y, kind) for kind in ("naive", "soft"))
    assert (naive.sign() == soft.sign()).float().mean() > 0.999
    sure = [*weights[:-2], *(1000 * w for w in weights[-2:])]
    answer = space["logits"](weights, x).argmax(-1)
    naive, soft = (space["gradient"](sure, x, answer, kind) for kind in ("naive", "soft"))
    assert (naive.sign() == soft.sign()).float().mean() < 0.9
    hard = space["gradient"](weights, x, answer, "hard")
    assert (hard.sign() == soft.sign()).float().mean() > 0.95  # what a large factor tends to


def test_fit_trains_each_network_as_if_it_were_alone(space, net):
    start, x, y = net
    many = x.repeat(1, 6, 1), y.repeat(1, 6)
    fitted = space["fit"](start, *many, 2, 1e-2, seeds.torch(3, "order"), entropy=0.5)
    draw, alone = (
        seeds.torch(3, "order"),
        [[w[k].clone().requires_grad_() for w in start] for k in range(3)],
    )
    optimizers = [torch.optim.Adam(w, 1e-2) for w in alone]
    for _ in range(2):
        order = torch.rand(many[1].shape, generator=draw).argsort(1)
        for rows in order.split(100, 1):
            for k, (w, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
                h = many[0][k, rows[k]]
                for layer in (0, 2, 4):
                    h = h @ w[layer] + w[layer + 1]
                    h = h.relu() if layer < 4 else h
                p = h.softmax(-1)
                loss = F.cross_entropy(h, many[1][k, rows[k]]) - 0.5 * (p * p.log()).sum(-1).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    for i, w in enumerate(fitted):
        want = torch.stack([a[i].detach() for a in alone])
        torch.testing.assert_close(w, want, atol=2e-4, rtol=1e-3)


def test_attacks_on_a_plane_are_exact(space):
    """Two classes, a linear model: the threshold is the distance in the largest coordinate."""
    w = normal("plane", 1, 12, 2)
    weights, x = [w, torch.zeros(1, 1, 2)], normal("points", 1, 300, 12)
    h = space["logits"](weights, x)[0]
    distance = (h[:, 0] - h[:, 1]).abs() / (w[0, :, 0] - w[0, :, 1]).abs().sum()
    answer = h.argmax(-1)[None]
    steep = space["gradient"](weights, x, answer, "hard").abs().sum(-1)
    reach = -space["loss"](h[None], answer, "hard") / steep
    torch.testing.assert_close(reach[0], distance)
    up = space["gradient"](weights, x, answer, "soft").sign()
    for factor in (0.3, 1, 3):  # whatever the ruler, within half a step of the grid
        found = space["thresholds"](weights, x, up, reach * factor)[0] / distance
        assert found.log2().abs().max() <= 0.25 + 1e-3
    assert space["thresholds"](weights, x, -up, reach).isinf().all()
    budget = distance.median()
    fooled = space["pgd"](weights, x, answer, budget, 8)[0]
    clear = (distance / budget).log().abs() > 1e-3
    assert torch.equal(fooled[clear], (distance < budget)[clear])


def test_pgd_stays_within_its_budget_and_beats_one_step(space, net):
    weights, x, _ = net
    y, eps = space["logits"](weights, x).argmax(-1), torch.tensor(0.15)
    seen, logits = [], space["logits"]
    space["logits"] = lambda w, at: seen.append(at.detach()) or logits(w, at)
    try:
        fooled = space["pgd"](weights, x, y, eps, 8)
    finally:
        space["logits"] = logits
    assert all((at - x).abs().max() <= eps + 1e-6 for at in seen)
    step = x + eps * space["gradient"](weights, x, y, "soft").sign()
    assert fooled.sum() >= (logits(weights, step).argmax(-1) != y).sum() > 0


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 6])
def test_hill_finds_the_exponent_and_its_error(space, gamma):
    u = torch.rand(2000, 1000, generator=seeds.torch(4, f"exponent {gamma}"))
    found = space["hill"](u ** (1 / gamma), 0.1)
    assert found.mean() == pytest.approx(gamma, rel=0.015)  # without bias
    assert found.std() == pytest.approx(gamma / 10, rel=0.1)  # gamma / sqrt(k)


def test_hill_where_there_is_no_answer(space):
    far = torch.full((2, 100), math.inf)
    far[1] = torch.arange(1, 101)
    assert space["hill"](far, 0.1).isfinite().tolist() == [False, True]
    with pytest.raises(ValueError, match="raise n_test or tail_fraction"):
        space["hill"](far, 0.02)


def test_gaps_of_uniform_logits_follow_their_beta_laws(space):
    from scipy.stats import beta, kstest

    gap = space["gaps"](torch.rand(20_000, 10, generator=seeds.torch(5, "uniform")))
    for j in (2, 3, 4):
        assert kstest(gap[:, j - 1].numpy(), beta(j - 1, 10 - j + 2).cdf).statistic < 0.015
    plain = space["gaps"](torch.tensor([[3.0, 1.0, 4.0]]), ranked=False)
    assert plain.tolist() == [[0, 2, 1]]


def test_survey_of_all_attacks(space, net):
    weights, x, _ = net
    found = space["survey"](weights, x)
    h = space["logits"](weights, x)
    top = h.sort(-1, descending=True).values
    torch.testing.assert_close(found["gap3"], top[..., 0] - top[..., 2])
    assert (found["fgsm"] >= found["reach"] / 5).all()
    near = space["survey"](weights, x, toward=1)["ll"].median()
    assert found["ll"].median() > 1.2 * near  # towards the last class the way is longer


def test_worlds(space):
    world = space["world_of"]
    for name in ("digits", "signals", "random", "islands"):
        x, y = world(name, 900, seeds.rng(6, name))
        assert x.shape == (900, 64) and set(y) == set(range(10))
        if name != "islands":
            assert x.std() == pytest.approx(1, abs=0.05)
    centre = np.array([x[y == k].mean(0) for k in range(10)])
    assert np.abs(centre).mean() == pytest.approx(1, abs=0.05)  # the corners of the cube
    x, y = world("random", 20_000, seeds.rng(6, "nothing to learn"))
    assert np.abs([x[y == k].mean(0) for k in range(10)]).max() < 0.12
    again = world("signals", 50, seeds.rng(7, "s"))[0]
    assert (again == world("signals", 50, seeds.rng(7, "s"))[0]).all()


@pytest.mark.parametrize("worlds", [["random", "digits"], ["digits", "faces"]])
def test_worlds_that_cannot_be_are_one_sentence(space, worlds):
    with pytest.raises(ValueError, match="allowed are digits, signals"):
        exec(compile(cell("worlds"), "<worlds>", "exec"), dict(space, worlds=worlds))
