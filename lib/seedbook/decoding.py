"""Decoding rules: functions from logits to logits, where a token that may not follow gets -inf.

A rule takes logits (batch, vocab), natural scale, and returns logits of the same shape; `draw`
turns them into tokens. `temperature(0.7)`, `nucleus(0.9)` and the like make a rule, `ancestral` and
`greedy` are rules, and `chain` applies several in turn. No rule depends on the numbering of the
tokens: where two tokens tie at the border, both are kept.

A mixture (`soft`, `gumbel_soft`, `dirichlet_soft`) takes what a rule left and gives weights to
several tokens, whose mean embedding `seedbook.lm.sample` feeds back in place of one token's.

>>> import torch
>>> logits = torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]]).log()
>>> torch.isfinite(nucleus(0.6)(logits)).tolist()
[[True, True, False, False, False, False]]
>>> torch.isfinite(typical(0.15)(logits)).tolist()  # the most probable token is too predictable
[[False, True, False, False, False, False]]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    Rule = Callable[[Tensor], Tensor]

TINY = 1e-300  # in place of a uniform number that is exactly 0
FIRST = 128  # tokens looked at before a longer prefix of the vocabulary is sorted


def ancestral(logits: Tensor) -> Tensor:
    """Keep the distribution of the model as it is."""
    return logits


def greedy(logits: Tensor) -> Tensor:
    """Keep the most probable token; where several tie, the first of them."""
    import torch

    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -torch.inf).scatter(-1, best, 0.0)


def temperature(t: float) -> Rule:
    """Divide the logits by `t`: below 1 sharper, above 1 flatter."""
    _check_positive("temperature", t, "; for 0 use greedy")
    return lambda logits: logits / t


def top_k(k: int) -> Rule:
    """Keep the `k` most probable tokens (Fan et al. 2018)."""
    _check_count("top_k", k)

    def rule(logits: Tensor) -> Tensor:
        least = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
        return _keep(logits, logits >= least)

    return rule


def nucleus(p: float) -> Rule:
    """Keep the fewest most probable tokens whose mass reaches `p` (Holtzman et al. 2020)."""
    _check_share("nucleus", p)

    def rule(logits: Tensor) -> Tensor:
        if p == 1:
            return logits
        return _keep(logits, shortest_prefix(logits, logits.softmax(-1), p))

    return rule


def typical(tau: float) -> Rule:
    r"""Keep the tokens whose surprisal is nearest to the entropy, until their mass reaches `tau`.

    The order is by :math:`|H + \log p(y)|`, with the entropy :math:`H` of the logits that are
    given: after another rule in a `chain` it is the entropy of what that rule leaves
    (Meister et al. 2023, section 4).
    """
    _check_share("typical", tau)

    def rule(logits: Tensor) -> Tensor:
        if tau == 1:
            return logits
        log_p = logits.log_softmax(-1)
        p = log_p.exp()
        entropy = -(p * log_p.clamp(min=-1e9)).sum(-1, keepdim=True)  # 0 log 0 = 0
        return _keep(logits, shortest_prefix(-(entropy + log_p).abs(), p, tau))

    return rule


def min_p(share: float) -> Rule:
    """Keep tokens at least `share` times as probable as the most probable (Nguyen et al. 2025)."""
    import math

    _check_share("min_p", share)
    log_share = math.log(share)
    return lambda logits: _keep(logits, logits >= logits.amax(-1, keepdim=True) + log_share)


def chain(*rules: Rule) -> Rule:
    """Apply `rules` from left to right, each to what the one before it left."""

    def rule(logits: Tensor) -> Tensor:
        for each in rules:
            logits = each(logits)
        return logits

    return rule


class Mix(NamedTuple):
    """Weights over the tokens that are fed back together.

    Attributes
    ----------
    width : int
        Uniform numbers that `weigh` needs for each text and step.
    weigh : callable
        ``weigh(logits (batch, vocab), uniform (batch, width) float64)`` returns token ids and
        weights, both (batch, n), each row of weights summing to 1.
    """

    width: int
    weigh: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    def __call__(self, logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        return self.weigh(logits, uniform)


def soft(n: int) -> Mix:
    """Weigh the `n` most probable tokens by their probabilities (Zhang et al. 2025)."""
    _check_count("soft", n)

    def weigh(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        top, ids = logits.topk(min(n, logits.shape[-1]))
        return ids, top.softmax(-1)

    return Mix(0, weigh)


def gumbel_soft(n: int, tau: float) -> Mix:
    r"""Soften a fair draw: :math:`w = \mathrm{softmax}((\log p + G) / \tau)`, `G` standard Gumbel.

    The token of greatest weight is an exact draw from the `n` most probable tokens (Gumbel-max);
    `tau` toward 0 gives ordinary sampling, a large one equal weights (Wu et al. 2025).
    """
    _check_count("gumbel_soft", n)
    _check_positive("gumbel_soft", tau)

    def weigh(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        top, ids = logits.topk(min(n, logits.shape[-1]))
        noise = -(-uniform[:, : top.shape[-1]].clamp(min=TINY).log()).log()
        return ids, ((top.double() + noise) / tau).softmax(-1)

    return Mix(n, weigh)


def dirichlet_soft(n: int, alpha: float) -> Mix:
    """Draw the weights of the `n` most probable tokens from Dirichlet(`alpha` p) (Wu et al. 2025).

    A small `alpha` gives nearly all weight to one token, a large one the probabilities themselves.
    """
    _check_count("dirichlet_soft", n)
    _check_positive("dirichlet_soft", alpha)

    def weigh(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        import numpy as np
        import torch
        from scipy.special import gammaincinv

        top, ids = logits.topk(min(n, logits.shape[-1]))
        shape = (alpha * top.double().softmax(-1)).cpu().numpy()  # (batch, n)
        first, second = (x.cpu().numpy() for x in uniform.clamp(min=TINY).split(n, -1))
        with np.errstate(divide="ignore"):  # a token of probability 0 gets weight 0
            # Gamma(a) is Gamma(a + 1) U^(1/a); in logarithms, since small a underflows
            log_gamma = np.log(gammaincinv(shape + 1, first[:, : shape.shape[1]]))
            log_gamma += np.log(second[:, : shape.shape[1]]) / shape
        return ids, torch.from_numpy(log_gamma).to(ids.device).softmax(-1)

    return Mix(2 * n, weigh)


def shortest_prefix(score: Tensor, p: Tensor, mass: float) -> Tensor:
    """Mark the tokens of highest score whose probabilities just reach `mass`.

    Only as many tokens are sorted as the mass needs, which for a language model is a small part of
    the vocabulary.

    Parameters
    ----------
    score : Tensor, (batch, vocab)
        Order of preference, highest first.
    p : Tensor, (batch, vocab)
        Probabilities; each row sums to 1.
    mass : float
        In (0, 1]. The token that crosses `mass` is kept, and so are all that tie with it.

    Returns
    -------
    Tensor of bool, (batch, vocab)
    """
    import torch

    vocab, k = score.shape[-1], FIRST
    least = torch.empty_like(score[:, :1])  # the lowest score that is kept
    rows = torch.arange(len(score), device=score.device)
    while len(rows):
        k = min(k, vocab)
        top, index = score[rows].topk(k)  # (rows, k)
        before = p[rows].gather(-1, index).cumsum(-1)
        last = (before < mass).sum(-1, keepdim=True)  # where the mass is crossed
        done = (last[:, 0] < k) | (k == vocab)
        least[rows[done]] = top.gather(-1, last.clamp(max=k - 1))[done]
        rows, k = rows[~done], 8 * k
    return score >= least


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw a token a row by inverting the cumulative distribution.

    Parameters
    ----------
    logits : Tensor, (batch, vocab)
        What a rule returned; a token with -inf is never drawn.
    uniform : Tensor, (batch,)
        Numbers in [0, 1), double precision. The same number gives the same token, so one stream of
        numbers serves two rules for a paired comparison.

    Returns
    -------
    Tensor of int64, (batch,)
    """
    import torch

    cdf = logits.softmax(-1).cumsum(-1, dtype=torch.float64)  # (batch, vocab)
    level = uniform.double()[:, None] * cdf[:, -1:]
    return torch.searchsorted(cdf, level, right=True)[:, 0]


def _keep(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.masked_fill(~mask, float("-inf"))


def _check_count(name: str, n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"{name}({n!r}): must be a whole number, 1 or more")


def _check_positive(name: str, value: float, else_: str = "") -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}({value!r}): must be above 0 and finite{else_}")


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name}({value!r}): must lie in (0, 1]")
