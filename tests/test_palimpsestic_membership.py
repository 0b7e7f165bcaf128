"""The chapter's own method against SciPy, brute force and closed forms."""

import copy

import numpy as np
import pytest
import scipy.stats
import torch
from seedbook import seeds
from seedbook.press import chapter
from seedbook.transformer import Transformer, token_log_probs
from tiny import REPOSITORY


@pytest.fixture(scope="module")
def method():
    return chapter.definitions("palimpsestic_membership", REPOSITORY)


@pytest.fixture
def rng():
    return seeds.rng(5, "palimpsestic membership")


def test_correlation_and_p_are_scipy_s(method, rng):
    x, y = rng.normal(size=(3, 40)).round(1), rng.normal(size=(3, 40))  # x has ties
    y[0] += x[0]
    found = method["correlate"](x, y)
    for i in range(3):
        expected = scipy.stats.spearmanr(x[i], y[i], alternative="greater")
        assert found[i] == pytest.approx(expected.statistic)
        assert method["log10_p"](found[i], 40) == pytest.approx(np.log10(expected.pvalue))
    assert method["correlate"](x[0], y) == pytest.approx(
        [scipy.stats.spearmanr(x[0], row).statistic for row in y]
    )
    assert method["log10_p"](0.9999, 5000) == -300


def test_the_p_value_of_the_rank_correlation_is_uniform_under_permutation(method, rng):
    score = rng.gamma(0.3, size=200)  # far from normal
    orders = rng.permuted(np.tile(np.arange(200), (3000, 1)), axis=1)
    p = 10 ** method["log10_p"](method["correlate"](score, orders), 200)
    assert np.abs(np.sort(p) - np.arange(1, 3001) / 3000).max() < 0.035


def test_shuffle_test_counts_ranks(method, rng):
    scores = rng.normal(size=(20, 7))
    found = method["shuffle_test"](scores, 3)  # the seventh document makes no chunk
    assert found.shape == (2,)
    for chunk, p in enumerate(found):
        sums = scores[:, 3 * chunk : 3 * chunk + 3].sum(1)
        assert p == pytest.approx(sum(s >= sums[0] for s in sums) / 20)
    best = scores.copy()
    best[0] += 100
    assert method["shuffle_test"](best, 3) == pytest.approx(1 / 20)
    assert method["shuffle_test"](-best, 3) == pytest.approx(1)


def test_shuffle_test_is_exact(method, rng):
    p = np.concatenate([method["shuffle_test"](rng.normal(size=(20, 5)), 1) for _ in range(400)])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert (p <= 0.5).mean() == pytest.approx(0.5, abs=0.035)


def test_partition_test_counts_bigrams(method, rng):
    size, batch = 4, 2
    text, docs = rng.integers(size, size=(3, 5)), rng.integers(size, size=(11, 6))
    order = rng.permutation(11)
    bigrams = [(a, b) for line in text for a, b in zip(line, line[1:], strict=False)]
    counts = []
    for step in range(5):  # the eleventh document makes no step
        part = docs[order[2 * step : 2 * step + 2]]
        counts.append(
            sum(bigrams.count((a, b)) for d in part for a, b in zip(d, d[1:], strict=False))
        )
    rho, p = method["partition_test"](text, docs, order, batch, size)
    expected = scipy.stats.spearmanr(counts, range(5), alternative="greater")
    assert rho == pytest.approx(expected.statistic) and p == pytest.approx(expected.pvalue)


def test_documents_follow_their_chain(method, rng):
    chain = method["draw_chain"](8, rng)
    assert (np.diff(chain, axis=1) >= 0).all() and chain[:, -1] == pytest.approx(1)
    docs = method["draw_docs"](20000, 6, chain, 0.3, rng)
    assert docs.shape == (20000, 6) and docs.dtype == torch.int64
    before, after = docs[:, 3].numpy(), docs[:, 4].numpy()
    expected = 0.7 * np.diff(chain, axis=1, prepend=0) + 0.3 / 8
    for row in range(8):
        n = (before == row).sum()
        found = np.bincount(after[before == row], minlength=8) / n
        assert np.abs(found - expected[row]).max() < 4 * np.sqrt(0.25 / n)
    first = np.bincount(docs[:, 0].numpy(), minlength=8) / 20000
    assert np.abs(first - 1 / 8).max() < 0.01
    only_noise = method["draw_docs"](20000, 3, chain, 1.0, rng)
    assert np.abs(np.bincount(only_noise[:, 2].numpy(), minlength=8) / 20000 - 1 / 8).max() < 0.01


def test_the_tail_is_exchangeable_because_the_state_is_restored(method, rng):
    """Going on from the checkpoint in the true order gives Alice's own model, to the byte."""
    docs = method["draw_docs"](48, 8, method["draw_chain"](16, rng), 0.5, rng)
    model = Transformer(16, 8, d_model=16, n_layers=1, generator=seeds.torch(5, "model"))
    twin, order = copy.deepcopy(model), rng.permutation(48)
    state = method["read"](model, docs, order, 8, 1e-2, stop=4)
    method["read"](model, docs, order, 8, 1e-2, start=state)
    method["read"](twin, docs, order, 8, 1e-2)
    sibling = copy.deepcopy(model)
    method["read"](sibling, docs, order, 8, 1e-2, start=state)
    other = copy.deepcopy(model)
    tail = np.append(order[:32], order[32:][::-1])
    method["read"](other, docs, tail, 8, 1e-2, start=state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name])
        assert torch.equal(value, sibling.state_dict()[name])
    assert not torch.equal(model.head.weight, other.head.weight)


def test_a_document_s_likelihood_is_the_sum_of_its_tokens(method, rng):
    docs = torch.from_numpy(rng.integers(16, size=(5, 8)))
    model = Transformer(16, 8, d_model=16, generator=seeds.torch(5, "model"))
    expected = token_log_probs(model, docs).sum(1)
    assert method["log_likelihood"](model, docs) == pytest.approx(expected.numpy(), rel=1e-5)
