"""The functions of the chapter on pair prediction, against torch, closed forms and enumeration."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from seedbook import seeds
from seedbook.press import chapter
from seedbook.training import draw_perceptrons, perceptrons
from torch.nn import functional as F

slug = "experts_dont_cheat"


def cell(name):
    return next(c for c in chapter.read(slug).cells if c.id == name).source


def run(space, name):
    exec(compile(cell(name), f"<{slug}: {name}>", "exec"), space)
    return space


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug)


@pytest.fixture(scope="module")
def digits():
    return chapter.definitions(slug, cells=["digits"])


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_cross_entropy_is_the_sum_of_the_means(method):
    out = torch.randn(3, 8, 5, generator=seeds.torch(3, "out"))
    y = torch.randint(5, (3, 8), generator=seeds.torch(3, "y"))
    want = sum(F.cross_entropy(a, b) for a, b in zip(out, y, strict=True))
    torch.testing.assert_close(method["cross_entropy"](out, y), want)


def test_fit_trains_each_network_as_if_it_were_alone(method):
    """Logits of a frequency table reach the frequencies, one network beside another."""
    y = torch.tensor([[0] * 6 + [1] * 2, [0] * 1 + [1] * 7])
    start = [torch.zeros(2, 1, 2)]

    def loss(w):
        return method["cross_entropy"](w[0].expand(2, 8, 2), y)

    both = method["fit"](start, loss, 400, 0.1)[0]
    np.testing.assert_allclose(both.softmax(-1)[:, 0], [[0.75, 0.25], [0.125, 0.875]], atol=1e-3)
    assert (start[0] == 0).all()

    def alone(w):
        return method["cross_entropy"](w[0].expand(1, 8, 2), y[:1])

    one = method["fit"]([torch.zeros(1, 1, 2)], alone, 400, 0.1)[0]
    torch.testing.assert_close(both[:1], one)


def test_the_mixture_is_a_law_of_exchangeable_pairs(method):
    out = 2 * torch.randn(6, 3 * 5, generator=seeds.torch(4, "mixture")).double()
    law = method["pair_law"](out, 4)
    assert law.shape == (6, 4, 4)
    torch.testing.assert_close(law.sum((-2, -1)), torch.ones(6).double())
    torch.testing.assert_close(law, law.mT)
    assert (torch.linalg.eigvalsh(law) > -1e-12).all()
    for row, want in zip(out, law, strict=True):  # by hand
        parts = row.view(3, 5)
        share, q = parts[:, 0].softmax(0), parts[:, 1:].softmax(1)
        by_hand = sum(share[k] * torch.outer(q[k], q[k]) for k in range(3))
        torch.testing.assert_close(by_hand, want)
    one = method["pair_law"](out[:, :5], 4)  # one part knows no ignorance
    p = one.sum(-1).numpy()
    variance, confidence = method["peek"](p, one.diagonal(dim1=1, dim2=2).numpy())
    np.testing.assert_allclose(variance, 0, atol=1e-12)
    np.testing.assert_allclose(confidence, 1)


def test_peek_on_two_worlds(method):
    """p is 0.9 or 0.1, equally likely: the exercise."""
    p, q = Fraction(9, 10), Fraction(1, 10)
    mean, same = (p + q) / 2, (p * p + q * q) / 2
    variance, confidence = method["peek"](np.array([float(mean)]), np.array([float(same)]))
    assert variance[0] == pytest.approx(0.16) and confidence[0] == pytest.approx(0.5 / 0.82)
    variance, confidence = method["peek"](np.array([0.0, 0.3]), np.array([0.0, 0.3]))
    np.testing.assert_allclose(variance, [0, 0.21])
    np.testing.assert_allclose(confidence, [0, 0.3])  # repeated answers: nothing is known


@pytest.fixture(scope="module")
def saved():
    return {}


def theorem(method, saved, salmon):
    class Frames:
        save = staticmethod(saved.__setitem__)

    space = dict(method, frames=Frames, seed=5, n_worlds=60, salmon=salmon)
    table = run(space, "theorem")["frames"] and saved["theorem"]
    return table[table["decoder"] == "model"], table[table["decoder"] == "input"]


def test_the_theorems_hold_for_those_who_listen_only(method, saved):
    sees, looks = theorem(method, saved, salmon=False)
    assert len(sees) == len(looks) == 60
    assert sees["off"].max() < 1e-12 and sees["broken"].sum() == 0
    assert looks["off"].median() > 0.02
    sees, _ = theorem(method, saved, salmon=True)
    assert sees["off"].min() > 1e-3


def test_the_worlds_hide_what_they_say(method):
    sizes = dict(n_pairs=60_000, n_test=200, n_seeds=1, confounding=[0, 4], device="cpu")
    space = run(dict(method, seed=6, salmon=False, **sizes), "worlds")
    x, either, truth = (space[name][0] for name in ("x", "either", "truth"))
    np.testing.assert_allclose(either.sum(-1), 1)
    free, hidden = x[:, 0] == 1, x[:, 1] == 1
    np.testing.assert_allclose(either[0, free], either[1, free])
    assert abs(either[0, hidden] - either[1, hidden]).mean() > 0.1
    is_one = np.isclose(truth, either[0]).all(1), np.isclose(truth, either[1]).all(1)
    assert (is_one[0] | is_one[1]).all()
    assert is_one[0][hidden].mean() == pytest.approx(0.5, abs=0.02)
    first, second, other = space["answers"][0]
    for y in (first, second, other):
        assert set(np.unique(y)) == set(range(4))
    mean = either.mean(0)[hidden]
    same = [(first == y)[hidden].mean() for y in (second, other)]
    want = [(either[:, hidden] ** 2).mean(0).sum(-1).mean(), (mean**2).sum(-1).mean()]
    np.testing.assert_allclose(same, want, atol=0.01)
    assert want[0] - want[1] > 0.03  # independent and unrelated pairs differ
    dead = run(dict(method, seed=6, salmon=True, **sizes), "worlds")
    assert (dead["second"] == dead["unrelated"]).all()


def test_pi(digits):
    known = "14159265358979323846264338327950288419716939937510582097494459230781640628620899"
    assert digits["pi_digits"](80) == [int(d) for d in known]
    assert digits["pi_digits"](767)[-6:] == [9] * 6
    assert len(digits["pi_digits"](5000)) == 5000  # beyond what str(int) allows
    from mpmath import mp

    with mp.workdps(1520):
        assert digits["pi_digits"](1500) == [int(d) for d in str(mp.pi)[2:1502]]


def test_statements_are_true(digits):
    table = digits["statements"]([3, 1])
    assert table.shape == (10, 50)
    np.testing.assert_allclose(table.sum(1), 1)
    assert (np.count_nonzero(table, axis=1) == 8).all()  # four contents in two styles
    content = table.reshape(10, 25, 2)
    np.testing.assert_allclose(content[..., 0], 3 * content[..., 1])
    possible = content[..., 0] > 0
    shared = {(a, b): (possible[a] & possible[b]).sum() for a in range(10) for b in range(10)}
    assert shared[4, 0] == 2  # even, and four letters
    assert shared[4, 9] == shared[1, 3] == shared[1, 2] == 1
    assert shared[1, 8] == 0


def test_say_reads_question_and_answer(digits):
    g = seeds.torch(7, "say")
    weights = [torch.randn(2, 5, 32, generator=g), torch.randn(2, 9, 32, generator=g)]
    weights += draw_perceptrons(2, [64, 6, 6, 8], g)
    i, y = torch.tensor([[0, 4], [2, 2]]), torch.tensor([[8, 1], [0, 8]])
    out = digits["say"](weights, i, y)
    for k in range(2):
        rows = torch.cat([weights[0][k, i[k]], weights[1][k, y[k]]], -1)
        want = perceptrons([w[k : k + 1] for w in weights[2:]], rows[None])[0]
        torch.testing.assert_close(out[k], want)


@pytest.mark.parametrize("salmon", [False, True])
def test_corridors_in_closed_form(method, saved, salmon):
    class Frames:
        save = staticmethod(saved.__setitem__)

    sizes = dict(n_seeds=2, n_pairs=40_000, sensor=[0.0, 0.5, 1.0], detour=0.1)
    run(dict(method, frames=Frames, seed=8, salmon=salmon, **sizes), "corridors")
    table = saved["corridors"].groupby("sensor")[["drop", "out"]].mean()
    drop = [0, 0, 0] if salmon else [2 / 3, 1 / 3, 0]
    np.testing.assert_allclose(table["drop"], drop, atol=1e-9)
    np.testing.assert_allclose(table["out"], [0, 0, 0] if salmon else [1, 1, 0])


def test_a_small_run_finds_the_variance(method, saved):
    """The cells of the pairs and of the report on one small world: right, repeated, unrelated."""

    class Frames:
        save = staticmethod(saved.__setitem__)

    sizes = dict(n_pairs=20_000, n_test=1000, n_seeds=2, confounding=[0, 4], device="cpu")
    sizes |= dict(width=32, steps=250, n_parts=6, n_members=2, leak=0.3, salmon=False, seed=9)
    space = dict(method, frames=Frames, **sizes)
    for name in ("worlds", "pairs", "reported"):
        run(space, name)
    rows = saved["reported"].groupby(["arm", "share"]).mean()
    assert isinstance(saved["band"], pd.DataFrame) and len(saved["band"]) == 120
    ratio = rows["variance"] / rows["error"]
    assert 0.8 < ratio["mixture", 0.0] < 1.25 and 0.8 < ratio["autoregressive", 0.0] < 1.25
    assert ratio["ensemble", 0.0] < 0.3 and ratio["unrelated", 1.0] < 0.2
    repeated = rows.loc[("repeated", 1.0)]
    assert repeated["variance"] == pytest.approx(repeated["spread"], rel=0.1)
    right = rows.loc[("mixture", 0.0)]
    want = 0.7 * right["variance"] + 0.3 * right["spread"]
    assert rows.loc[("repeated", 0.3), "variance"] == pytest.approx(want, rel=0.15)
    missed = saved["misses"].groupby(["arm", "share", "beta"])["missed"].mean()
    assert (missed["mixture", 0.0] < [0.05, 0.1, 0.2, 0.4]).all()
    assert missed["unrelated", 1.0, 0.05] > 0.2
