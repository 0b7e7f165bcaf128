"""The loop against a plain one, its promises of sameness, and its schedules."""

import math

import numpy as np
import pytest
import torch
from seedbook import seeds
from seedbook.training import (
    draw_perceptrons,
    learning_rate,
    next_token_loss,
    perceptrons,
    resolve,
    train,
)
from seedbook.transformer import Transformer
from torch import nn
from torch.nn import functional as F
from transformers import get_cosine_schedule_with_warmup

STEPS = 12
IDS = torch.randint(7, (STEPS, 4, 9), generator=seeds.torch(1, "ids"))


def make(device="cpu"):
    return Transformer(7, 8, d_model=16, generator=seeds.torch(1, "model")).to(device)


def data(step):
    return IDS[step]


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("clip", [None, 0.05])
def test_is_the_plain_loop(clip):
    ours, plain = make(), make()
    options = {"warmup": 3, "betas": (0.8, 0.9), "weight_decay": 0.3}
    history, _ = train(ours, data, STEPS, lr=0.02, clip=clip, **options)

    matrices = [p for p in plain.parameters() if p.ndim > 1]
    vectors = [p for p in plain.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=0.02, betas=(0.8, 0.9), fused=False)
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, 0.02, warmup=3, schedule="cosine")
        loss = F.cross_entropy(plain(data(step)[:, :-1]).transpose(1, 2), data(step)[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            norm = torch.cat([p.grad.flatten() for p in plain.parameters()]).norm()
            assert norm > clip  # else nothing is tried here
            for p in plain.parameters():
                p.grad.mul_(clip / norm)
        optimizer.step()
        losses.append(loss.item())
    torch.testing.assert_close(weights(ours), weights(plain), rtol=1e-3, atol=1e-5)
    assert history["loss"].to_numpy() == pytest.approx(losses, abs=1e-5)
    assert history["step"].tolist() == list(range(1, STEPS + 1))


def test_learns():
    model = make()
    history, _ = train(model, lambda step: IDS[0], 150, lr=1e-2)
    assert history["loss"].iloc[0] == pytest.approx(math.log(7), abs=0.1)
    assert history["loss"].iloc[-1] < 0.3


@pytest.mark.parametrize("cut", [0, 5, STEPS])
def test_resumes_exactly(cut):
    whole, first, second = make(), make(), make()
    options = {"lr": 0.02, "warmup": 2, "weight_decay": 0.1}
    expected, end = train(whole, data, STEPS, **options)
    begun, state = train(first, data, STEPS, stop=cut, **options)
    kept = {name: value.clone() for name, value in state["model"].items()}
    going, _ = train(first, data, STEPS, start=state, **options)  # leaves the state alone
    assert all(torch.equal(kept[name], value) for name, value in state["model"].items())
    rest, last = train(second, data, STEPS, start=state, **options)
    assert torch.equal(weights(second), weights(whole))
    assert torch.equal(weights(first), weights(whole))
    assert rest.equals(going)
    assert np.array_equal(
        np.concatenate([begun["loss"].to_numpy(float), rest["loss"].to_numpy(float)]),
        expected["loss"].to_numpy(),
    )
    assert last["step"] == end["step"] == STEPS
    assert begun.columns.tolist() == ["step", "loss", "lr"]


def test_the_same_twice():
    a, b = make(), make()
    train(a, data, STEPS, lr=0.02)
    train(b, data, STEPS, lr=0.02)
    assert torch.equal(weights(a), weights(b))


def test_cosine_as_transformers():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    scheduler = get_cosine_schedule_with_warmup(optimizer, 4, 20)
    for step in range(20):
        if step >= 4:
            found = learning_rate(step, 20, 0.5, warmup=4, schedule="cosine")
            assert found == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_schedules():
    rates = {
        s: [learning_rate(i, 100, 2.0, warmup=10, schedule=s) for i in range(100)]
        for s in ("constant", "cosine", "trapezoid")
    }
    for rate in rates.values():
        assert rate[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert set(rates["constant"][10:]) == {2.0}
    assert rates["trapezoid"][10:70] == [2.0] * 60
    assert np.diff(rates["trapezoid"][70:]) == pytest.approx(-2 / 30)
    assert 0 < rates["trapezoid"][-1] < 0.1 and 0 < rates["cosine"][-1] < 0.01
    with pytest.raises(ValueError, match="'constant', 'cosine', 'trapezoid'"):
        learning_rate(5, 10, 1.0, schedule="linear")


def test_evaluates():
    seen = []

    def evaluate(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return {"size": weights(model).norm().item()}

    model, same = make(), make()
    history, _ = train(model, data, STEPS, lr=0.02, evaluate=evaluate, every=5)
    train(same, data, STEPS, lr=0.02)
    assert history.dropna()["step"].tolist() == [5, 10, 12]
    assert seen == 3 * [(False, False)]
    assert history["size"].iloc[-1] == weights(model).norm().item()
    assert torch.equal(weights(model), weights(same)) and not model.training


def test_loss_of_chosen_positions_and_of_one_s_own():
    model = make()
    inputs, targets = IDS[0][:, :-1], IDS[0][:, 1:].clone()
    assert torch.equal(next_token_loss(model, IDS[0]), next_token_loss(model, (inputs, targets)))
    targets[:, :-1] = -100
    last = F.cross_entropy(model(inputs)[:, -1], IDS[0][:, -1])
    torch.testing.assert_close(next_token_loss(model, (inputs, targets)), last)

    linear = nn.Linear(3, 1)
    x, y = torch.randn(8, 3, generator=seeds.torch(1, "x")), torch.ones(8, 1)
    square = lambda model, batch: ((model(batch[0]) - batch[1]) ** 2).mean()  # noqa: E731
    history, _ = train(linear, lambda step: (x, y), 300, lr=0.05, loss=square)
    assert history["loss"].iloc[-1] < 1e-3


def test_frozen_weights_stay():
    model = make()
    model.embedding.weight.requires_grad_(False)
    before = model.embedding.weight.clone()
    train(model, data, STEPS, lr=0.02, weight_decay=0.5)
    assert torch.equal(model.embedding.weight, before)


def test_progress_is_shown_only_if_asked_for(capsys):
    train(make(), data, 2, lr=0.02)
    assert capsys.readouterr() == ("", "")
    train(make(), data, 2, lr=0.02, desc="a name")
    out, err = capsys.readouterr()
    assert out == "" and "a name: 100%" in err and "2/2" in err


def test_errors():
    with pytest.raises(FloatingPointError, match="loss of update 2 is not finite: lower lr"):
        train(make(), data, STEPS, lr=1e30, clip=None)
    with pytest.raises(ValueError, match="from step 0 to 13 of 12"):
        train(make(), data, STEPS, lr=0.02, stop=STEPS + 1)
    _, state = train(make(), data, STEPS, lr=0.02)
    with pytest.raises(ValueError, match="from step 12 to 3 of 12"):
        train(make(), data, STEPS, lr=0.02, start=state, stop=3)


def test_resolve():
    assert resolve("cpu").type == "cpu"
    assert resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_on_cuda(compiled):
    gpu, cpu = make("cuda"), make()
    options = {"lr": 1e-2, "compiled": compiled}
    history, state = train(gpu, lambda step: IDS[0], 150, **options)
    expected, _ = train(cpu, lambda step: IDS[0], 150, lr=1e-2)
    assert history["loss"].iloc[-1] == pytest.approx(expected["loss"].iloc[-1], abs=0.1)
    assert next(gpu.parameters()).dtype == torch.float32
    again = make("cuda")
    rest, _ = train(again, lambda step: IDS[0], 151, start=state, **options)
    assert len(rest) == 1 and rest["loss"].iloc[0] < 0.5


@pytest.mark.parametrize("sizes", [[7, 4], [7, 5, 4], [7, 5, 6, 4]])
def test_stacked_perceptrons_are_torch_networks(sizes):
    weights = draw_perceptrons(3, sizes, seeds.torch(0, "stack"))
    x = torch.randn(3, 11, 7, generator=seeds.torch(1, "x"))
    for k in range(3):
        network = nn.Sequential()
        for w, b in zip(weights[::2], weights[1::2], strict=True):
            linear = nn.Linear(*w.shape[1:])
            linear.weight.data, linear.bias.data = w[k].T.clone(), b[k, 0].clone()
            network.extend([linear, nn.ReLU()])
        torch.testing.assert_close(perceptrons(weights, x)[k], network[:-1](x[k]))


def test_perceptrons_are_drawn_as_torch_draws_them():
    for w in draw_perceptrons(200, [9, 9, 9, 9], seeds.torch(2, "many")):
        assert 0.32 < w.abs().max() <= 1 / 3
        assert w.std() == pytest.approx(1 / 3 / 3**0.5, rel=0.05)  # of a uniform law
