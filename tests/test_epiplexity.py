"""The functions of the chapter on epiplexity: closed forms, brute force, plain torch."""

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.press import chapter
from torch.nn import functional as F

slug = "epiplexity"


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug, cells=("codes",))


def states(width):
    return torch.cartesian_prod(*[torch.tensor([0, 1], dtype=torch.uint8)] * width)


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("rule", [0, 15, 30, 54, 110, 255])
def test_automata_follow_their_number(method, rule):
    """Cell by cell, as the rule's binary digits say, with the ring closed."""
    x = states(6)[::5]
    want = [
        [
            int(f"{rule:08b}"[7 - int(f"{row[i - 1]}{row[i]}{row[(i + 1) % 6]}", 2)])
            for i in range(6)
        ]
        for row in x.tolist()
    ]
    assert method["evolve"](x, rule, 1).tolist() == want
    twice = method["evolve"](method["evolve"](x, rule, 1), rule, 1)
    assert torch.equal(method["evolve"](x, rule, 2), twice)
    assert torch.equal(method["evolve"](x, rule, 0), x)


def test_rule_15_shifts_and_complements(method):
    x = method["bits"]((20, 9), seeds.torch(0, "x"))
    assert torch.equal(method["evolve"](x, 15, 1), 1 - x.roll(1, -1))
    assert torch.equal(method["evolve"](x, 15, 8), x.roll(8, -1))


def test_entropy(method):
    x = states(8)
    assert method["entropy"](x) == pytest.approx(8)
    assert method["entropy"](x[:, :3]) == pytest.approx(3)
    assert method["entropy"](method["evolve"](x, 15, 5)) == pytest.approx(8)  # a bijection
    assert method["entropy"](method["evolve"](x, 54, 5)) < 7
    assert method["entropy"](torch.zeros(16, 2)) == pytest.approx(0)
    three_to_one = torch.tensor([[0], [0], [0], [1]])
    assert method["entropy"](three_to_one) == pytest.approx(2 - 0.75 * np.log2(3))


def test_bits(method):
    x = method["bits"]((100_000,), seeds.torch(0, "bits"), 0.2)
    assert x.dtype == torch.uint8
    assert x.float().mean() == pytest.approx(0.2, abs=0.005)


def random_weights(method, n, sizes):
    weights = method["perceptrons"](n, sizes, seeds.torch(1, "weights"))
    generator = seeds.torch(2, "last")
    return weights[:4] + [torch.randn(w.shape, generator=generator) for w in weights[4:]]


def test_the_first_loss_is_one_bit(method):
    weights = method["perceptrons"](3, [4, 8, 8, 5], seeds.torch(1, "weights"))
    x = torch.randn(3, 7, 4, generator=seeds.torch(2, "x"))
    y = method["bits"]((3, 7, 5), seeds.torch(3, "y")).float()
    assert method["prequential"](weights, [(x, y)], 1e-3) == pytest.approx(1, abs=1e-6)


def test_masks_give_a_probability(method):
    """Products over the cells sum to one over all targets, and no cell sees itself."""
    width, hidden = 4, 11
    weights = random_weights(method, 1, [2 * width, hidden, hidden, width])
    masks = method["order_masks"](width, hidden, "cpu")
    masked = [w * m for w, m in zip(weights, masks, strict=True)]
    y = states(width).float()
    given = torch.tensor([1.0, -1, -1, 1]).expand(len(y), width)
    out = method["logits"](masked, torch.cat([given, 2 * y - 1], 1)[None])[0]
    log_p = -F.binary_cross_entropy_with_logits(out, y, reduction="none").sum(1)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)
    x = torch.zeros(1, 2 * width, requires_grad=True)
    for j in range(width):
        row = method["logits"](masked, x[None])[0, 0, j]
        (seen,) = torch.autograd.grad(row, x)
        assert (seen[0, width + j :] == 0).all() and (seen[0, :width] != 0).all()
        assert (seen[0, width : width + j] != 0).all()  # and all that it may see


def test_unmasked_products_are_no_probability(method):
    """The check above can fail: without masks the products do not sum to one."""
    weights = random_weights(method, 1, [8, 11, 11, 4])
    y = states(4).float()
    out = method["logits"](weights, torch.cat([0 * y, 2 * y - 1], 1)[None])[0]
    log_p = -F.binary_cross_entropy_with_logits(out, y, reduction="none").sum(1)
    assert abs(log_p.exp().sum().item() - 1) > 0.01


def test_stacked_observers_learn_as_if_alone(method):
    weights = random_weights(method, 3, [5, 6, 6, 2])
    generator = seeds.torch(4, "data")
    batches = [
        (torch.randn(3, 9, 5, generator=generator), method["bits"]((3, 9, 2), generator).float())
        for _ in range(6)
    ]
    losses = method["prequential"](weights, batches, 1e-2)
    for k in range(3):
        layers = []
        for w, b in zip(weights[::2], weights[1::2], strict=True):
            linear = torch.nn.Linear(*w.shape[1:])
            linear.weight.data, linear.bias.data = w[k].T.clone(), b[k, 0].clone()
            layers += [linear, torch.nn.GELU()]
        alone = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(alone.parameters(), 1e-2)
        for i, (x, y) in enumerate(batches):
            loss = F.binary_cross_entropy_with_logits(alone(x[k]), y[k])
            assert losses[i, k] == pytest.approx(loss.item() / np.log(2), rel=1e-4)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_divergence_is_that_of_torch(method):
    p, q = torch.randn(2, 4, 5, 6, generator=seeds.torch(5, "pq"))
    of = torch.distributions.Bernoulli
    want = torch.distributions.kl_divergence(of(logits=p), of(logits=q)).mean((1, 2))
    torch.testing.assert_close(method["divergence"](p, q), want / np.log(2))
    assert method["divergence"](p, p).abs().max() < 1e-7


def learnable(method, n_updates):
    """Rule 15 one step on, for two stacked observers."""
    generator = seeds.torch(6, "stream")
    for _ in range(n_updates):
        x = method["bits"]((2, 16, 6), generator)
        yield x * 2.0 - 1, method["evolve"](x, 15, 1).float()


def test_pupils_pay_nothing_for_a_teacher_that_has_nothing_to_say(method):
    weights = method["perceptrons"](2, [6, 16, 16, 6], seeds.torch(7, "weights"))

    def run(rate):
        pupils = seeds.torch(8, "pupils")
        return method["requential"](weights, learnable(method, 120), rate, 0.9, pupils)

    losses, paid = run(5e-3)
    assert losses.shape == paid.shape == (120, 2)
    assert paid[0] == pytest.approx(0, abs=1e-7)  # the same initial weights
    assert (paid[40:].sum(0) > 0.1).all() and (paid > -1e-6).all()
    assert losses[-1].max() < 0.3 < losses[0].min()
    teachers = method["prequential"](weights, learnable(method, 120), 5e-3)
    assert losses == pytest.approx(teachers, rel=1e-3, abs=1e-4)  # pupils do not disturb
    _, paid = run(0.0)
    assert paid == pytest.approx(0, abs=1e-7)


def test_two_parts_make_the_whole_code(method):
    losses = 0.3 + np.exp(-np.arange(200)[:, None] / np.array([10, 40]))
    table = method["two_part"](["a"], losses, 50)
    assert list(table.columns) == ["arm", "seed", "s", "h"] and len(table) == 2
    whole = losses.sum(0) * 50
    assert (table["s"] * 1e3 + table["h"] * 50 * 200).to_numpy() == pytest.approx(whole, rel=1e-9)
    assert table["s"][1] > table["s"][0] > 0
    flat = method["two_part"](["a", "b"], np.full((30, 4), 0.7), 64)
    assert flat["s"].abs().max() < 1e-9 and flat["h"].to_numpy() == pytest.approx(0.7)
    assert flat["arm"].tolist() == ["a", "a", "b", "b"] and flat["seed"].tolist() == [0, 1, 0, 1]
