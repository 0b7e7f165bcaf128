"""The functions of the chapter on Canon layers, against torch, by hand and by simulation."""

import numpy as np
import pytest
import torch
from scipy.stats import nct
from seedbook import seeds, training
from seedbook.press import catalog, chapter
from seedbook.transformer import Transformer
from torch.nn import functional as F

slug = "canon_layers"
TASK = (5, 9, 3, 7)  # nodes, names, hops, queries


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug)


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


@pytest.mark.parametrize("kernel", [1, 2, 4, 8])
def test_canon_is_a_causal_depthwise_convolution_and_the_residual(method, kernel):
    canon = method["Canon"](6, kernel, seeds.torch(0, "canon"))
    h = torch.randn(3, 11, 6, generator=seeds.torch(1, "states"))
    filters = canon.weight.T.flip(1)[:, None]  # (channels, 1, kernel): the last tap is lag 0
    want = h + F.conv1d(F.pad(h.mT, (kernel - 1, 0)), filters, groups=6).mT
    torch.testing.assert_close(canon(h), want)


def test_canon_sees_the_past_as_far_as_its_kernel(method):
    canon = method["Canon"](4, 3, seeds.torch(0, "canon"))
    h = torch.randn(1, 10, 4, generator=seeds.torch(1, "states"))
    other = h.clone()
    other[0, 5] += 1
    moved = (canon(other) - canon(h)).abs().amax(2)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == [5, 6, 7]


def test_the_neighbours_of_the_salmon_are_strangers(method):
    canon = method["Canon"](4, 4, seeds.torch(0, "canon"), strangers=True)
    h = torch.randn(3, 8, 4, generator=seeds.torch(1, "states"))
    plain = method["Canon"](4, 4, seeds.torch(0, "canon"))
    assert (canon.weight == plain.weight).all()
    other = h.clone()
    other[1, 2] += 1
    moved = (canon(other) - canon(h)).abs().amax(2) > 1e-6
    assert moved[1].nonzero().flatten().tolist() == [2]  # its own later tokens see nothing
    assert moved[2].nonzero().flatten().tolist() == [3, 4, 5] and not moved[0].any()


def test_first_weights_and_freezing(method):
    canon = method["Canon"](20_000, 4, seeds.torch(2, "canon"), frozen=True)
    assert canon.weight.abs().max() <= 0.5
    assert canon.weight.std().item() == pytest.approx(12**-0.5, rel=0.02)
    assert not canon.weight.requires_grad


@pytest.mark.parametrize("beyond", [0, 3])
def test_answers_follow_the_edges(method, beyond):
    n_nodes, n_names, max_hops, n_queries = TASK
    ids, answers, hops = method["ask"](seeds.rng(0, "puzzle"), 50, *TASK, beyond)
    assert ids.shape == (50, 1 + 2 * n_nodes + beyond + 2 * n_queries)
    assert answers.shape == hops.shape == (50, n_queries)
    for row, right, walked in zip(ids.tolist(), answers.tolist(), hops.tolist(), strict=True):
        assert row[0] == n_names
        edges, queries = row[1 : -2 * n_queries], row[-2 * n_queries :]
        if beyond:
            assert edges[n_nodes:-n_nodes] == [n_names] * beyond
            follows = dict(zip(edges[:n_nodes], edges[-n_nodes:], strict=True))
        else:
            follows = dict(zip(edges[::2], edges[1::2], strict=True))
        assert len(follows) == n_nodes and set(follows) == set(follows.values())
        assert max(follows) < n_names
        for marker, q, a, k in zip(queries[::2], queries[1::2], right, walked, strict=True):
            assert marker == n_names + k and 1 <= k <= max_hops
            for _ in range(k):
                q = follows[q]
            assert q == a


def test_the_cycle_is_one_cycle(method):
    ids, _, _ = method["ask"](seeds.rng(1, "puzzle"), 200, 6, 6, 1, 1)
    for row in ids.tolist():
        follows, at, seen = dict(zip(row[1:13:2], row[2:13:2], strict=True)), row[1], []
        while at not in seen:
            seen.append(at)
            at = follows[at]
        assert len(seen) == 6


def test_names_and_questions_are_drawn_evenly(method):
    ids, answers, hops = method["ask"](seeds.rng(2, "puzzle"), 4000, *TASK)
    for column in (answers, ids[:, 1]):
        shares = torch.bincount(column.flatten(), minlength=9) / column.numel()
        assert (shares - 1 / 9).abs().max() < 0.02
    assert (torch.bincount(hops.flatten())[1:] / hops.numel() - 1 / 3).abs().max() < 0.02


def test_logits_are_read_where_the_questions_end(method):
    ids, _, _ = method["ask"](seeds.rng(3, "puzzle"), 4, *TASK)
    model = Transformer(13, ids.shape[1], d_model=8, generator=seeds.torch(0, "model"))
    got = method["answer"](model, ids, 7)
    where = torch.arange(12, 25, 2)  # after the start, five edges and a marker
    torch.testing.assert_close(got, model(ids)[:, where])
    assert (ids[:, where] < 9).all() and (ids[:, where - 1] > 9).all()


@pytest.mark.parametrize("sites", ["A", "C", "AC", "ACD", "ABCD"])
@pytest.mark.parametrize("kernel", [2, 4, 7])
def test_plain_networks_have_at_least_as_many_weights(method, sites, kernel):
    def weights(d_ff, mixers):
        model = Transformer(
            9, 8, d_model=16, d_ff=d_ff, mlp="swiglu", generator=generator, mixers=mixers
        )
        return sum(p.numel() for p in model.parameters())

    generator = seeds.torch(0, "weights")
    with_canon = weights(
        32,
        lambda place, width: method["Canon"](width, kernel, generator) if place in sites else None,
    )
    plain = weights(method["wider"](32, 16, sites, kernel), None)
    assert 0 <= plain - with_canon < 2 * 3 * 16  # less than one hidden unit in each of two layers


def test_effect_size_against_the_noncentral_t(method):
    x, y = np.array([1.0, 2, 4, 3, 2.5]), np.array([0.5, 1, 2, 0, 1.5])
    got = method["effect_size"](x, y)
    sd = np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
    assert got.estimate == pytest.approx((x.mean() - y.mean()) / sd)
    root = np.sqrt(5 / 2)
    t = got.estimate * root
    assert nct.cdf(t, 8, got.low * root) == pytest.approx(0.975, abs=1e-3)
    assert nct.cdf(t, 8, got.high * root) == pytest.approx(0.025, abs=1e-3)
    mirrored = method["effect_size"](y, x)
    assert (mirrored.low, mirrored.high) == pytest.approx((-got.high, -got.low), abs=1e-3)


def test_effect_size_covers_the_truth(method):
    rng = seeds.rng(4, "effect")
    hits = 0
    for _ in range(400):
        e = method["effect_size"](rng.normal(2, 1, 5), rng.normal(0, 1, 5))
        hits += e.low <= 2 <= e.high
    assert 0.92 < hits / 400 < 0.98


def test_effect_size_of_equal_values_is_unknown(method):
    assert np.isnan(method["effect_size"](np.ones(3), np.ones(3))[:3]).all()


def test_one_layer_with_canon_learns_the_lookup_and_a_plain_one_does_not(method):
    """The whole of the method, small: c6 with three nodes, in a few seconds."""
    task, right = (3, 6, 1, 6), {}
    for arm, kernel in {"plain": 0, "Canon": 4}.items():
        draw = seeds.torch(5, "canon")
        model = Transformer(
            8,
            19,
            d_model=32,
            n_layers=1,
            n_heads=1,
            positions="rotary",
            norm="rms",
            mixers=lambda place, width, kernel=kernel, draw=draw: (
                method["Canon"](width, kernel, draw) if kernel and place == "A" else None
            ),
            generator=seeds.torch(5, "model"),
            embedding_std=1.0,
        )

        def loss(model, batch):
            logits = method["answer"](model, batch[0], 6).flatten(0, 1)
            return F.cross_entropy(logits, batch[1].flatten())

        def lesson(step):
            return method["ask"](seeds.rng(6, f"lesson {step}"), 32, *task)[:2]

        training.train(model, lesson, 150, lr=1e-2, warmup=20, loss=loss)
        ids, answers, _ = method["ask"](seeds.rng(7, "test"), 200, *task)
        with torch.no_grad():
            hit = method["answer"](model, ids, 6).argmax(-1) == answers
        right[arm] = hit.float().mean().item()
    assert right["plain"] < 0.6 and right["Canon"] > 0.8, right


def test_impossible_puzzles_are_one_sentence(method):
    cell = next(c for c in chapter.read(slug).cells if c.id == "training").source
    for nodes, names, hops in ((4, 8, 4), (9, 8, 2)):
        space = dict(method, n_nodes=nodes, n_names=names, max_hops=hops, device="cpu")
        with pytest.raises(ValueError, match="hops must be fewer than nodes"):
            exec(compile(cell, "<training>", "exec"), space)
