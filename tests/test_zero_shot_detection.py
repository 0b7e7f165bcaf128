"""Zero-shot detection: the chapter's method against closed forms, enumeration and libraries."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest
from scipy.stats import entropy as scipy_entropy
from seedbook import lm
from seedbook.press import chapter
from tiny import REPOSITORY, llama


@pytest.fixture(scope="module")
def method():
    return chapter.definitions("zero_shot_detection", REPOSITORY)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_rows_are_laws_that_leave_every_token_possible(method, rng):
    rows = method["markov_chain"](rng, 5, 0.1)
    assert rows.shape == (25, 5)
    assert rows.sum(-1) == pytest.approx(1)
    assert rows.min() > 0


def test_cross_entropy_is_entropy_plus_divergence(method, rng):
    p, q = method["markov_chain"](rng, 4, 0.5), method["markov_chain"](rng, 4, 0.5)
    expected = scipy_entropy(p, axis=-1) + scipy_entropy(p, q, axis=-1)
    assert method["cross_entropy"](p, q) == pytest.approx(expected)


def test_blind_spot_has_the_cross_entropy_of_the_entropy(method, rng):
    A = method["markov_chain"](rng, 6, 0.5)
    blind = method["blind_spot"](A)
    cross_entropy = method["cross_entropy"]
    assert blind.sum(-1) == pytest.approx(1)
    assert blind.min() > 0
    assert cross_entropy(blind, A) == pytest.approx(cross_entropy(A, A))
    assert scipy_entropy(blind, A, axis=-1).mean() > 0.1  # and yet another source


def test_texts_follow_the_rows_of_their_own_author(method, rng):
    k, n, length = 3, 300, 60
    rows = np.stack([method["markov_chain"](rng, k, 1.0) for _ in range(2)])
    author = rng.permutation(np.repeat([0, 1], n // 2))
    tokens = method["generate"](rows, author, length, rng)
    assert tokens.shape == (length + 2, n)
    for a in (0, 1):
        text = tokens[:, author == a]
        context = (text[:-2] * k + text[1:-1]).ravel()
        for c in range(k * k):
            seen = np.bincount(text[2:].ravel()[context == c], minlength=k)
            assert chisquare(seen, seen.sum() * rows[a, c]).pvalue > 1e-4
            other = chisquare(seen, seen.sum() * rows[1 - a, c])
            assert other.statistic > chisquare(seen, seen.sum() * rows[a, c]).statistic


def test_averages_are_those_of_a_plain_loop(method, rng):
    k, lengths = 4, np.array([1, 3, 7])
    tokens = rng.integers(k, size=(9, 5))
    by_context, by_token = rng.random(k * k), rng.random((k * k, k))
    one = method["averages"](tokens, by_context, lengths)
    two = method["averages"](tokens, by_token, lengths)
    for j, text in enumerate(tokens.T):
        for i, n in enumerate(lengths):
            contexts = [text[s] * k + text[s + 1] for s in range(n)]
            following = text[2 : n + 2]
            assert one[i, j] == pytest.approx(np.mean([by_context[c] for c in contexts]))
            expected = [by_token[c, v] for c, v in zip(contexts, following, strict=True)]
            assert two[i, j] == pytest.approx(np.mean(expected))


def test_exponents_of_independent_tokens_are_cramers(method, rng):
    """Equal rows: tokens are independent, the bound is sharp, and the rate has a closed form."""
    k, p, t = 2, 0.3, 0.5
    rows = np.tile([1 - p, p], (k * k, 1))
    x = np.tile([0.0, 1.0], (k * k, 1))
    closed = t * np.log(t / p) + (1 - t) * np.log((1 - t) / (1 - p))  # KL(t || p)
    assert method["exponents"](rows, x, t) == pytest.approx((closed, closed), rel=1e-6)
    assert method["exponents"](rows, x, 0.2) == pytest.approx((0, 0), abs=1e-4)  # no deviation


def test_exponents_of_a_chain_against_dense_eigenvalues(method, rng):
    k, t = 3, 0.4
    rows = method["markov_chain"](rng, k, 0.5)
    x = -np.log(rows) - method["cross_entropy"](rows, rows)[:, None]

    def log_rho(s):
        tilted = np.zeros((k * k, k * k))
        for a in range(k):
            for b in range(k):
                for v in range(k):
                    c = a * k + b
                    tilted[c, b * k + v] = rows[c, v] * np.exp(s * x[c, v])
        return np.log(np.abs(np.linalg.eigvals(tilted)).max())

    grid = np.linspace(0, 6, 3001)
    expected = max(s * t - log_rho(s) for s in grid)
    worst = max(s * t - np.log((rows * np.exp(s * x)).sum(-1)).max() for s in grid)
    exact, bound = method["exponents"](rows, x, t)
    assert exact == pytest.approx(expected, rel=1e-4)
    assert bound == pytest.approx(worst, rel=1e-4)
    assert 0 < bound < exact


def test_the_bound_holds_in_every_text_of_a_tiny_world(method, rng):
    """All texts of six tokens, enumerated: the exact probability never passes the bound."""
    k, n = 2, 6
    rows = method["markov_chain"](rng, k, 0.7)
    x = -np.log(rows) - method["cross_entropy"](rows, rows)[:, None]
    for t in (0.1, 0.2, 0.4):
        _, bound = method["exponents"](rows, x, t)
        for start in range(k * k):
            above = 0.0
            for text in np.ndindex(*(k,) * n):
                context, chance, total = start, 1.0, 0.0
                for v in text:
                    chance *= rows[context, v]
                    total += x[context, v]
                    context = context % k * k + v
                above += chance * (total > n * t)
            assert above <= np.exp(-n * bound) + 1e-12


def test_z_of_own_texts_is_standard_normal(method, rng):
    k, n, lengths = 12, 2000, np.array([200])
    rows = method["markov_chain"](rng, k, 0.5)
    tokens = method["generate"](rows[None], np.zeros(n, int), 200, rng)
    surprise, entropy = -np.log(rows), method["cross_entropy"](rows, rows)
    variance = (rows * surprise**2).sum(-1) - entropy**2
    L, h, v = (method["averages"](tokens, x, lengths)[0] for x in (surprise, entropy, variance))
    z = (L - h) * np.sqrt(200 / v)
    assert abs(z.mean()) < 0.1
    assert abs(z.std() - 1) < 0.07
    assert kstest(z, "norm").statistic < 0.05


@pytest.fixture(scope="module")
def evaluator():
    return lm.LM(llama(37), None, "tiny")


def test_excess_surprise_against_the_models_logits(method, evaluator, rng):
    texts, start = [rng.integers(37, size=n).tolist() for n in (9, 12)], 4
    temperatures = [1.0, 0.5]
    scores = method["excess_surprise"](evaluator, texts, start, temperatures)
    for ids, T, values in zip(texts, temperatures, scores, strict=True):
        with torch.no_grad():
            logits = evaluator.model(torch.tensor([ids])).logits[0].double()
        excess, variance, gap = (v.numpy() for v in values)
        assert len(excess) == len(ids) - start
        for j, i in enumerate(range(start, len(ids))):  # p(s_i | s_<i) is at position i - 1
            p = logits[i - 1].softmax(-1).numpy()
            q = (logits[i - 1] / T).softmax(-1).numpy()
            H = scipy_entropy(p)
            assert excess[j] == pytest.approx(-np.log(p[ids[i]]) - H, abs=1e-4)
            assert variance[j] == pytest.approx((p * np.log(p) ** 2).sum() - H**2, abs=1e-4)
            assert gap[j] == pytest.approx(-(q * np.log(p)).sum() - H, abs=1e-4)
            if T == 1:
                assert gap[j] == pytest.approx(0, abs=1e-4)


def test_excess_surprise_of_own_samples_has_mean_zero(method, evaluator):
    generator = torch.Generator().manual_seed(4)
    prompts = [[i % 37, 5] for i in range(200)]
    new = lm.sample(evaluator, prompts, 20, generator=generator, stop=False)
    texts = [a + b for a, b in zip(prompts, new, strict=True)]
    scores = list(method["excess_surprise"](evaluator, texts, 2, [1.0] * len(texts)))
    total = np.array([float(excess.sum()) for excess, _, _ in scores])
    spread = np.array([float(variance.sum()) for _, variance, _ in scores])
    z = total / np.sqrt(spread)
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert 0.85 < z.std() < 1.15
