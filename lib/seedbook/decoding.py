"""Decoding rules: functions from logits to logits, where a token that may not follow gets -inf.

A rule takes logits (batch, vocab), natural scale, and returns logits of the same shape; `draw`
turns them into tokens. `temperature(0.7)`, `nucleus(0.9)` and the like make a rule, `ancestral` and
`greedy` are rules, and `chain` applies several in turn. No rule depends on the numbering of the
tokens: where two tokens tie at the border, both are kept.

>>> import torch
>>> logits = torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]]).log()
>>> torch.isfinite(nucleus(0.6)(logits)).tolist()
[[True, True, False, False, False, False]]
>>> torch.isfinite(typical(0.15)(logits)).tolist()  # the most probable token is too predictable
[[False, True, False, False, False, False]]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    Rule = Callable[[Tensor], Tensor]

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
    if not 0 < t < float("inf"):
        raise ValueError(f"temperature({t!r}): must be above 0 and finite; for 0 use greedy")
    return lambda logits: logits / t


def top_k(k: int) -> Rule:
    """Keep the `k` most probable tokens (Fan et al. 2018)."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"top_k({k!r}): must be a whole number, 1 or more")

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


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name}({value!r}): must lie in (0, 1]")
