"""Each rule against transformers' own, against closed forms, and against what must always hold."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from scipy import stats
from seedbook import decoding, seeds
from transformers import (
    MinPLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

MINUS_INF = float("-inf")
RULES = {
    "top_k": decoding.top_k(7),
    "nucleus": decoding.nucleus(0.8),
    "typical": decoding.typical(0.4),
    "min_p": decoding.min_p(0.1),
    "greedy": decoding.greedy,
    "ancestral": decoding.ancestral,
    "temperature": decoding.temperature(0.7),
    "chain": decoding.chain(decoding.temperature(1.5), decoding.nucleus(0.9)),
}
logits_of_rows = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(2, 40), st.floats(0.01, 20))
)


def random_logits(rows, vocab, scale, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, vocab, generator=generator, dtype=dtype)


def kept(logits):
    return torch.isfinite(logits)


def of(*p):
    return torch.tensor([p]).log()


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 10.0])
@pytest.mark.parametrize(
    ("rule", "warper"),
    [
        *((decoding.top_k(k), TopKLogitsWarper(k)) for k in (1, 30, 5000)),
        *((decoding.nucleus(p), TopPLogitsWarper(p)) for p in (0.05, 0.5, 0.95, 1.0)),
        *((decoding.typical(t), TypicalLogitsWarper(t)) for t in (0.05, 0.2, 0.5, 0.95)),
        *((decoding.min_p(p), MinPLogitsWarper(p)) for p in (0.01, 0.1, 1.0)),
    ],
    ids=lambda x: type(x).__name__ if hasattr(x, "filter_value") else "",
)
def test_same_rows_as_transformers(rule, warper, scale):
    """On a row of 2000 tokens a sum may cross a border one token apart by rounding: 1 in 500."""
    logits = random_logits(500, 2000, scale)
    theirs = warper(None, logits.clone())
    ours = rule(logits)
    same = (kept(ours) == kept(theirs)).all(-1)
    assert same.sum() >= 499
    assert torch.equal(ours[kept(ours)], logits[kept(ours)])


def test_closed_forms():
    p = of(0.5, 0.2, 0.1, 0.1, 0.05, 0.05)

    def keep(rule):
        return kept(rule(p))[0].nonzero()[:, 0].tolist()

    assert keep(decoding.top_k(2)) == [0, 1]
    assert keep(decoding.nucleus(0.45)) == [0]
    assert keep(decoding.nucleus(0.65)) == [0, 1]
    assert keep(decoding.min_p(0.15)) == [0, 1, 2, 3]
    assert keep(decoding.greedy) == [0]
    # H = 1.4286 nats; distance .181 for the .2 token, .735 for the .5 token, .874 for the .1 ones
    assert keep(decoding.typical(0.15)) == [1]
    assert keep(decoding.typical(0.5)) == [0, 1]
    assert keep(decoding.typical(0.71)) == [0, 1, 2, 3]
    assert keep(decoding.typical(1.0)) == list(range(6))


def test_uniform_rows_are_kept_whole():
    """Every token of a uniform distribution ties with every other."""
    flat = torch.zeros(1, 300)
    for rule in (decoding.nucleus(0.1), decoding.typical(0.1), decoding.top_k(3)):
        assert kept(rule(flat)).all()


def test_temperature():
    halved = decoding.temperature(2.0)(of(0.64, 0.36)).softmax(-1)
    assert torch.allclose(halved, torch.tensor([[0.8 / 1.4, 0.6 / 1.4]]))


def test_typical_sees_what_the_chain_left():
    rule = decoding.chain(decoding.top_k(2), decoding.typical(0.3))
    p = of(0.5, 0.2, 0.1, 0.1, 0.05, 0.05)
    # of (5/7, 2/7) the entropy is 0.598; the distances are 0.262 and 0.654
    assert kept(rule(p))[0].nonzero()[:, 0].tolist() == [0]


def test_excluded_tokens_stay_excluded():
    logits = random_logits(20, 50, 2.0)
    logits[:, ::3] = MINUS_INF
    for name, rule in RULES.items():
        out = rule(logits)
        assert not kept(out)[:, ::3].any(), name
        assert not torch.isnan(out).any(), name


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=40, deadline=None)
@given(logits_of_rows)
def test_always(name, case):
    """Never empty, never a new token or value, and blind to the numbering of the tokens."""
    seed, vocab, scale = case
    logits, rule = random_logits(3, vocab, scale, seed, torch.float64), RULES[name]
    out = rule(logits)
    assert kept(out).any(-1).all()
    order = torch.randperm(vocab, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(kept(rule(logits[:, order])), kept(out)[:, order])
    if name != "typical":
        assert kept(out).gather(-1, logits.argmax(-1, keepdim=True)).all()


@settings(max_examples=40, deadline=None)
@given(logits_of_rows, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_prefixes_grow_with_the_mass(case, a, b):
    seed, vocab, scale = case
    logits = random_logits(3, vocab, scale, seed, torch.float64)
    for make in (decoding.nucleus, decoding.typical):
        small, large = (kept(make(m)(logits)) for m in sorted((a, b)))
        assert (small <= large).all()
        reached = (logits.softmax(-1) * large).sum(-1)
        assert (reached >= max(a, b) - 1e-12).all()


def test_long_prefix_needs_more_than_the_first_look():
    """A flat row of 5000 tokens beside a peaked one: both must come out as by a full sort."""
    logits = torch.cat([random_logits(1, 5000, 0.01), random_logits(1, 5000, 9.0)])
    p = logits.softmax(-1)
    ordered, index = p.sort(descending=True)
    want = torch.zeros_like(p, dtype=torch.bool)
    want.scatter_(-1, index, ordered.cumsum(-1) - ordered < 0.9)
    differ = (decoding.shortest_prefix(logits, p, 0.9) != want).sum(-1)
    assert (differ <= 1).all()


def test_draw_follows_the_distribution():
    p = torch.tensor([[0.5, 0.0, 0.3, 0.2]])
    n = 10_000
    uniform = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    tokens = decoding.draw(p.log().expand(n, -1), uniform)
    assert torch.bincount(tokens, minlength=4).tolist() == [5000, 0, 3000, 2000]


def test_draw_never_takes_an_excluded_token():
    p = torch.tensor([[0.0, 0.7, 0.0, 0.3, 0.0]])
    for u, token in ((0.0, 1), (1 - 2**-53, 3)):
        assert decoding.draw(p.log(), torch.tensor([u], dtype=torch.float64)).item() == token


@pytest.mark.parametrize(
    ("make", "value", "word"),
    [
        (decoding.temperature, 0.0, "greedy"),
        (decoding.temperature, float("nan"), "above 0"),
        (decoding.top_k, 0, "1 or more"),
        (decoding.top_k, 2.0, "whole number"),
        (decoding.nucleus, 1.1, r"\(0, 1\]"),
        (decoding.typical, 0.0, r"\(0, 1\]"),
        (decoding.min_p, 0.0, r"\(0, 1\]"),
        (decoding.soft, 0, "1 or more"),
        (lambda n: decoding.gumbel_soft(n, 0.5), True, "whole number"),
        (lambda tau: decoding.gumbel_soft(5, tau), 0.0, "above 0"),
        (lambda alpha: decoding.dirichlet_soft(5, alpha), float("inf"), "finite"),
    ],
)
def test_wrong_settings_are_errors_at_once(make, value, word):
    with pytest.raises(ValueError, match=word):
        make(value)


def uniform(rows, width, seed=0):
    return torch.rand(rows, width, dtype=torch.float64, generator=seeds.torch(seed, "mix"))


def test_soft_gives_the_probabilities():
    logits = random_logits(5, 40, 3.0)
    ids, weight = decoding.soft(6)(logits, uniform(5, 0))
    p = logits.softmax(-1).gather(-1, ids)
    torch.testing.assert_close(weight, p / p.sum(-1, keepdim=True))
    assert (ids[:, 0] == logits.argmax(-1)).all()
    assert decoding.soft(99)(logits, uniform(5, 0))[0].shape == (5, 40)


@pytest.mark.parametrize("tau", [0.05, 0.5, 4.0])
def test_gumbel_soft_is_led_by_a_fair_draw(tau):
    """Whatever the smoothness, the heaviest token follows the law (Gumbel-max)."""
    p = torch.tensor([0.5, 0.25, 0.15, 0.1])
    ids, weight = decoding.gumbel_soft(4, tau)(p.log().expand(20_000, 4), uniform(20_000, 4))
    torch.testing.assert_close(weight.sum(-1), torch.ones(20_000, dtype=torch.float64))
    lead = ids.gather(-1, weight.argmax(-1, keepdim=True))[:, 0]
    assert stats.chisquare(lead.bincount(minlength=4), 20_000 * p.numpy()).pvalue > 1e-3
    heaviest = weight.amax(-1).mean()
    assert (heaviest > 0.95) if tau == 0.05 else (heaviest < 0.9)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 20.0])
def test_dirichlet_soft_has_its_moments(alpha):
    p = torch.tensor([0.6, 0.3, 0.1, 0.0], dtype=torch.float64)
    ids, weight = decoding.dirichlet_soft(4, alpha)(p.log().expand(20_000, 4), uniform(20_000, 8))
    weight = torch.zeros(20_000, 4, dtype=torch.float64).scatter(-1, ids, weight)
    assert torch.isfinite(weight).all() and (weight[:, 3] == 0).all()
    error = 4 * (p * (1 - p) / (alpha + 1) / 20_000).sqrt() + 1e-12
    assert ((weight.mean(0) - p).abs() <= error).all()
    torch.testing.assert_close(weight.var(0), p * (1 - p) / (alpha + 1), rtol=0.1, atol=1e-4)
    if alpha == 1.0:  # a margin of a Dirichlet law is a Beta law
        assert stats.kstest(weight[:, 0], stats.beta(0.6, 0.4).cdf).pvalue > 1e-3
