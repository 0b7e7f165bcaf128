"""The functions of the chapter on random calculation: by hand, by torch, by brute force."""

import itertools

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.press import chapter
from torch.nn import functional as F

slug = "random_calculation"


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug)


@pytest.fixture(scope="module")
def world():
    return chapter.definitions(slug, cells=["world"])


@pytest.fixture(scope="module")
def weights(method):
    return method["draw_decoders"](3, 12, 11, 16, 4, 2, seeds.torch(1, "weights"))


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def alone(weights, k, ids):
    """Logits of network k for ids (b, t), with torch's own modules and an explicit mask."""
    embedding, position, head, *blocks = (w[k] for w in weights)
    (b, t), d = ids.shape, head.shape[0]
    x = embedding[ids] + position[:t]
    mask = torch.full((t, t), -torch.inf).triu(1)
    for qkv, out, up, down in zip(*[iter(blocks)] * 4, strict=True):
        y = F.layer_norm(x, (d,))
        q, k_, v = (torch.einsum("btd,dhe->bhte", y, m) for m in qkv.unbind(1))
        share = (q @ k_.transpose(2, 3) / q.shape[-1] ** 0.5 + mask).softmax(-1)
        x = x + (share @ v).transpose(1, 2).reshape(b, t, d) @ out
        x = x + F.layer_norm(x, (d,)).matmul(up).relu() @ down
    return F.layer_norm(x, (d,)) @ head


def test_each_decoder_of_the_stack_runs_alone(method, weights):
    ids = torch.randint(12, (3, 5, 9), generator=seeds.torch(2, "ids"))
    scores, _ = method["run_decoders"](weights, ids)
    for k in range(3):
        torch.testing.assert_close(scores[k], alone(weights, k, ids[k]), atol=1e-5, rtol=1e-4)
    log_p = method["log_probs"](weights, ids, 4)
    want = scores.log_softmax(-1)[:, :, 4:-1].gather(-1, ids[..., 5:, None])[..., 0]
    torch.testing.assert_close(log_p, want)


def test_greedy_continuations_are_the_likeliest_tokens(method, weights):
    """With keys kept, as without; also when only some tokens are allowed."""
    ids = torch.randint(12, (3, 4, 6), generator=seeds.torch(3, "ids"))
    for allowed in (torch.ones(12, dtype=bool), torch.arange(12) < 5):
        out = method["respond"](weights, ids, 4, allowed=allowed)
        whole = ids
        for _ in range(4):
            scores = method["run_decoders"](weights, whole)[0][:, :, -1]
            best = scores.masked_fill(~allowed, -torch.inf).argmax(-1)
            whole = torch.cat([whole, best[..., None]], -1)
        assert (out == whole[..., 6:]).all()


def test_samples_have_the_probabilities_of_the_model(method, weights):
    ids = torch.randint(12, (3, 2, 6), generator=seeds.torch(4, "ids"))
    n = 20_000
    out = method["respond"](weights, ids, 1, seeds.torch(5, "draw"), n).view(3, 2, n)
    p = method["run_decoders"](weights, ids)[0][:, :, -1].softmax(-1)
    seen = F.one_hot(out, 12).double().mean(2)
    assert (seen - p).abs().max() < 5 * 0.5 / n**0.5
    assert not (out[:, 0] == out[:, 1]).all()


def test_objective_by_hand(method):
    r = torch.tensor([1.0, 0, 0, 1])
    a = (r - 0.5) / (np.sqrt(1 / 3) + 1e-4)
    ratio = torch.tensor([[1.5], [1.5], [0.5], [0.5]])  # of one token an answer
    want = (1.2 * a[0] + 1.5 * a[1] + 0.8 * a[2] + 0.5 * a[3]) / 4
    assert method["objective"](ratio, r, 0.2) == pytest.approx(float(want), rel=1e-5)
    assert method["objective"](ratio, torch.ones(4), 0.2) == 0  # equal rewards say nothing
    open_ = method["objective"](ratio, r, 100.0)
    assert open_ == pytest.approx(float((ratio[:, 0] * a).mean()), rel=1e-5)


def test_coins_push_nowhere_in_the_mean(method):
    """The gradient of the first step over all rewards of a group cancels; of skill, it does not."""
    theta = torch.zeros(3, requires_grad=True)
    actions = torch.tensor([0, 1, 2, 2])
    total, useful = torch.zeros(3), torch.zeros(3)
    for coins in itertools.product((0.0, 1.0), repeat=4):
        log_p = theta.log_softmax(0)[actions]
        ratio = (log_p - log_p.detach()).exp()[:, None]
        value = method["objective"](ratio, torch.tensor(coins), 0.2)
        total += torch.autograd.grad(value, theta)[0]
    log_p = theta.log_softmax(0)[actions]
    ratio = (log_p - log_p.detach()).exp()[:, None]
    value = method["objective"](ratio, (actions == 2).float(), 0.2)
    useful += torch.autograd.grad(value, theta)[0]
    assert total.abs().max() < 1e-5 and useful[2] > 0.1


def test_problems_are_numbered_without_gap_or_repeat(world):
    steps, p = 2, 3
    space = 3**steps * p ** (steps + 1)
    digits, operators = world["decode"](torch.arange(space), steps, p)
    found = set(map(tuple, torch.cat([digits, operators], -1).tolist()))
    every = itertools.product(*[range(p)] * (steps + 1), *[range(3)] * steps)
    assert len(found) == space and found == set(every)


def test_solutions_against_python(world):
    p, steps = 7, 4
    codes = torch.randint(3**steps * p ** (steps + 1), (50,), generator=seeds.torch(6, "codes"))
    digits, operators = world["decode"](codes, steps, p)
    solution = world["solve"](digits, operators, p)
    ids = world["write"](digits, operators, p, False)
    for i in range(50):
        text = "".join("0123456"[t] if t < p else "+-*"[t - p] for t in ids[i, 1:-1].tolist())
        value = text[0]
        for k in range(steps):
            value = str(eval(f"({value}) {text[2 * k + 1]} {text[2 * k + 2]}"))
            assert solution[i, k] == int(value) % p, text
    assert (ids[:, 0] == p + 4).all() and (ids[:, -1] == p + 3).all()
    assert (world["write"](digits, operators, p, True)[:, 0] == p + 5).all()


def test_work_goes_on_from_a_slip(world):
    digits, operators = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[0, 2, 1]])
    assert world["solve"](digits, operators, 5).tolist() == [[3, 4, 0]]
    slips = torch.tensor([[-1, 2, -1]])
    assert world["solve"](digits, operators, 5, slips).tolist() == [[3, 2, 3]]


def test_held_out_problems_are_never_drawn(world):
    how = {"generator": seeds.torch(7, "fresh")}
    banned = torch.arange(40).view(2, 20)
    drawn = world["draw_problems"]((2, 500), 60, banned, how)
    assert set(drawn[0].tolist()) == set(range(20, 60))
    assert set(drawn[1].tolist()) == {*range(20), *range(40, 60)}


def test_rewards_by_hand(world):
    last = torch.tensor([2, 3, 9]).expand(4, 1, 3)  # right, wrong, chatter; modulo 5
    right, coins = torch.tensor([[2]]), torch.ones(4, 1, 3)
    r = world["rewards"](last, right, coins, 5)[:, 0].tolist()
    assert r == [[1, 0, 0], [1, 1, 1], [1, 1, 0], [0, 1, 1]]
    r = world["rewards"](last, right, 0 * coins, 5)[:, 0].tolist()
    assert r == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1]]


def test_by_set_crosses_the_twins(world):
    """Problem effects cancel between read and unread: only what a twin has read remains."""
    hard = torch.rand(6, generator=seeds.torch(8, "hard"))  # benchmarks of two, two fresh
    values = hard.expand(1, 3, 2, 6).clone()
    values[:, :, 0, :2] += 0.5
    values[:, :, 1, 2:4] += 0.5
    read, unread, fresh = world["by_set"](values, 2)[0].unbind(-1)  # (pairs, twins)
    torch.testing.assert_close((read - unread).mean(1), torch.full((3,), 0.5))
    torch.testing.assert_close(read[0], torch.stack([hard[:2].mean(), hard[2:4].mean()]) + 0.5)
    torch.testing.assert_close(fresh, hard[4:].mean().expand(3, 2))


@pytest.mark.parametrize("change", [{"n_steps": 1}, {"width": 30}])
def test_impossible_sizes_are_one_sentence(world, change):
    cell = next(c for c in chapter.read(slug).cells if c.id == "pretraining").source
    space = dict(world, device="cpu", modulus=5, n_steps=3, n_bench=32, n_fresh=128)
    space |= {"width": 32, "n_heads": 4} | change
    with pytest.raises(ValueError, match="must be"):
        exec(compile(cell, "<pretraining>", "exec"), space)
